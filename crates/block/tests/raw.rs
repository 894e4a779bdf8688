//! Raw disks on files: the contract, sparseness, locks, and what is refused.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use block::{Caching, Disk, Error, Extent, ExtentKind, RawDisk, RawOptions, SyncMode, contract};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn image(size: u64) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    File::create_new(&path).unwrap().set_len(size).unwrap();
    (dir, path)
}

fn open(path: &Path) -> RawDisk {
    RawDisk::open(path, RawOptions::default()).unwrap()
}

fn read_only() -> RawOptions {
    RawOptions { read_only: true, ..RawOptions::default() }
}

#[test]
fn random_operations_match_the_model() {
    for seed in 0..6 {
        // Sizes that are no multiple of a block, too.
        let (_dir, path) = image(2 * MIB + seed * 777);
        let sync = [SyncMode::Full, SyncMode::Fsync, SyncMode::None][seed as usize % 3];
        let caching = [Caching::Cached, Caching::Uncached][seed as usize % 2];
        let disk = RawDisk::open(&path, RawOptions { sync, caching, read_only: false }).unwrap();
        contract::operations(&disk, seed, 300);
        assert_eq!(fs::metadata(&path).unwrap().len(), 2 * MIB + seed * 777, "the file's length changed");
    }
}

#[test]
fn threads_do_not_disturb_each_other() {
    let (_dir, path) = image(4 * MIB);
    let disk = open(&path);
    contract::threads(&disk, 7, 100);
    contract::overlapping(&disk, 7, 50);
}

#[test]
fn flushed_data_is_there_after_reopening() {
    let (_dir, path) = image(MIB);
    contract::reopened(|| Box::new(open(&path)), 1);
}

#[test]
fn a_read_only_disk_changes_nothing() {
    let (_dir, path) = image(MIB);
    fs::write(&path, vec![7; MIB as usize]).unwrap();
    contract::read_only(&RawDisk::open(&path, read_only()).unwrap());
}

#[test]
fn a_raw_disk_grows_and_shrinks_and_knows_its_holes() {
    let (_dir, path) = image(4 * MIB);
    let disk = open(&path);
    contract::resized(&disk, 5);
    assert_eq!(fs::metadata(&path).unwrap().len(), disk.size());
    disk.resize(0).unwrap();
    disk.resize(4 * MIB).unwrap();
    disk.write(MIB, &[IoSlice::new(&vec![1; MIB as usize])]).unwrap();
    contract::extents(&disk);
    if cfg!(target_os = "linux") {
        assert_eq!(disk.extent(0, 4 * MIB).unwrap(), Extent { len: MIB, kind: ExtentKind::Hole });
        assert_eq!(disk.extent(MIB + 1, 4096).unwrap(), Extent { len: 4096, kind: ExtentKind::Data });
        assert_eq!(disk.extent(2 * MIB, 5).unwrap(), Extent { len: 5, kind: ExtentKind::Hole });
    }
}

#[test]
fn the_disk_in_memory_keeps_the_contract_and_forgets_what_was_not_flushed() {
    let disk = contract::MemoryDisk::new(MIB as usize);
    contract::operations(&disk, 3, 300);
    contract::threads(&disk, 3, 50);
    contract::read_only(&contract::MemoryDisk::new(4096).read_only());
    contract::resized(&contract::MemoryDisk::new(MIB as usize), 3);
    disk.flush().unwrap();
    let flushed = disk.contents();
    disk.write(9, &[IoSlice::new(&[flushed[9] ^ 1])]).unwrap();
    disk.lose_power();
    assert!(disk.contents() == flushed);
}

#[test]
fn more_slices_than_one_system_call_takes() {
    let (_dir, path) = image(MIB);
    let disk = open(&path);
    let data: Vec<u8> = (0..9000u32).map(|i| (i % 251) as u8).collect();
    let slices: Vec<_> = data.chunks(3).map(IoSlice::new).collect();
    disk.write(5, &slices).unwrap();
    let mut got = vec![0; data.len()];
    let mut slices: Vec<_> = got.chunks_mut(2).map(IoSliceMut::new).collect();
    disk.read(5, &mut slices).unwrap();
    assert!(got == data);
}

