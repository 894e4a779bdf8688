//! A shared network: several machines, and what happens when one goes.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use net::nat::{Config, Nat};
use net::switch::{Name, Uplink, join};
use net::{Meta, Offloads, PartialChecksum, Pump, SegmentKind, Segments};
use smoltcp::wire::DhcpOption;

use crate::card::Card;
use crate::guest::{Guest, talk};

fn enter(folder: &Path) -> Pump {
    join(folder, &"lan0".parse().unwrap(), None, 1500).unwrap()
}

#[test]
fn machines_talk_and_the_network_outlives_the_one_that_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |last| Guest::at(enter(folder.path()), Offloads::empty(), last);
    let (mut first, mut a, mut b) = (at(1), at(2), at(3));
    let server = first.listen(80);
    let client = a.connect((Ipv4Addr::new(10, 0, 0, 1), 80));
    talk(&mut a, client, &mut first, server, 100_000);
    let server = b.listen(80);
    let client = a.connect((Ipv4Addr::new(10, 0, 0, 3), 80));
    talk(&mut a, client, &mut b, server, 100_000);
    drop(first);
    // The very connection goes on, and new machines come in.
    talk(&mut a, client, &mut b, server, 100_000);
    let mut c = at(4);
    let client = c.connect((Ipv4Addr::new(10, 0, 0, 3), 81));
    let server = b.listen(81);
    talk(&mut c, client, &mut b, server, 100_000);
    drop((a, b, c));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["lan0.lock"]);
}

#[test]
fn frames_to_be_cut_pass_whole_to_who_takes_them_and_in_pieces_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let cards = [Offloads::all(), Offloads::all(), Offloads::empty()].map(|o| Card::plug(enter(folder.path()), o));
    let partial = Some(PartialChecksum { start: 34, offset: 6 });
    let meta = Meta { partial, segments: Some(Segments { kind: SegmentKind::Udp, size: 1000 }), verified: false };
    // To everybody, so that all get it.
    let mut large = [&[0xff; 6][..], &[2; 6], &[8, 0, 0x45, 0], &2028u16.to_be_bytes(), &[0, 0, 0x40, 0]].concat();
    large.extend([[64, 17, 0, 0], [10, 0, 0, 1], [10, 0, 0, 2], [0, 9, 0, 9], [0x07, 0xd8, 0, 0]].concat());
    large.extend([0x77; 2000]);
    for card in &cards {
        card.wait_carrier(true);
    }
    // A switch learns of a port when it accepts it: the first frames of the others say that they are there.
    for (n, card) in cards.iter().enumerate() {
        let hello = [&[0xff; 6][..], &[2, 0, 0, 0, 0, n as u8], &[0x88, 0xb5], &[0; 46]].concat();
        loop {
            card.send(&hello, Meta::default());
            let seen = |other: &Card| other.receive_within(std::time::Duration::from_millis(200)).is_some();
            if cards.iter().enumerate().filter(|(m, _)| *m != n).all(|(_, other)| seen(other)) {
                break;
            }
        }
    }
    for card in &cards {
        while card.receive_within(std::time::Duration::from_millis(50)).is_some() {}
    }
    cards[0].send(&large, meta);
    assert_eq!(cards[1].receive(), (large, meta));
    for _ in 0..2 {
        let (frame, meta) = cards[2].receive();
        assert_eq!((frame.len(), meta.partial), (1042, None));
        assert!(net::offload::verify(&frame));
    }
}

