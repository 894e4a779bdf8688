//! Images that are made to harm: each ends in an error, or in some contents, soon and with little memory.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::contract::{MemoryDisk, Random};
use block::qcow2::{self, CreateOptions, Qcow2};
use block::{Disk, Error};

use crate::images::MIB;

/// An image with some data, as bytes.
fn image() -> Vec<u8> {
    let store = Arc::new(MemoryDisk::new(0));
    qcow2::create(&*store, &CreateOptions { cluster_bits: 12, ..CreateOptions::new(8 * MIB) }).unwrap();
    let disk = Qcow2::open(store.clone(), None).unwrap();
    for at in 0..40 {
        disk.write(at * 150_000, &[IoSlice::new(&[at as u8; 9000])]).unwrap();
    }
    drop(disk);
    store.contents()
}

/// Opens it and uses it a little; whatever comes of that.
fn use_it(file: Vec<u8>, seed: u64) {
    let Ok(disk) = Qcow2::open(Arc::new(MemoryDisk::holding(file)), None) else { return };
    let mut random = Random::new(seed);
    for _ in 0..30 {
        let (offset, len) = random.range(disk.size(), 100_000);
        let mut buf = vec![0; len as usize];
        let _ = match random.below(6) {
            0..2 => disk.read(offset, &mut [IoSliceMut::new(&mut buf)]),
            2..4 => disk.write(offset, &[IoSlice::new(&buf)]),
            4 => disk.discard(offset, len),
            _ => disk.flush(),
        };
        if len > 0 {
            let _ = disk.extent(offset, len);
        }
    }
}

#[test]
fn damaged_images_harm_nobody() {
    let good = image();
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut file = good.clone();
        for _ in 0..1 + random.below(4) {
            // Mostly in the header and the first tables.
            let end = if random.below(4) == 0 { file.len() as u64 } else { 5 * 4096 };
            let at = match random.below(3) {
                0 => random.below(112),
                _ => random.below(end),
            } as usize;
            match random.below(3) {
                0 => file[at] ^= 1 << random.below(8),
                1 => file[at] = random.next_u64() as u8,
                _ => {
                    let at = at & !7;
                    let value = [u64::MAX, 1 << 62, 1 << 63 | 4096, random.below(64) << 12][random.below(4) as usize];
                    file[at..at + 8].copy_from_slice(&value.to_be_bytes());
                }
            }
        }
        file.truncate(file.len() - random.below(3) as usize * 2000);
        use_it(file, seed);
    }
}

#[test]
fn headers_that_ask_for_too_much_are_refused_by_the_field() {
    for (at, value, said) in [
        (4, 9u32, "version 9"),
        (20, 40, "2^40 bytes"),
        (24, 0x7fff_ffff, "L1 table is too short"),
        (32, 1, "encrypted"),
        (36, u32::MAX, "longer than 32 MiB"),
        (44, 77, "L1 table is not where"),
        (52, 0, "refcount table is not where"),
        (56, u32::MAX, "longer than 8 MiB"),
        (60, u32::MAX, "table of snapshots"),
        (76, 0x80, "not known: 0x80"),
        (96, 7, "2^7 bits"),
        (100, 1 << 30, "header of"),
    ] {
        let mut file = image();
        file[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let error = Qcow2::open(Arc::new(MemoryDisk::holding(file)), None).err().map(|e| e.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains(said)), "byte {at}: {error:?} and not {said}");
    }
}

fn put(file: &mut [u8], at: u64, value: u64) {
    file[at as usize..][..8].copy_from_slice(&value.to_be_bytes());
}

fn get(file: &[u8], at: u64) -> u64 {
    u64::from_be_bytes(*file[at as usize..].first_chunk().unwrap())
}

fn check(file: Vec<u8>) -> Result<qcow2::Report, Error> {
    qcow2::check(&MemoryDisk::holding(file))
}

/// "Ours alone", in an entry of a table.
const COPIED: u64 = 1 << 63;
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// A cluster of the guest, or a table, that is in the place of another thing.
#[test]
fn clusters_that_overlap_end_and_are_found() {
    let good = image();
    let header = qcow2::Qcow2::header_of(&MemoryDisk::holding(good.clone())).unwrap();
    let block = get(&good, header.reftable_offset) & OFFSET;
    let l2 = get(&good, header.l1_offset) & OFFSET;
    let data = get(&good, l2) & OFFSET;
    assert_eq!(check(good.clone()).unwrap().errors, 0);
    for host in [0, header.l1_offset, header.reftable_offset, block, l2, data] {
        // Of the second entries: of the L2 table, the L1 table and the refcount table.
        for at in [l2 + 8, header.l1_offset + 8, header.reftable_offset + 8] {
            let mut file = good.clone();
            put(&mut file, at, if at == header.reftable_offset + 8 { host } else { host | COPIED });
            // Offset 0 says that there is none.
            let found = check(file.clone()).is_ok_and(|report| report.errors > 0) || check(file.clone()).is_err();
            assert!(found || host == 0, "{host:#x} in the entry at {at:#x}");
            for seed in 0..4 {
                use_it(file.clone(), seed);
            }
        }
    }
}

/// Every entry of the L1 table leads to one L2 table, whose entries all lead to one cluster.
#[test]
fn a_table_that_is_reached_in_many_ways_is_checked_once() {
    let mut file = image();
    let header = qcow2::Qcow2::header_of(&MemoryDisk::holding(file.clone())).unwrap();
    let l2 = get(&file, header.l1_offset) & OFFSET;
    let end = (file.len() as u64).next_multiple_of(4096);
    // An L1 table of 4 million entries behind the end.
    let entries = 4u64 << 20;
    file.resize((end + entries * 8) as usize, 0);
    (0..entries).for_each(|n| put(&mut file, end + n * 8, l2 | COPIED));
    (0..512).for_each(|n| put(&mut file, l2 + n * 8, l2 | COPIED));
    file[36..40].copy_from_slice(&(entries as u32).to_be_bytes());
    put(&mut file, 40, end);
    let report = check(file.clone()).unwrap();
    assert!(report.errors > 0 && report.told.len() <= 50, "{report:?}");
    use_it(file, 3);
}

#[test]
fn snapshots_with_tables_without_end_are_refused() {
    let mut file = image();
    let end = (file.len() as u64).next_multiple_of(4096);
    let (snapshots, entries) = (1000u64, 4u32 << 20);
    file.resize((end + snapshots * 40 + u64::from(entries) * 8) as usize, 0);
    for n in 0..snapshots {
        // All have the table that is behind them.
        put(&mut file, end + n * 40, end + snapshots * 40 / 4096 * 4096);
        file[(end + n * 40 + 8) as usize..][..4].copy_from_slice(&entries.to_be_bytes());
    }
    file[60..64].copy_from_slice(&(snapshots as u32).to_be_bytes());
    put(&mut file, 64, end);
    let said = check(file).unwrap_err().to_string();
    assert!(said.contains("more tables than can be checked"), "{said}");
}
