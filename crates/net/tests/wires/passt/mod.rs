//! Against Debian's passt: its DHCP, and a TCP connection through it.

mod process;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use net::{Offloads, socket};

use self::process::Passt;
use crate::card::PATIENCE;
use crate::guest::{Guest, pattern};

#[test]
fn passt_gives_an_address_and_carries_a_connection() {
    let passt = Passt::start(&[], PATIENCE);
    // Its socket is there a moment before it listens.
    let end = Instant::now() + PATIENCE;
    let network = loop {
        match socket::stream(passt.path(), 65520) {
            Ok(network) => break network,
            Err(error) => assert!(Instant::now() < end, "passt does not listen: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = vec![0; 500_000];
        stream.read_exact(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut guest = Guest::new(network, Offloads::CHECKSUM, 7);
    // The router's address is the host's loopback, behind passt.
    let router = guest.dhcp();
    let client = guest.connect((router, port));
    guest.echo(client, &pattern(500_000), || {});
    server.join().unwrap();
}