#[test]
fn a_machine_that_does_not_read_and_one_that_floods_it_harm_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |last| Guest::at(enter(folder.path()), Offloads::empty(), last);
    let (mut a, mut b) = (at(1), at(2));
    let [deaf, flood] = [(); 2].map(|()| Card::plug(enter(folder.path()), Offloads::empty()));
    let frame = |to: [u8; 6], from: [u8; 6]| [&to[..], &from, &[0x88, 0xb5], &[7; 1400]].concat();
    let address = [2, 0, 0, 0, 0, 9];
    deaf.wait_carrier(true);
    flood.wait_carrier(true);
    deaf.send(&frame([0xff; 6], address), Meta::default());
    flood.receive();
    // 30 MB, much more than the switch and the sockets hold, from ever new addresses, those of the others among them.
    for n in 0..20_000u32 {
        let [_, x, y, z] = n.to_be_bytes();
        flood.send(&frame(address, [2, 0, 0, x, y, z]), Meta::default());
    }
    let server = b.listen(80);
    let client = a.connect((Ipv4Addr::new(10, 0, 0, 2), 80));
    talk(&mut a, client, &mut b, server, 500_000);
    assert!(deaf.receive_within(std::time::Duration::ZERO).is_some(), "nothing has come where nobody read");
}

#[test]
fn a_router_at_the_uplink_serves_all_machines_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let make = || {
        let uplink: Uplink = Arc::new(|_| Ok(Box::new(Nat::new(Config { outside: false, ..Config::default() })?)));
        join(folder.path(), &"lan0".parse().unwrap(), Some(uplink), 1500).unwrap()
    };
    let (mut a, mut b) = (Guest::new(make(), Offloads::all(), 1), Guest::new(make(), Offloads::empty(), 2));
    let router = Ipv4Addr::new(192, 168, 64, 1);
    assert_eq!(a.dhcp(), router);
    // Option 12 of DHCP (RFC 2132, 3.14): its name, by which the others reach it.
    b.dhcp_with(&[DhcpOption { kind: 12, data: b"web" }]);
    assert_eq!(a.resolve(router, "web.internal"), Some(b.address()));
    assert_eq!(a.resolve(router, "nobody.internal"), None);
    let server = b.listen(80);
    let client = a.connect((b.address(), 80));
    talk(&mut a, client, &mut b, server, 50_000);
}

#[test]
fn the_next_router_knows_the_leases() {
    let folder = tempfile::tempdir().unwrap();
    let machine = |mac| {
        let router = |ledger| Nat::new(Config { outside: false, ..Config::resumed(ledger) });
        let uplink: Uplink = Arc::new(move |ledger| Ok(Box::new(router(ledger)?)));
        Guest::new(join(folder.path(), &"lan0".parse().unwrap(), Some(uplink), 1500).unwrap(), Offloads::all(), mac)
    };
    let (mut a, mut b, mut c) = (machine(1), machine(2), machine(3));
    let router = a.dhcp();
    b.dhcp();
    c.dhcp();
    let before = [a.address(), b.address(), c.address()];
    assert_eq!(before.map(|address| address.octets()[3]), [2, 3, 4]);
    // The machine that has the switch and the router goes, and one of the others opens them.
    drop(a);
    let mut d = machine(4);
    assert_eq!((d.dhcp(), d.address().octets()[3]), (router, 5), "the address of a is still a's");
    for (machine, before) in [(&mut c, before[2]), (&mut b, before[1])] {
        assert_eq!((machine.dhcp(), machine.address()), (router, before));
    }
    let mut a = machine(1);
    assert_eq!((a.dhcp(), a.address()), (router, before[0]));
    let server = b.listen(80);
    let client = a.connect((b.address(), 80));
    talk(&mut a, client, &mut b, server, 50_000);
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = join(folder.path(), &"lan0".parse().unwrap(), None, 1500).err().unwrap();
    assert!(refused.to_string().contains("mode 700"), "{refused}");
}

#[test]
fn names_are_plain() {
    for name in ["lan0", "a", "my-net_1.x"] {
        assert!(name.parse::<Name>().is_ok(), "{name}");
    }
    for name in ["", ".", "..", ".x", "a/b", "../x", "ä", "a b", &"x".repeat(33)] {
        assert!(name.parse::<Name>().is_err(), "{name}");
    }
}
