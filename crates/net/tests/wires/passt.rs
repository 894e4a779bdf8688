//! Against Debian's passt: its DHCP, and a TCP connection through it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use net::{Offloads, socket};

use crate::card::PATIENCE;
use crate::guest::{Guest, pattern};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn passt_gives_an_address_and_carries_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    // passt gives its rights up before it listens.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let path = folder.path().join("passt.sock");
    let command = Command::new("passt").arg("-f").arg("-s").arg(&path).stderr(Stdio::null()).spawn();
    let _passt = Process(command.expect("passt starts"));
    let end = Instant::now() + PATIENCE;
    let network = loop {
        match socket::stream(&path, 65520) {
            Ok(network) => break network,
            Err(error) => assert!(Instant::now() < end, "passt does not listen: {error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
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
