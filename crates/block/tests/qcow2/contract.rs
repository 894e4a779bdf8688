//! The contract of disks, over images of many kinds, each checked by `qemu-img` afterwards.

use std::io::IoSlice;
use std::path::PathBuf;

use block::qcow2::{BackingName, CreateOptions};
use block::{Disk, Error, Extent, ExtentKind, contract};

use crate::images::{MIB, check, contents, create, open, open_as, qemu_img};

/// An image of `size` bytes, with a raw file of random bytes and holes of `below` bytes below it.
fn image(size: u64, cluster_bits: u32, version: u32, below: Option<u64>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let backing = below.map(|len| {
        let mut bytes = contract::Random::new(len).bytes(len as usize);
        for chunk in bytes.chunks_mut(150_000).step_by(2) {
            chunk.fill(0);
        }
        std::fs::write(dir.path().join("base.img"), bytes).unwrap();
        BackingName { name: "base.img".into(), format: Some("raw".into()) }
    });
    let path = dir.path().join("disk.qcow2");
    create(&path, &CreateOptions { cluster_bits, version, backing, ..CreateOptions::new(size) });
    (dir, path)
}

/// Cluster size, version, size of the file below.
const KINDS: [(u32, u32, Option<u64>); 8] = [
    (9, 3, None),
    (12, 2, None),
    (16, 3, None),
    (21, 3, None),
    (12, 3, Some(2 * MIB)),
    (16, 2, Some(3 * MIB + 512)),
    (16, 3, Some(5 * MIB)),
    (9, 3, Some(MIB + 512)),
];

#[test]
fn random_operations_match_the_model() {
    for (seed, (bits, version, below)) in KINDS.into_iter().enumerate() {
        let (_dir, path) = image(3 * MIB + seed as u64 * 512, bits, version, below);
        let disk = open(&path);
        contract::operations(&disk, seed as u64, 400);
        contract::extents(&disk);
        let before = contents(&disk);
        drop(disk);
        check(&path);
        let disk = open(&path);
        // What was discarded may read otherwise now, but need not.
        assert_eq!(contents(&disk).len(), before.len());
        contract::operations(&disk, seed as u64 + 100, 100);
        drop(disk);
        check(&path);
    }
}

#[test]
fn threads_do_not_disturb_each_other() {
    for (seed, (bits, version, below)) in KINDS.into_iter().enumerate() {
        let (_dir, path) = image(4 * MIB, bits, version, below);
        let disk = open(&path);
        contract::threads(&disk, seed as u64, 60);
        contract::overlapping(&disk, seed as u64, 20);
        drop(disk);
        check(&path);
    }
}

#[test]
fn flushed_data_is_there_after_reopening() {
    for (bits, version, below) in KINDS {
        let (_dir, path) = image(MIB, bits, version, below);
        contract::reopened(|| Box::new(open(&path)), 1);
        check(&path);
    }
}

#[test]
fn a_read_only_image_changes_nothing() {
    let (_dir, path) = image(MIB, 16, 3, Some(MIB));
    contract::read_only(&open_as(&path, true));
}

#[test]
fn an_image_grows_and_shrinks() {
    for (seed, (bits, version, below)) in KINDS.into_iter().enumerate() {
        let (_dir, path) = image(MIB, bits, version, below);
        let disk = open(&path);
        contract::resized(&disk, seed as u64);
        let before = contents(&disk);
        drop(disk);
        check(&path);
        assert!(contents(&open(&path)) == before);
    }
}

#[test]
fn an_image_grows_beyond_its_first_tables() {
    // Clusters of 512 bytes: each L1 entry reaches 32 KiB, each refcount block 128 KiB, the first refcount table 8 MiB.
    let (dir, path) = image(MIB, 9, 3, None);
    let disk = open(&path);
    disk.resize(64 * MIB).unwrap();
    let data = contract::Random::new(4).bytes(24 << 20);
    for (i, chunk) in data.chunks(MIB as usize).enumerate() {
        disk.write(2 * i as u64 * MIB + 512, &[IoSlice::new(chunk)]).unwrap();
    }
    let before = contents(&disk);
    drop(disk);
    check(&path);
    let raw = dir.path().join("out.img");
    qemu_img(&["convert", "-O", "raw", path.to_str().unwrap(), raw.to_str().unwrap()]);
    assert!(std::fs::read(raw).unwrap() == before);
}

#[test]
fn discards_give_space_back_which_is_used_again() {
    let (_dir, path) = image(64 * MIB, 16, 3, None);
    let disk = open(&path);
    let fill = |value: u8| disk.write(0, &[IoSlice::new(&vec![value; 32 * MIB as usize])]).unwrap();
    for round in 0..4 {
        fill(round + 1);
        disk.flush().unwrap();
        disk.discard(0, 32 * MIB).unwrap();
        disk.flush().unwrap();
    }
    assert_eq!(disk.extent(0, 64 * MIB).unwrap().kind, ExtentKind::Hole);
    drop(disk);
    check(&path);
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len < 40 * MIB, "32 MiB written four times, with discards between, made a file of {len} bytes");
}

#[test]
fn zeroes_hide_what_is_below_and_discards_do_not_bring_it_back() {
    let (_dir, path) = image(2 * MIB, 16, 3, Some(2 * MIB));
    let disk = open(&path);
    for unmap in [true, false] {
        disk.write(0, &[IoSlice::new(&vec![9; MIB as usize])]).unwrap();
        disk.write_zeroes(0, 2 * MIB, unmap).unwrap();
        assert!(contents(&disk).iter().all(|byte| *byte == 0));
    }
    disk.discard(0, 2 * MIB).unwrap();
    assert!(contents(&disk).iter().all(|byte| *byte == 0));
    assert_eq!(disk.extent(0, 65536).unwrap(), Extent { len: 65536, kind: ExtentKind::Hole });
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let (_dir, path) = image(MIB, 9, 3, None);
    let disk = open(&path);
    for size in [MIB + 1, !511, 1 << 50] {
        assert!(matches!(disk.resize(size), Err(Error::Unsupported(_))), "{size}");
    }
    assert_eq!(disk.size(), MIB);
}
