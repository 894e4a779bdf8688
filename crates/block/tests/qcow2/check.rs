//! Our check against qemu-img's, and repairs.

use std::fs::{self, File};
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::Path;

use block::qcow2::{self, CreateOptions};
use block::{Disk, contract};

use crate::images::{MIB, check, contents, create, file, open, open_as, qemu_img};

fn with_data(path: &Path, cluster_bits: u32) {
    create(path, &CreateOptions { cluster_bits, ..CreateOptions::new(8 * MIB) });
    let disk = open(path);
    for at in 0..20 {
        disk.write(at * 300_000, &[IoSlice::new(&contract::Random::new(at).bytes(50_000))]).unwrap();
    }
}

#[test]
fn good_images_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    for bits in [9, 12, 16] {
        with_data(&path, bits);
        let report = qcow2::check(&*file(&path, true)).unwrap();
        assert_eq!((report.errors, report.leaked), (0, 0), "{report:?}");
    }
    qemu_img(&["snapshot", "-c", "a", path.to_str().unwrap()]);
    let report = qcow2::check(&*file(&path, true)).unwrap();
    assert_eq!((report.errors, report.leaked), (0, 0), "{report:?}");
    // Tables that many snapshots share: more references than the file has clusters.
    let shared = dir.path().join("shared.qcow2");
    create(&shared, &CreateOptions { cluster_bits: 9, ..CreateOptions::new(MIB) });
    open(&shared).write(0, &[IoSlice::new(&contract::Random::new(1).bytes(512))]).unwrap();
    (0..30).for_each(|n| open(&shared).write(n * 32768, &[IoSlice::new(&[1; 512])]).unwrap());
    for n in 0..60 {
        qemu_img(&["snapshot", "-c", &n.to_string(), shared.to_str().unwrap()]);
    }
    let report = qcow2::check(&*file(&shared, true)).unwrap();
    assert_eq!((report.errors, report.leaked), (0, 0), "{report:?}");
    let packed = dir.path().join("packed.qcow2");
    qemu_img(&["convert", "-c", "-O", "qcow2", path.to_str().unwrap(), packed.to_str().unwrap()]);
    let report = qcow2::check(&*file(&packed, true)).unwrap();
    assert_eq!((report.errors, report.leaked), (0, 0), "{report:?}");
}

#[test]
fn wrong_counts_are_found_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    with_data(&path, 16);
    let before = contents(&open_as(&path, true));
    // The first refcount block is the third cluster; a count has two bytes.
    let blocks = File::options().write(true).open(&path).unwrap();
    blocks.write_all_at(&[0, 0, 0, 0, 0, 9], (2 << 16) + 8).unwrap();
    blocks.write_all_at(&[0, 1], (2 << 16) + 20_000).unwrap();
    drop(blocks);
    let report = qcow2::check(&*file(&path, true)).unwrap();
    assert!(report.errors == 2 && report.repairable, "{report:?}");
    qcow2::repair(&file(&path, false)).unwrap();
    check(&path);
    assert!(contents(&open(&path)) == before);
}

#[test]
fn damage_beyond_counts_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    with_data(&path, 16);
    let l1 = qcow2::Qcow2::header_of(&*file(&path, true)).unwrap().l1_offset;
    File::options().write(true).open(&path).unwrap().write_all_at(&[0x80, 0, 0, 0x7f], l1).unwrap();
    let before = fs::read(&path).unwrap();
    let report = qcow2::check(&*file(&path, true)).unwrap();
    assert!(report.errors > 0 && !report.repairable && !report.told.is_empty(), "{report:?}");
    assert!(qcow2::repair(&file(&path, false)).is_err());
    assert!(fs::read(&path).unwrap() == before);
}
