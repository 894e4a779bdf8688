//! Servers that go away, and come back.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use block::contract::{MemoryDisk, Random};
use block::nbd::ClientOptions;
use block::{Disk, Error};
use tempfile::tempdir;

use crate::serving::{Ours, Theirs, connect, connect_with, until};

const SIZE: u64 = 4 << 20;

/// Writers with a model each, while the server is killed and started again and again.
#[test]
fn no_acknowledged_write_is_lost_when_the_server_is_killed() {
    const WRITERS: u64 = 3;
    let folder = tempdir().unwrap();
    let (socket, image) = (folder.path().join("s"), folder.path().join("disk"));
    File::create(&image).unwrap().set_len(SIZE).unwrap();
    let mut server = Theirs::qemu_nbd(&socket, &image, &[]);
    let client = connect(&server.uri());
    let stop = AtomicBool::new(false);
    let rounds = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, stop) = (&client, &stop);
                scope.spawn(move || write_and_check(client, writer * (SIZE / WRITERS), SIZE / WRITERS, writer, stop))
            })
            .collect();
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(150));
            server.kill();
            thread::sleep(Duration::from_millis(100));
            server = Theirs::qemu_nbd(&socket, &image, &[]);
        }
        thread::sleep(Duration::from_millis(150));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|w| w.join().unwrap()).min().unwrap()
    });
    assert!(rounds > 5, "the writers came to {rounds} rounds only");
}

fn write_and_check(client: &dyn Disk, start: u64, len: u64, seed: u64, stop: &AtomicBool) -> usize {
    let (mut random, mut model, mut rounds) = (Random::new(seed), vec![0; len as usize], 0);
    while !stop.load(Ordering::Relaxed) {
        let (offset, count) = random.range(len, 40_000);
        let data = random.bytes(count as usize);
        client.write(start + offset, &[IoSlice::new(&data)]).unwrap();
        model[offset as usize..][..count as usize].copy_from_slice(&data);
        if random.below(8) == 0 {
            client.flush().unwrap();
        }
        let (offset, count) = random.range(len, 40_000);
        let mut got = vec![0; count as usize];
        client.read(start + offset, &mut [IoSliceMut::new(&mut got)]).unwrap();
        assert!(got == model[offset as usize..][..count as usize], "seed {seed} round {rounds}: {offset}+{count}");
        rounds += 1;
    }
    let mut got = vec![0; len as usize];
    client.read(start, &mut [IoSliceMut::new(&mut got)]).unwrap();
    assert!(got == model, "seed {seed}: a write was lost");
    rounds
}

/// The server's host loses power: what was acknowledged and not flushed is gone there, and must come from here.
#[test]
fn what_the_server_forgot_is_written_again() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&socket, disk.clone());
    let client = connect(&server.uri());
    let put = |at: u64, byte: u8| client.write(at, &[IoSlice::new(&[byte; 5000])]).unwrap();
    put(0, 1);
    client.flush().unwrap();
    put(4000, 2);
    client.write_durable(5000, &[IoSlice::new(&[3; 100])]).unwrap();
    client.write_zeroes(8000, 500, true).unwrap();
    let expected = disk.contents();
    // A server that stops flushes; this one's power fails instead.
    let copy = Arc::new(MemoryDisk::new(1 << 20));
    copy.write(0, &[IoSlice::new(&[1; 5000])]).unwrap();
    drop(server);
    let server = Ours::of(&socket, copy.clone());
    client.flush().unwrap();
    copy.lose_power();
    assert!(copy.contents() == expected, "an acknowledged write was lost");
    drop((client, server));
}

#[test]
fn requests_wait_for_a_server_and_then_fail_and_later_work_again() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&socket, disk.clone());
    let options = ClientOptions { reconnect_for: Duration::from_millis(700), ..ClientOptions::default() };
    let client = connect_with(&server.uri(), &options);
    client.write(0, &[IoSlice::new(&[7; 512])]).unwrap();
    server.stop().unwrap();
    let mut buf = [0; 512];
    let Err(Error::Io { source, .. }) = client.read(0, &mut [IoSliceMut::new(&mut buf)]) else { panic!("it is gone") };
    assert!(source.to_string().contains("is gone"), "{source}");
    assert!(client.flush().is_err());
    let server = Ours::of(&socket, disk);
    until("the disk works again", || client.read(0, &mut [IoSliceMut::new(&mut buf)]).is_ok());
    assert_eq!(buf, [7; 512]);
    client.flush().unwrap();
    drop((client, server));
}

#[test]
fn who_is_not_to_wait_for_a_server_does_not() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&socket, disk.clone());
    let options = ClientOptions { reconnect_for: Duration::from_secs(1_000_000), ..ClientOptions::default() };
    let client = connect_with(&server.uri(), &options);
    server.stop().unwrap();
    let read = || client.read(0, &mut [IoSliceMut::new(&mut [0; 512])]);
    thread::scope(|scope| {
        let waits = scope.spawn(read);
        thread::sleep(Duration::from_millis(50));
        assert!(!waits.is_finished());
        client.set_patience(false);
        assert!(matches!(waits.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(matches!(read(), Err(Error::Cancelled)));
    // Until it may again.
    let server = Ours::of(&socket, disk);
    client.set_patience(true);
    read().unwrap();
    drop((client, server));
}

#[test]
fn a_silent_server_is_a_lost_one() {
    let folder = tempdir().unwrap();
    let server = Theirs::nbdkit(&folder.path().join("s"), &["--filter=delay", "memory", "1M", "delay-read=60"]);
    let options = ClientOptions {
        answer_within: Duration::from_millis(300),
        reconnect_for: Duration::from_millis(300),
        ..ClientOptions::default()
    };
    let client = connect_with(&server.uri(), &options);
    let mut buf = [0; 512];
    assert!(matches!(client.read(0, &mut [IoSliceMut::new(&mut buf)]), Err(Error::Io { .. })));
}

#[test]
fn another_disk_in_its_place_is_refused_for_good() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let server = Ours::of(&socket, Arc::new(MemoryDisk::new(1 << 20)));
    let client = connect(&server.uri());
    server.stop().unwrap();
    let server = Ours::of(&socket, Arc::new(MemoryDisk::new(2 << 20)));
    let mut buf = [0; 512];
    for _ in 0..2 {
        let error = client.read(0, &mut [IoSliceMut::new(&mut buf)]).unwrap_err().to_string();
        assert!(error.contains("2097152 bytes and had 1048576"), "{error}");
    }
    drop((client, server));
}
