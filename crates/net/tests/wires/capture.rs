//! Packet capture, read by tcpdump and by the letter.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::SystemTime;

use net::capture::{Captured, Options};
use net::{Meta, Offloads, socket};

use crate::card::Card;

fn network() -> (Box<dyn net::Backend>, UnixDatagram) {
    let (ours, peer) = UnixDatagram::pair().unwrap();
    peer.set_read_timeout(Some(crate::card::PATIENCE)).unwrap();
    (Box::new(socket::connected(ours.into(), 1500).unwrap()), peer)
}

/// An ARP request from 10.0.0.`n`.
fn arp(n: u8) -> Vec<u8> {
    let mut frame =
        [&[0xff; 6][..], &[2, 0, 0, 0, 0, n], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[2, 0, 0, 0, 0, n]].concat();
    frame.extend([10, 0, 0, n, 0, 0, 0, 0, 0, 0, 10, 0, 0, 99]);
    frame
}

/// The blocks of a file: type and body.
fn blocks(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (mut at, mut all) = (0, Vec::new());
    while at < file.len() {
        let len = word(at + 4) as usize;
        assert!(len.is_multiple_of(4) && word(at + len - 4) as usize == len);
        all.push((word(at), file[at + 8..at + len - 4].to_vec()));
        at += len;
    }
    all
}

#[test]
fn tcpdump_reads_both_directions_with_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.pcapng");
    let (network, peer) = network();
    let card = Card::plug(Captured::new(network, &path, Options::default()).unwrap(), Offloads::empty());
    let before = SystemTime::now();
    for n in 0..20 {
        card.send(&arp(n), Meta::default());
        peer.recv(&mut [0; 100]).unwrap();
        peer.send(&arp(100 + n)).unwrap();
        card.receive();
    }
    drop(card);
    let read = Command::new("tcpdump").args(["-nn", "-tt", "-r"]).arg(&path).output().expect("tcpdump starts");
    let text = String::from_utf8(read.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 40, "{text}{}", String::from_utf8_lossy(&read.stderr));
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    for (n, line) in lines.iter().enumerate() {
        let (time, rest) = line.split_once(' ').unwrap();
        let who = n / 2 + if n % 2 == 1 { 100 } else { 0 };
        assert!(rest.contains(&format!("who-has 10.0.0.99 tell 10.0.0.{who}, ")), "{line}");
        let time: f64 = time.parse().unwrap();
        assert!(time >= since(before) - 1.0 && time <= since(SystemTime::now()) + 1.0, "{line}");
    }
    // The flags of each packet: 2 sent, 1 received.
    let file = std::fs::read(&path).unwrap();
    let packets: Vec<_> = blocks(&file).into_iter().filter(|(kind, _)| *kind == 6).collect();
    for (n, (_, body)) in packets.iter().enumerate() {
        let options = &body[20 + 44..];
        assert_eq!(options[..8], [2, 0, 4, 0, if n % 2 == 0 { 2 } else { 1 }, 0, 0, 0]);
    }
}

#[test]
fn frames_are_cut_and_the_file_stays_in_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.pcapng");
    let (network, peer) = network();
    let options = Options { snap_len: 64, limit: Some(2000) };
    let card = Card::plug(Captured::new(network, &path, options).unwrap(), Offloads::empty());
    for n in 0..100 {
        card.send(&vec![n; 1000], Meta::default());
        peer.recv(&mut [0; 2000]).unwrap();
    }
    drop(card);
    let file = std::fs::read(&path).unwrap();
    assert!(file.len() <= 2000 && file.len() > 1500, "{}", file.len());
    let packets: Vec<_> = blocks(&file).into_iter().filter(|(kind, _)| *kind == 6).collect();
    assert!(packets.len() > 5);
    for (_, body) in packets {
        assert_eq!((&body[12..16], &body[16..20]), (&64u32.to_le_bytes()[..], &1000u32.to_le_bytes()[..]));
    }
}

#[test]
fn a_file_that_is_no_capture_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, "precious").unwrap();
    let refused = Captured::new(network().0, &path, Options::default()).err().unwrap();
    assert!(refused.to_string().contains("no packet capture"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    // An older capture is replaced.
    let path = folder.path().join("guest.pcapng");
    for _ in 0..2 {
        drop(Captured::new(network().0, &path, Options::default()).unwrap());
        assert_eq!(blocks(&std::fs::read(&path).unwrap()).len(), 2);
    }
}
