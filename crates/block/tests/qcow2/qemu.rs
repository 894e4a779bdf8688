//! Images made by `qemu-img` and read and written by us, and the other way round, bit by bit.

use std::io::IoSlice;
use std::ops::ControlFlow;
use std::path::Path;

use block::image;
use block::qcow2::{BackingName, CreateOptions, Qcow2};
use block::{Disk, contract};

use crate::images::{MIB, check, contents, create, file, open, open_as, qemu_img};

/// Bytes with holes and repetitions, so that some compress and some do not.
fn sample(seed: u64, len: u64) -> Vec<u8> {
    let mut random = contract::Random::new(seed);
    let mut bytes = random.bytes(len as usize);
    for chunk in bytes.chunks_mut(70_000) {
        match random.below(3) {
            0 => chunk.fill(0),
            1 => chunk.fill(random.below(256) as u8),
            _ => {}
        }
    }
    bytes
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes at random, and returns what must be there then.
fn scribble(disk: &Qcow2, seed: u64) -> Vec<u8> {
    let mut expected = contents(disk);
    let mut random = contract::Random::new(seed);
    for _ in 0..40 {
        let (offset, len) = random.range(disk.size(), 200_000);
        let data = random.bytes(len as usize);
        disk.write(offset, &[IoSlice::new(&data)]).unwrap();
        expected[offset as usize..(offset + len) as usize].copy_from_slice(&data);
    }
    assert!(contents(disk) == expected);
    expected
}

#[test]
fn images_of_qemu_are_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, path) = (dir.path().join("raw.img"), dir.path().join("disk.qcow2"));
    for (seed, (options, compressed)) in [
        ("compat=1.1", false),
        ("compat=0.10", false),
        ("compat=1.1", true),
        ("compat=0.10", true),
        ("compat=1.1,compression_type=zstd", true),
        ("cluster_size=512", false),
        ("cluster_size=4k", true),
        ("cluster_size=2M", false),
        ("cluster_size=2M", true),
        ("refcount_bits=1", false),
        ("refcount_bits=4", true),
        ("refcount_bits=64", true),
        ("lazy_refcounts=on", false),
        ("preallocation=metadata", false),
        ("preallocation=full", false),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = sample(seed as u64, 3 * MIB + 512 * seed as u64);
        std::fs::write(&raw, &bytes).unwrap();
        let mut args = vec!["convert", "-f", "raw", "-O", "qcow2", "-o", options];
        args.extend(compressed.then_some("-c"));
        qemu_img(&[&args[..], &[str(&raw), str(&path)]].concat());
        assert!(contents(&open_as(&path, true)) == bytes, "{options} reads otherwise");
        let expected = scribble(&open(&path), seed as u64);
        check(&path);
        qemu_img(&["convert", "-f", "qcow2", "-O", "raw", str(&path), str(&raw)]);
        assert!(std::fs::read(&raw).unwrap() == expected, "{options}: qemu-img reads otherwise");
    }
}

#[test]
fn chains_of_qemu_are_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name);
    std::fs::write(name("base.img"), sample(1, 4 * MIB)).unwrap();
    let (mid, top) = (name("mid.qcow2"), name("top.qcow2"));
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", "base.img", "-F", "raw", str(&mid)]);
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "cluster_size=4k",
        "-b",
        "mid.qcow2",
        "-F",
        "qcow2",
        str(&top),
        "6M",
    ]);
    scribble(&open(&mid), 2);
    let expected = scribble(&open(&top), 3);
    check(&top);
    qemu_img(&["convert", "-O", "raw", str(&top), str(&name("out.img"))]);
    assert!(std::fs::read(name("out.img")).unwrap() == expected);
}

