//! A medium that fills up, fails and tears writes below the format: the guest is told, goes on when there is space
//! again, and after another start nothing that was flushed is lost and the image is consistent.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::sync::Arc;

use block::contract::{FaultyDisk, MemoryDisk, Random};
use block::qcow2::{self, CreateOptions, Qcow2};
use block::{Disk, Error};

use crate::images::{MIB, check, contents};

const SIZE: u64 = 2 * MIB;

/// A guest, and what it knows about its disk.
struct Guest {
    random: Random,
    /// What it would read.
    now: Vec<u8>,
    /// What it has flushed.
    flushed: Vec<u8>,
    /// Which bytes it has changed since.
    changed: Vec<bool>,
    /// Changes that failed because there was no space, or for another reason.
    full: usize,
    failed: usize,
}

impl Guest {
    fn new(seed: u64) -> Self {
        let zeroes = vec![0; SIZE as usize];
        let (now, flushed, changed) = (zeroes.clone(), zeroes, vec![false; SIZE as usize]);
        Self { random: Random::new(seed), now, flushed, changed, full: 0, failed: 0 }
    }

    /// Random changes and flushes. A change that fails leaves old or new bytes in its range and no others.
    fn work(&mut self, disk: &dyn Disk, steps: usize, at: &str) {
        for step in 0..steps {
            let (offset, len) = self.random.range(SIZE, 150_000);
            let span = offset as usize..(offset + len) as usize;
            let (new, result) = match self.random.below(8) {
                0..5 => {
                    let data = self.random.bytes(len as usize);
                    let written = disk.write(offset, &[IoSlice::new(&data)]);
                    (data, written)
                }
                5 => {
                    let unmap = self.random.below(2) == 0;
                    (vec![0; len as usize], disk.write_zeroes(offset, len, unmap))
                }
                _ => {
                    self.flush(disk);
                    continue;
                }
            };
            self.changed[span.clone()].fill(true);
            let Err(error) = result else {
                self.now[span].copy_from_slice(&new);
                continue;
            };
            self.count(&error);
            let is = contents(disk);
            let (start, end) = (span.start, span.end);
            let outside = is[..start] == self.now[..start] && is[end..] == self.now[end..];
            let mut inside = span.zip(&new).map(|(i, new)| is[i] == self.now[i] || is[i] == *new);
            assert!(outside && inside.all(|right| right), "{at}, step {step}: {error} at {offset:#x}, {len} bytes");
            self.now = is;
        }
        assert!(contents(disk) == self.now, "{at}");
    }

    fn flush(&mut self, disk: &dyn Disk) {
        match disk.flush() {
            Ok(()) => {
                self.flushed.clone_from(&self.now);
                self.changed.fill(false);
            }
            Err(error) => {
                self.count(&error);
                // Final until the image is opened again, unless there was only no space.
                assert!(is_full(&error) || matches!(disk.flush(), Err(Error::FlushFailed)), "{error}");
            }
        }
    }

    fn count(&mut self, error: &Error) {
        match error {
            full if is_full(full) => self.full += 1,
            Error::Io { .. } | Error::FlushFailed => self.failed += 1,
            other => panic!("the guest is told {other}"),
        }
    }

    /// After another start: what was flushed is there.
    fn compare(&mut self, disk: &dyn Disk, at: &str) {
        let is = contents(disk);
        let lost = (0..is.len()).find(|i| !self.changed[*i] && is[*i] != self.flushed[*i]);
        assert_eq!(lost, None, "{at}: a byte that was flushed is lost");
        self.now = is;
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull)
}

