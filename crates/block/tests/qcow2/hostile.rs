//! Images that are made to harm: each ends in an error, or in some contents, soon and with little memory.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::Disk;
use block::contract::{MemoryDisk, Random};
use block::qcow2::{self, CreateOptions, Qcow2};

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
