//! Writers in the guest write records that say who wrote them and when, each over some blocks of its own region, wait
//! until the record is flushed and say so on the console. After the kill each block must hold the last record that was
//! flushed there, or one that was on its way. Images are read by
//! `qemu-img`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{DISKS, check, kills, make};
use crate::machine::{Machine, debian};

const WRITERS: u64 = 3;
const BLOCK: usize = 4096;
/// Blocks of a writer's region, and of a record at most.
const REGION: u64 = 512;
const LONGEST: u64 = 7;
/// Records that a writer may have begun after the last of which the console told.
const UNDER_WAY: u64 = 8;

/// The writer of the guest's shell; [`Record`] is the same here.
const WRITER: &str = "w() { g=0; while :; do g=$((g + 1)); n=$((g * 5 % 7 + 1)); \
    b=$(($4 * 512 + (g * g * 31 + g * 17 + $4 * 5) % 506)); yes \"$1 $2 $4 $g\" | head -c $((n * 4096)) | \
    dd of=$3 bs=4096 seek=$b iflag=fullblock conv=notrunc,fsync 2>/dev/null && echo \"[kept $2 $4 $g]\"; done; }";

/// A record: which round, disk and writer, and its number, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    round: u64,
    disk: usize,
    writer: u64,
    number: u64,
}

impl Record {
    fn blocks(&self) -> Range<u64> {
        let g = self.number;
        let first = self.writer * REGION + (g * g * 31 + g * 17 + self.writer * 5) % (REGION - LONGEST + 1);
        first..first + g * 5 % LONGEST + 1
    }

    /// What it holds in one of its blocks.
    fn bytes(&self, block: u64) -> Vec<u8> {
        let line = format!("{} {} {} {}\n", self.round, self.disk, self.writer, self.number);
        let skip = (block - self.blocks().start) as usize * BLOCK;
        line.bytes().cycle().skip(skip % line.len()).take(BLOCK).collect()
    }
}

/// The contents of a disk, as `qemu-img` reads the image, which it has to find consistent.
fn contents(folder: &Path, image: &str) -> Vec<u8> {
    check(folder, image);
    let format = if image.ends_with(".qcow2") { "qcow2" } else { "raw" };
    let convert = ["convert", "-f", format, "-O", "raw", image, "read.img"];
    let read = Command::new("qemu-img").current_dir(folder).args(convert).output().unwrap();
    assert!(read.status.success(), "{image}: {read:?}");
    fs::read(folder.join("read.img")).unwrap()
}

/// Compares a disk with what the console told of the records of `round`; `before` is what was there, and becomes what
/// is there. Gives how many records had to be there.
fn compare(disk: usize, round: u64, told: &str, before: &mut Vec<u8>, now: Vec<u8>) -> u64 {
    let mut kept = 0;
    for writer in 0..WRITERS {
        let mark = format!("[kept {disk} {writer} ");
        let numbers = told.split(&mark).skip(1).filter_map(|rest| rest.split_once(']')?.0.parse::<u64>().ok());
        let last = numbers.max().unwrap_or(0);
        kept += last;
        let record = |number| Record { round, disk, writer, number };
        let mut flushed = HashMap::new();
        for number in 1..=last {
            flushed.extend(record(number).blocks().map(|block| (block, record(number))));
        }
        for block in writer * REGION..(writer + 1) * REGION {
            let at = block as usize * BLOCK..(block as usize + 1) * BLOCK;
            let is = &now[at.clone()];
            let right = match flushed.get(&block) {
                Some(record) => is == record.bytes(block),
                None => is == &before[at],
            };
            let newer = || {
                let mut under_way = (last + 1..=last + UNDER_WAY).map(record);
                under_way.any(|record| record.blocks().contains(&block) && is == record.bytes(block))
            };
            assert!(
                right || newer(),
                "round {round}: block {block} of {} holds {:?} and not {:?}; number {last} was flushed",
                DISKS[disk].0,
                String::from_utf8_lossy(&is[..40]),
                flushed.get(&block)
            );
        }
    }
    *before = now;
    kept
}

#[test]
fn no_flushed_write_is_lost_when_the_process_is_killed() {
    let kills = kills();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = make(folder, (WRITERS * REGION) as usize * BLOCK, 0x55);
    let mut holds: Vec<_> = DISKS.iter().map(|(image, ..)| contents(folder, image)).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut kept = [0; DISKS.len()];
    for round in 1..=kills {
        let mut machine = Machine::shell(&mut debian(folder, &[["-p", "2"].as_slice(), &arguments].concat()));
        machine.sh(WRITER);
        let starts: String = (0..WRITERS)
            .flat_map(|writer| DISKS.iter().enumerate().map(move |disk| (writer, disk)))
            .map(|(writer, (disk, (_, _, device)))| format!("w {round} {disk} {device} {writer} & "))
            .collect();
        machine.sh(&starts);
        // Something to lose on each disk, on a slow host as well.
        let mut told = String::new();
        while (0..DISKS.len()).any(|disk| told.matches(&format!("[kept {disk} ")).count() < 2) {
            told.push_str(&machine.expect("]"));
        }
        // At another point of what the guest does each time.
        thread::sleep(Duration::from_millis(300 + round * 797 % 1500));
        machine.child.kill().unwrap();
        assert_eq!(machine.end().code(), None);
        let told = machine.printed().to_owned();
        for (disk, (image, ..)) in DISKS.iter().enumerate() {
            kept[disk] += compare(disk, round, &told, &mut holds[disk], contents(folder, image));
        }
    }
    let images = DISKS.map(|(image, ..)| image);
    writeln!(io::stderr(), "{kills} kills; flushed records that are there: {kept:?} on {images:?}").unwrap();
    assert!(kept.iter().all(|records| *records > kills), "too few records to prove anything: {kept:?}");
}
