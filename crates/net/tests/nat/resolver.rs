//! The host's name servers change, go away and come back, in a namespace that has an `/etc/resolv.conf` of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use net::nat::Config;

use super::guest::{GATEWAY, GATEWAY_MAC, GUEST, Guest, MAC};
use super::local::udp;
use super::namespace::{inside, run};

/// A name server.
fn server(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// The guest asks `name`, from one port always, until `server` has heard it; and it gets the server's answer.
fn ask(guest: &mut Guest, server: &UdpSocket, name: &str) {
    let question = udp(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, 53), name.as_bytes());
    let mut bytes = [0; 100];
    let (len, from): (usize, SocketAddr) = (0..200)
        .find_map(|_| {
            guest.inject(question.clone());
            std::thread::sleep(Duration::from_millis(50));
            server.recv_from(&mut bytes).ok()
        })
        .unwrap_or_else(|| panic!("{name} does not come to {server:?}"));
    assert_eq!(&bytes[..len], name.as_bytes());
    while server.recv(&mut bytes).is_ok() {}
    server.send_to(b"answer", from).unwrap();
    guest.cable.to_guest.clear();
    for _ in 0..200 {
        guest.router.turn(&mut guest.cable, false).unwrap();
        if guest.cable.to_guest.iter().any(|frame| frame.ends_with(b"answer")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the answer to {name} does not come");
}

#[test]
fn the_relay_follows_the_hosts_name_servers() {
    if !inside("resolver::the_relay_follows_the_hosts_name_servers") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resolv.conf");
    let say = |text: &str| std::fs::write(&file, text).unwrap();
    say("nameserver 127.0.0.1\n");
    run(&format!("mount --bind {} /etc/resolv.conf", file.display()));
    let (first, second) = (server("127.0.0.1"), server("127.0.0.2"));
    let mut guest = Guest::with(Config::default());
    ask(&mut guest, &first, "at home");
    // A VPN comes, and the server of before is not asked any more, even of the same socket of the guest.
    say("search office\nnameserver 127.0.0.2\n");
    ask(&mut guest, &second, "in the office");
    while first.recv(&mut [0; 100]).is_ok() {}
    ask(&mut guest, &second, "in the office, too");
    assert!(first.recv(&mut [0; 100]).is_err(), "what is asked in the office is heard at home");
    // Its server is started again.
    drop(second);
    for _ in 0..3 {
        guest.inject(udp(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, 53), b"is anybody there"));
        std::thread::sleep(Duration::from_millis(50));
    }
    ask(&mut guest, &server("127.0.0.2"), "back again");
    // And the VPN goes, of which nothing is left but a file without servers: the host itself is asked.
    say("search home\n");
    ask(&mut guest, &first, "at home again");
}