#[test]
fn our_images_are_read_and_written_by_qemu() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    std::fs::write(dir.path().join("base.img"), sample(1, 2 * MIB)).unwrap();
    for (seed, bits) in [9, 12, 16, 21].into_iter().enumerate() {
        for backing in [None, Some(BackingName { name: "base.img".into(), format: Some("raw".into()) })] {
            let version = 2 + seed as u32 % 2;
            create(&path, &CreateOptions { cluster_bits: bits, version, backing, ..CreateOptions::new(5 * MIB) });
            check(&path);
            let mut expected = scribble(&open(&path), seed as u64);
            let io = std::process::Command::new("qemu-io")
                .args(["-f", "qcow2", "-c", "write -P 77 1000k 700k", "-c", "write -z 3M 64k", str(&path)])
                .output()
                .expect("qemu-io is needed");
            assert!(io.status.success(), "{io:?}");
            expected[1000 << 10..1700 << 10].fill(77);
            expected[3 << 20..(3 << 20) + (64 << 10)].fill(0);
            assert!(contents(&open(&path)) == expected, "clusters of 2^{bits}");
            check(&path);
        }
    }
}

#[test]
fn writing_beside_internal_snapshots_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, path) = (dir.path().join("raw.img"), dir.path().join("disk.qcow2"));
    let bytes = sample(9, 3 * MIB);
    std::fs::write(&raw, &bytes).unwrap();
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", str(&raw), str(&path)]);
    qemu_img(&["snapshot", "-c", "before", str(&path)]);
    let expected = scribble(&open(&path), 10);
    check(&path);
    assert!(contents(&open_as(&path, true)) == expected);
    let out = dir.path().join("out.img");
    qemu_img(&["convert", "-O", "raw", "-l", "snapshot.name=before", str(&path), str(&out)]);
    assert!(std::fs::read(out).unwrap() == bytes, "the snapshot has changed");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    let data = format!("data_file={}", str(&dir.path().join("data.img")));
    for (options, said) in [("extended_l2=on", "extended_l2"), (&data, "data_file")] {
        qemu_img(&["create", "-q", "-f", "qcow2", "-o", options, str(&path), "1M"]);
        let error = Qcow2::header_of(&*file(&path, true)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn images_that_we_compress_are_read_by_qemu_and_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, path) = (dir.path().join("raw.img"), dir.path().join("disk.qcow2"));
    for cluster_bits in [9, 12, 16, 21] {
        // The disk ends in a cluster.
        let len = if cluster_bits == 9 { MIB } else { 7 * MIB + 512 };
        let bytes = sample(u64::from(cluster_bits), len);
        std::fs::write(&raw, &bytes).unwrap();
        create(&path, &CreateOptions { cluster_bits, ..CreateOptions::new(len) });
        image::pack(&*file(&raw, true), open(&path), &mut |_| ControlFlow::Continue(())).unwrap();
        check(&path);
        qemu_img(&["compare", "-q", "-f", "raw", "-F", "qcow2", str(&raw), str(&path)]);
        let plain = dir.path().join("plain.qcow2");
        create(&plain, &CreateOptions { cluster_bits, ..CreateOptions::new(len) });
        image::copy(&*file(&raw, true), &open(&plain), &mut |_| ControlFlow::Continue(())).unwrap();
        let (packed, plain) = (path.metadata().unwrap().len(), plain.metadata().unwrap().len());
        assert!(packed < plain, "clusters of 2^{cluster_bits}: {packed} bytes, uncompressed {plain}");

        // What is written over compressed clusters lets go of its part of the clusters that they share.
        let disk = open(&path);
        assert!(contents(&disk) == bytes, "clusters of 2^{cluster_bits}");
        let expected = scribble(&disk, 5);
        disk.flush().unwrap();
        drop(disk);
        check(&path);
        std::fs::write(&raw, &expected).unwrap();
        qemu_img(&["compare", "-q", "-f", "raw", "-F", "qcow2", str(&raw), str(&path)]);
    }
}

#[test]
fn compressing_ends_where_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, path) = (dir.path().join("raw.img"), dir.path().join("disk.qcow2"));
    std::fs::write(&raw, sample(1, 20 * MIB)).unwrap();
    create(&path, &CreateOptions::new(20 * MIB));
    let stop = &mut |done| if done < 9 * MIB { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let error = image::pack(&*file(&raw, true), open(&path), stop).unwrap_err();
    assert!(matches!(error, block::Error::Cancelled), "{error}");
    check(&path);
}
