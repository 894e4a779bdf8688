//! Clients of consoles come and go; the guest's side is a pipe's other end.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use devices::virtio::console::{PipePort, PortBackend, pipe};

use super::*;

fn guest_writes(guest: &Arc<PipePort>, mut data: &[u8]) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !data.is_empty() {
        assert!(Instant::now() < limit, "the guest is held up");
        let n = guest.write(data);
        data = &data[n..];
        thread::sleep(Duration::from_millis(u64::from(n == 0)));
    }
}

fn guest_reads(guest: &Arc<PipePort>, wanted: usize) -> Vec<u8> {
    let (mut got, mut buf) = (Vec::new(), [0; 64]);
    let limit = Instant::now() + Duration::from_secs(20);
    while got.len() < wanted {
        assert!(Instant::now() < limit, "the guest waits for input");
        let n = guest.read(&mut buf);
        got.extend(&buf[..n]);
        thread::sleep(Duration::from_millis(u64::from(n == 0)));
    }
    got
}

fn read_exactly(mut from: impl Read, len: usize) -> Vec<u8> {
    let mut got = vec![0; len];
    from.read_exact(&mut got).unwrap();
    got
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_pseudo_terminal_keeps_what_was_said_and_takes_clients_one_after_the_other() {
    let (guest, end) = pipe();
    let console = Console::pty(end).unwrap();
    let path = console.path().unwrap().to_owned();
    guest_writes(&guest, b"before\r\n");
    for text in ["first\n", "second\x03\x04\x11\x13"] {
        assert!(!console.has_client());
        let mut client = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        if text.starts_with("first") {
            assert_eq!(read_exactly(&client, 8), b"before\r\n", "raw: no translation of line ends");
        }
        until("the client is seen", || console.has_client());
        client.write_all(text.as_bytes()).unwrap();
        assert_eq!(guest_reads(&guest, text.len()), text.as_bytes());
        guest_writes(&guest, b"$ ");
        assert_eq!(read_exactly(&client, 2), b"$ ");
        drop(client);
        until("the client is gone", || !console.has_client());
    }
    drop(console);
    assert_eq!(guest.write(b"nobody hears this"), 17);
}

#[test]
fn a_socket_is_made_used_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (guest, end) = pipe();
    let console = Console::socket(end, &path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let (_, other) = pipe();
    assert!(Console::socket(other, &path).is_err(), "it is in use");
    for round in 0..3u8 {
        guest_writes(&guest, &[round; 10]);
        let mut client = UnixStream::connect(&path).unwrap();
        assert_eq!(read_exactly(&client, 10), [round; 10]);
        client.write_all(b"hello").unwrap();
        assert_eq!(guest_reads(&guest, 5), b"hello");
        drop(client);
        until("the client is gone", || !console.has_client());
    }
    drop(console);
    assert!(!path.exists());
}

#[test]
fn only_the_last_output_is_kept_and_a_slow_client_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let (guest, end) = pipe();
    let console = Console::socket(end, &path).unwrap();
    let big: Vec<u8> = (0..200_000u32).map(|i| (i * 31 / 7) as u8).collect();
    guest_writes(&guest, &big);
    guest_writes(&guest, b"the end");
    thread::sleep(Duration::from_millis(100));
    let client = UnixStream::connect(&path).unwrap();
    let last = [&big[big.len() - 65536 + 7..], b"the end"].concat();
    assert!(read_exactly(&client, 65536) == last);
    let (writer, sent) = (guest.clone(), big.clone());
    let writer = thread::spawn(move || (0..5).for_each(|_| guest_writes(&writer, &sent)));
    thread::sleep(Duration::from_millis(100));
    assert!(!writer.is_finished(), "the guest is held up while nobody reads");
    for _ in 0..5 {
        assert!(read_exactly(&client, big.len()) == big);
    }
    writer.join().unwrap();
    drop(console);
}

#[test]
fn a_client_that_never_reads_does_not_hold_the_end_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let (guest, end) = pipe();
    let console = Console::socket(end, &path).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    until("the client is seen", || console.has_client());
    let limit = Instant::now() + Duration::from_secs(20);
    let mut stuck = 0;
    while stuck < 20 {
        assert!(Instant::now() < limit);
        stuck = if guest.write(&[0; 4096]) == 0 { stuck + 1 } else { 0 };
        thread::sleep(Duration::from_millis(2));
    }
    let started = Instant::now();
    drop(console);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_file_gets_everything_and_is_emptied_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for (append, want) in [(false, "one"), (true, "oneone"), (false, "one")] {
        let (guest, end) = pipe();
        let console = Console::file(end, &path, append).unwrap();
        guest_writes(&guest, b"one");
        drop(console);
        let mut text = String::new();
        File::open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, want);
    }
    let (_, end) = pipe();
    assert!(Console::file(end, folder.path(), false).is_err());
}

#[test]
fn a_stream_is_the_callers_and_is_taken_once() {
    let (guest, end) = pipe();
    let console = Console::stream(end);
    let mut stream = console.take_stream().unwrap();
    assert!(console.take_stream().is_none());
    stream.write_all(b"in").unwrap();
    assert_eq!(guest_reads(&guest, 2), b"in");
    guest_writes(&guest, b"out");
    stream.close();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"out");
    assert!(stream.write(b"more").is_err());
}