#[cfg(target_os = "linux")]
#[test]
fn discard_and_zeroes_with_unmap_give_space_back_and_zeroes_without_keep_it() {
    use std::os::unix::fs::MetadataExt;

    let (_dir, path) = image(4 * MIB);
    let disk = open(&path);
    let blocks = || fs::metadata(&path).unwrap().blocks() * 512;
    assert_eq!(blocks(), 0, "a new image is sparse");
    disk.write(0, &[IoSlice::new(&vec![1; 4 * MIB as usize])]).unwrap();
    disk.flush().unwrap();
    let full = blocks();
    assert!(full >= 4 * MIB);
    disk.write_zeroes(0, MIB, false).unwrap();
    assert!(blocks() >= 4 * MIB, "zeroes without unmap freed space");
    disk.write_zeroes(MIB, MIB, true).unwrap();
    assert!(blocks() <= full - MIB, "zeroes with unmap freed nothing");
    disk.discard(2 * MIB, MIB).unwrap();
    assert!(blocks() <= full - 2 * MIB, "discard freed nothing");
}

#[test]
fn one_writer_or_many_readers_and_the_error_names_the_holder() {
    let (_dir, path) = image(MIB);
    let writer = open(&path);
    for options in [RawOptions::default(), read_only()] {
        let Err(Error::Locked { holders, .. }) = RawDisk::open(&path, options) else { panic!("opened twice") };
        // /proc/locks is empty in some sandboxes: then nobody can be named.
        if fs::read_to_string("/proc/locks").is_ok_and(|l| !l.is_empty()) {
            assert!(holders.iter().any(|h| h.contains(&std::process::id().to_string())), "{holders:?}");
        }
    }
    drop(writer);
    let reader = RawDisk::open(&path, read_only()).unwrap();
    let another = RawDisk::open(&path, read_only()).unwrap();
    assert!(matches!(RawDisk::open(&path, RawOptions::default()), Err(Error::Locked { .. })));
    drop((reader, another));
    open(&path);
}

#[test]
fn nobody_writes_to_a_file_that_is_write_protected() {
    let (_dir, path) = image(MIB);
    let mut permissions = path.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    // Not even the superuser, whom the system would let.
    assert!(matches!(RawDisk::open(&path, RawOptions::default()), Err(Error::WriteProtected { .. })));
    RawDisk::open(&path, read_only()).unwrap();
}

#[test]
fn what_is_no_disk_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for (path, said) in [
        (dir.path().to_owned(), "a folder"),
        (PathBuf::from("/dev/null"), "a character device"),
        (dir.path().join("none"), "No such file"),
    ] {
        let error = RawDisk::open(&path, RawOptions::default()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_file_cut_short_by_someone_else_is_an_error_and_not_old_data() {
    let (_dir, path) = image(MIB);
    let disk = open(&path);
    disk.write(0, &[IoSlice::new(&[1; 8192])]).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let mut buf = [0; 8192];
    assert!(matches!(disk.read(0, &mut [IoSliceMut::new(&mut buf)]), Err(Error::Io { .. })));
}

#[test]
fn whatever_the_guest_writes_the_file_stays_raw() {
    let (_dir, path) = image(MIB);
    let header = b"QFI\xfb\0\0\0\x03";
    open(&path).write(0, &[IoSlice::new(header)]).unwrap();
    let disk = open(&path);
    let mut got = [0; 8];
    disk.read(0, &mut [IoSliceMut::new(&mut got)]).unwrap();
    assert_eq!((disk.size(), &got), (MIB, header));
    File::open(&path).unwrap().read_exact_at(&mut got, 0).unwrap();
    assert_eq!(&got, header);
}
