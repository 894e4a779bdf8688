//! What a crash leaves. Every write below the format is logged; the image is rebuilt as of a point in time with all
//! that was flushed below before it, and of what came later a random part, in pieces of a sector. It must be
//! consistent and hold what the guest had flushed.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::Disk;
use block::contract::{LoggedDisk, MemoryDisk, Random};
use block::qcow2::{self, BackingName, CreateOptions, Qcow2};

use crate::images::MIB;

const SECTOR: usize = 512;

/// What the guest knows to be durable.
struct Promise {
    /// Operations below that were done when the guest's flush returned.
    at: usize,
    contents: Vec<u8>,
}

/// What the guest has done since, from which operation below on: the bytes may be old or new.
struct Change {
    from: usize,
    offset: u64,
    len: u64,
}

struct History {
    store: Arc<LoggedDisk>,
    promises: Vec<Promise>,
    changes: Vec<Change>,
}

/// A workload by seed on a fresh image over `below`.
fn history(seed: u64, cluster_bits: u32, below: &Arc<MemoryDisk>) -> History {
    let store = Arc::new(LoggedDisk::default());
    let backing = Some(BackingName { name: "below.img".into(), format: Some("raw".into()) });
    qcow2::create(&*store, &CreateOptions { cluster_bits, backing, ..CreateOptions::new(4 * MIB) }).unwrap();
    // A small cache, so that tables are written between the flushes, too.
    let disk = Qcow2::open_with_cache(store.clone(), Some(below.clone()), 1 << 12).unwrap();
    let now = || store.operations();
    let mut random = Random::new(seed);
    let mut model = vec![0; 4 * MIB as usize];
    disk.read(0, &mut [IoSliceMut::new(&mut model)]).unwrap();
    let mut promises = vec![Promise { at: now(), contents: model.clone() }];
    let mut changes = Vec::new();
    for _ in 0..80 {
        let (offset, len) = random.range(disk.size(), 100_000);
        let span = offset as usize..(offset + len) as usize;
        let from = now();
        match random.below(8) {
            0..4 => {
                let data = random.bytes(len as usize);
                disk.write(offset, &[IoSlice::new(&data)]).unwrap();
                model[span].copy_from_slice(&data);
            }
            4 => {
                disk.write_zeroes(offset, len, random.below(2) == 0).unwrap();
                model[span].fill(0);
            }
            5 => {
                disk.discard(offset, len).unwrap();
                disk.read(offset, &mut [IoSliceMut::new(&mut model[span])]).unwrap();
            }
            6 if random.below(6) == 0 => {
                disk.resize(disk.size() + 512 * random.below(2000)).unwrap();
                model.resize(disk.size() as usize, 0);
                continue;
            }
            _ => {
                disk.flush().unwrap();
                promises.push(Promise { at: now(), contents: model.clone() });
                continue;
            }
        }
        changes.push(Change { from, offset, len });
    }
    drop(disk);
    History { store, promises, changes }
}

fn survives(seed: u64, cluster_bits: u32, points: usize) {
    let below = Arc::new(MemoryDisk::holding(Random::new(seed).bytes(3 * MIB as usize)).read_only());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("below.img"), below.contents()).unwrap();
    let path = dir.path().join("crashed.qcow2");
    let history = history(seed, cluster_bits, &below);
    let mut random = Random::new(!seed);
    let first = history.promises[0].at;
    for point in 0..points {
        // Often right after a promise, where it is easiest to break.
        let upto = match random.below(2) {
            0 => history.promises[random.below(history.promises.len() as u64) as usize].at,
            _ => first + random.below((history.store.operations() - first + 1) as u64) as usize,
        };
        let at = format!("seed {seed}, clusters of 2^{cluster_bits}, point {point}, after {upto} operations");
        let file = history.store.crashed(upto, SECTOR, &mut random);
        std::fs::write(&path, &file).unwrap();
        consistent(&path, &at);
        let store = Arc::new(MemoryDisk::holding(file));
        let disk = Qcow2::open(store, Some(below.clone())).unwrap_or_else(|e| panic!("{at}: {e}"));
        let promise = history.promises.iter().rfind(|p| p.at <= upto).unwrap();
        assert!(disk.size() >= promise.contents.len() as u64, "{at}: the disk has become smaller");
        let mut got = vec![0; promise.contents.len()];
        disk.read(0, &mut [IoSliceMut::new(&mut got)]).unwrap_or_else(|e| panic!("{at}: {e}"));
        for change in history.changes.iter().filter(|c| c.from >= promise.at && c.from <= upto) {
            let span = change.offset as usize..((change.offset + change.len) as usize).min(got.len());
            if span.start < span.end {
                got[span.clone()].copy_from_slice(&promise.contents[span]);
            }
        }
        // Slices are compared quickly, byte by byte only what is lost.
        if got != promise.contents {
            let lost = got.iter().zip(&promise.contents).position(|(got, want)| got != want);
            panic!("{at}: byte {lost:x?} was flushed and is lost");
        }
    }
}

/// `qemu-img check` finds nothing but leaks.
fn consistent(path: &std::path::Path, at: &str) {
    let output = std::process::Command::new("qemu-img").arg("check").arg(path).output().expect("qemu-img is needed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{at}: {said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_flushed_write_is_lost_and_the_image_stays_consistent() {
    for (seed, cluster_bits) in [(1, 9), (2, 12), (3, 16), (4, 12), (5, 9), (6, 16)] {
        survives(seed, cluster_bits, 25);
    }
}