/// Works on an image through `faults` and, after another start with all well again, without; gives what the guest
/// was told.
fn goes_through(seed: u64, cluster_bits: u32, faults: impl Fn(&FaultyDisk, u64)) -> Guest {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.qcow2");
    let memory = Arc::new(MemoryDisk::new(0));
    qcow2::create(&*memory, &CreateOptions { cluster_bits, ..CreateOptions::new(SIZE) }).unwrap();
    let mut guest = Guest::new(seed);
    for round in 0..3 {
        let at = format!("seed {seed}, clusters of 2^{cluster_bits}, round {round}");
        let store = Arc::new(FaultyDisk::new(memory.clone(), seed * 10 + round));
        let disk = Qcow2::open_with_cache(store.clone(), None, 1 << 12).unwrap();
        guest.work(&disk, 10, &at);
        guest.flush(&disk);
        faults(&store, round);
        guest.work(&disk, 25, &at);
        if guest.failed == 0 && round == 1 {
            // Nothing is final yet.
            store.leave_space(None);
            guest.work(&disk, 25, &at);
            disk.flush().unwrap_or_else(|e| panic!("{at}: {e}"));
            guest.flush(&disk);
        }
        drop(disk);
        std::fs::write(&path, memory.contents()).unwrap();
        let again = Qcow2::open(memory.clone(), None).unwrap_or_else(|e| panic!("{at}: {e}"));
        guest.compare(&again, &at);
        guest.work(&again, 10, &at);
        again.flush().unwrap();
        guest.flush(&again);
        drop(again);
        // Leaks of before, if any, are mended here, so that nothing else can hide behind them.
        qcow2::repair(&(memory.clone() as Arc<dyn Disk>)).unwrap();
        std::fs::write(&path, memory.contents()).unwrap();
        check(&path);
    }
    guest
}

#[test]
fn a_full_medium_is_told_and_loses_nothing() {
    let mut full = 0;
    for (seed, cluster_bits) in [(1, 9), (2, 12), (3, 16), (4, 12), (5, 16), (6, 9), (7, 12), (8, 9)] {
        let guest = goes_through(seed, cluster_bits, |store, round| {
            // Tables that are there find no space either.
            if seed % 2 == 0 {
                store.copy_on_write();
            }
            store.leave_space(Some(round * 150_000));
        });
        full += guest.full;
    }
    assert!(full > 50, "only {full} changes met a full medium");
}

#[test]
fn writes_that_fail_or_tear_are_told_and_lose_nothing() {
    let mut failed = 0;
    for (seed, cluster_bits) in [(11, 9), (12, 12), (13, 16), (14, 12), (15, 16), (16, 9)] {
        failed += goes_through(seed, cluster_bits, |store, round| store.fail_changes(4 + 10 * round)).failed;
    }
    assert!(failed > 50, "only {failed} changes failed");
}

#[test]
fn after_a_flush_that_failed_none_succeeds_until_another_start() {
    for (seed, cluster_bits) in [(21, 9), (22, 12), (23, 16)] {
        let guest = goes_through(seed, cluster_bits, |store, _| store.fail_flushes(true));
        assert!(guest.failed > 0);
    }
}

#[test]
fn a_write_finds_space_again_when_there_is_some() {
    let store = Arc::new(FaultyDisk::new(Arc::new(MemoryDisk::new(0)), 1));
    qcow2::create(&*store, &CreateOptions { cluster_bits: 12, ..CreateOptions::new(SIZE) }).unwrap();
    let disk = Qcow2::open(store.clone(), None).unwrap();
    store.leave_space(Some(0));
    for _ in 0..2 {
        let error = disk.write(65536, &[IoSlice::new(&[7; 65536])]).unwrap_err();
        assert!(is_full(&error), "{error}");
    }
    let mut read = vec![1; 65536];
    disk.read(65536, &mut [IoSliceMut::new(&mut read)]).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
    store.leave_space(None);
    disk.write(65536, &[IoSlice::new(&[7; 65536])]).unwrap();
    disk.flush().unwrap();
    disk.read(65536, &mut [IoSliceMut::new(&mut read)]).unwrap();
    assert!(read.iter().all(|byte| *byte == 7));
}
