//! A disk with limits: it is the disk that is limited, and no faster than it may be, by however many threads.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use block::contract::{self, MemoryDisk};
use block::{Disk, Limits, Throttle};

const SIZE: usize = 1 << 20;

fn limited(limits: Limits) -> Throttle {
    Throttle::new(Arc::new(MemoryDisk::new(SIZE)), limits)
}

#[test]
fn it_is_the_disk_that_is_limited() {
    let disk = limited(Limits { bytes: Some(1 << 40), requests: Some(1 << 30) });
    contract::operations(&disk, 1, 300);
    contract::threads(&disk, 2, 50);
    contract::extents(&disk);
    disk.resize(SIZE as u64 * 2).unwrap();
    assert_eq!(disk.size(), SIZE as u64 * 2);
    let protected = Throttle::new(Arc::new(MemoryDisk::new(SIZE).read_only()), Limits::default());
    contract::read_only(&protected);
}

/// How long four threads take for `each` requests, of 16 KiB in all ways there are.
fn time(disk: &Throttle, each: usize) -> Duration {
    let start = Instant::now();
    let work = || {
        let mut bytes = vec![1; 16 << 10];
        for n in 0..each {
            let offset = (n % 8 * bytes.len()) as u64;
            match n % 4 {
                0 => disk.read(offset, &mut [IoSliceMut::new(&mut bytes)]),
                1 => disk.write(offset, &[IoSlice::new(&bytes)]),
                2 => disk.write_durable(offset, &[IoSlice::new(&bytes)]),
                _ => disk.write_zeroes(offset, bytes.len() as u64, false),
            }
            .unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    start.elapsed()
}

/// At this rate they would wait for weeks.
#[test]
fn who_is_not_to_wait_does_not() {
    let disk = limited(Limits { requests: None, bytes: Some(1) });
    thread::scope(|scope| {
        let work = scope.spawn(|| time(&disk, 4));
        thread::sleep(Duration::from_millis(50));
        assert!(!work.is_finished());
        disk.set_patience(false);
        work.join().unwrap();
    });
}

/// Only the least time can be told: a host may be as slow as it likes.
#[test]
fn it_is_no_faster_than_it_may_be() {
    // A burst is a tenth of a second, and the last request is not waited for.
    let disk = limited(Limits { requests: Some(200), bytes: None });
    assert!(time(&disk, 25) >= Duration::from_millis(390), "100 requests at 200 a second");
    let disk = limited(Limits { requests: None, bytes: Some(4 << 20) });
    assert!(time(&disk, 25) >= Duration::from_millis(280), "1600 KiB at 4 MiB a second");
    // The stricter one of both counts.
    let disk = limited(Limits { requests: Some(1_000_000), bytes: Some(4 << 20) });
    assert!(time(&disk, 25) >= Duration::from_millis(280));
}
