//! What the guest leaves to the network and the other way round: only as negotiated.

use ::net::{Meta, PartialChecksum, SegmentKind, Segments};
use devices::virtio::net::spec::{feature, header, queue};
use testkit::Guest;

use crate::echo::Echo;
use crate::{card, frame};

const TCP4: u64 = feature::CSUM | feature::HOST_TSO4;

/// A TCP segment of 4,000 bytes for IPv4, to be cut by 1,000, with the header that a guest gives it.
fn large() -> Vec<u8> {
    let mut head = [0; header::SIZE];
    head[header::FLAGS] = header::F_NEEDS_CSUM;
    head[header::GSO_TYPE] = header::GSO_TCPV4;
    head[header::GSO_SIZE..][..2].copy_from_slice(&1000u16.to_le_bytes());
    head[header::CSUM_START] = 34;
    head[header::CSUM_OFFSET] = 16;
    let mut packet = head.to_vec();
    packet.extend([[0xff; 12].as_slice(), &[8, 0, 0x45, 0], &4040u16.to_be_bytes(), &[0, 0, 0x40, 0, 64, 6]].concat());
    packet.extend([&[0; 10][..], &[0; 12], &[0x50, 0x18, 1, 0, 0, 0, 0, 0], &[0x5a; 4000]].concat());
    packet
}

fn meta() -> Meta {
    Meta {
        partial: Some(PartialChecksum { start: 34, offset: 16 }),
        segments: Some(Segments { kind: SegmentKind::Tcp4, size: 1000 }),
        verified: false,
    }
}

#[test]
fn a_packet_to_be_cut_passes_where_it_was_negotiated() {
    let cases = [
        (0, false),
        (feature::CSUM, false),
        // Nothing without its condition (5.1.3.1).
        (feature::HOST_TSO4, false),
        (feature::CSUM | feature::HOST_TSO6 | feature::HOST_USO, false),
        (TCP4, true),
    ];
    for (features, passes) in cases {
        let echo = Echo::new();
        let seen = echo.seen.clone();
        let mut driver = Guest::new().plug(card(echo));
        driver.init(features);
        driver.request(queue::TX, &[&large()], &[]);
        driver.add(queue::RX, &[], &[9000]);
        driver.request(queue::TX, &[&[0; header::SIZE], &[1; 60]], &[]);
        driver.wait(queue::RX);
        let want = if passes { vec![(4054, meta())] } else { vec![] };
        assert_eq!(seen.lock().unwrap()[..want.len()], want, "features {features:#x}");
        assert_eq!(seen.lock().unwrap().len(), want.len() + 1, "features {features:#x}");
    }
}

#[test]
fn headers_that_do_not_fit_the_packet_are_dropped() {
    let spoil: [fn(&mut Vec<u8>); 6] = [
        |p| p[header::GSO_SIZE..][..2].fill(0),
        |p| p[header::FLAGS] = 0,
        |p| p[header::GSO_TYPE] |= 0x80,
        |p| p[header::GSO_TYPE] = 3,
        |p| p[header::CSUM_OFFSET] = 6,
        |p| p.truncate(header::SIZE + 50),
    ];
    let echo = Echo::new();
    let seen = echo.seen.clone();
    let mut driver = Guest::new().plug(card(echo));
    driver.init(TCP4);
    for spoil in spoil {
        let mut packet = large();
        spoil(&mut packet);
        driver.request(queue::TX, &[&packet], &[]);
    }
    driver.request(queue::TX, &[&large()], &[]);
    driver.add(queue::RX, &[], &[9000]);
    driver.kick(queue::RX);
    driver.wait(queue::RX);
    assert_eq!(*seen.lock().unwrap(), [(4054, meta())]);
}

#[test]
fn the_guest_gets_packets_to_be_cut_where_it_takes_them() {
    for features in [TCP4 | feature::GUEST_CSUM | feature::GUEST_TSO4, TCP4 | feature::GUEST_CSUM, TCP4] {
        let mut driver = Guest::new().plug(card(Echo::new()));
        driver.init(features);
        driver.add(queue::RX, &[], &[9000]);
        driver.request(queue::TX, &[&large()], &[]);
        let (head, got) = frame(&[driver.wait(queue::RX)]);
        assert_eq!(got, large()[header::SIZE..]);
        let whole = features & feature::GUEST_TSO4 != 0;
        assert_eq!(head[..10], if whole { [1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0] } else { [0; 10] });
    }
}

#[test]
fn a_verified_checksum_is_said_to_a_guest_that_asks() {
    for (features, flag) in [(0, 0), (feature::GUEST_CSUM, header::F_DATA_VALID)] {
        let mut driver = Guest::new().plug(card(Echo::new()));
        driver.init(features);
        driver.add(queue::RX, &[], &[100]);
        driver.request(queue::TX, &[&[0; header::SIZE], &[0xcd; 60]], &[]);
        assert_eq!(frame(&[driver.wait(queue::RX)]).0[header::FLAGS], flag);
    }
}
