//! The network card, driven by a guest: against a network that echoes, and against the real router.

mod control;
mod echo;
mod offload;
mod pairs;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::net::nat::{Config, Nat};
use ::net::{Backend, MacAddr, Meta, PartialChecksum, SharedBackend};
use devices::virtio::net::Net;
use devices::virtio::net::spec::{config, feature, header, queue};
use devices::virtio::spec::feature::{RING_EVENT_IDX, RING_INDIRECT_DESC};
use echo::Echo;
use testkit::contract::Subject;
use testkit::{Driver, Guest, Used};

pub(crate) const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

pub(crate) fn card(backend: impl Backend + 'static) -> Arc<Net> {
    let network: SharedBackend = Arc::new(Mutex::new(Box::new(backend)));
    Arc::new(Net::new(MAC, network))
}

fn router() -> Nat {
    Nat::new(Config { outside: false, ..Config::default() }).unwrap()
}

pub(crate) fn packet(frame: &[u8]) -> Vec<u8> {
    [&[0; header::SIZE], frame].concat()
}

/// The frame in receive buffers of `used`, and their header.
pub(crate) fn frame(used: &[Used]) -> (Vec<u8>, Vec<u8>) {
    let mut bytes: Vec<u8> = used.iter().flat_map(|u| u.data[..u.written as usize].to_vec()).collect();
    let frame = bytes.split_off(header::SIZE);
    (bytes, frame)
}

testkit::contract_tests!(Subject {
    device: card(router()),
    queue: queue::TX,
    read: vec![packet(&[7; 60])],
    write: vec![]
});

#[test]
fn the_configuration_tells_address_link_and_packet_size() {
    let driver = Guest::new().plug(card(Echo::new()));
    assert_eq!(driver.read_config::<6>(config::MAC as u64), MAC.0);
    assert_eq!(driver.read_config::<2>(config::STATUS as u64), [1, 0]);
    assert_eq!(driver.read_config::<2>(config::MTU as u64), 9000u16.to_le_bytes());
    let offered = driver.offered();
    assert_eq!(offered & feature::CSUM, feature::CSUM);
}

#[test]
fn frames_go_and_come_in_order_in_every_mode() {
    let modes = [0, RING_EVENT_IDX, RING_INDIRECT_DESC | RING_EVENT_IDX, feature::MRG_RXBUF | RING_EVENT_IDX];
    for features in modes {
        let mut driver = Guest::new().plug(card(Echo::new()));
        driver.init(features);
        for n in 0..2000u32 {
            driver.add(queue::RX, &[], &[1526]);
            driver.kick(queue::RX);
            let sent = [&n.to_le_bytes()[..], &[n as u8; 1000][..n as usize % 1000]].concat();
            driver.request(queue::TX, &[&[0; header::SIZE], &sent], &[]);
            let (head, got) = frame(&[driver.wait(queue::RX)]);
            assert_eq!(got, sent, "features {features:#x}");
            assert_eq!(head, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        }
    }
}

/// Waits for `count` receive buffers.
fn receive(driver: &mut Driver, count: usize) -> Vec<Used> {
    (0..count).map(|_| driver.wait(queue::RX)).collect()
}

#[test]
fn a_large_frame_fills_several_buffers_which_come_together() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(feature::MRG_RXBUF);
    let sent: Vec<u8> = (0..9000u32).map(|n| (n / 7) as u8).collect();
    // Too little room at first: nothing may be used yet.
    for _ in 0..5 {
        driver.add(queue::RX, &[], &[1000, 500]);
    }
    driver.kick(queue::RX);
    driver.request(queue::TX, &[&packet(&sent)], &[]);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(driver.ring(queue::RX).used_index(), 0);
    for _ in 0..2 {
        driver.add(queue::RX, &[], &[1500]);
        driver.kick(queue::RX);
    }
    let used = receive(&mut driver, 7);
    let (head, got) = frame(&used);
    assert!(got == sent);
    assert_eq!(head[header::NUM_BUFFERS], 7);
    assert_eq!(used.iter().map(|u| u.written).collect::<Vec<_>>(), [1500, 1500, 1500, 1500, 1500, 1500, 12]);
}

#[test]
fn buffers_held_for_a_large_frame_are_given_back_by_a_pause() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(feature::MRG_RXBUF);
    for _ in 0..3 {
        driver.add(queue::RX, &[], &[1000]);
    }
    driver.request(queue::TX, &[&packet(&[5; 4000])], &[]);
    for _ in 0..3 {
        driver.transport().stop();
        driver.transport().start();
    }
    driver.add(queue::RX, &[], &[1000]);
    driver.add(queue::RX, &[], &[1000]);
    driver.kick(queue::RX);
    assert_eq!(frame(&receive(&mut driver, 5)).1, [5; 4000]);
}

#[test]
fn a_frame_too_large_for_the_only_buffer_is_lost_and_the_next_arrives() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(0);
    driver.add(queue::RX, &[], &[200]);
    driver.request(queue::TX, &[&packet(&[1; 300])], &[]);
    driver.request(queue::TX, &[&packet(&[2; 100])], &[]);
    assert_eq!(frame(&[driver.wait(queue::RX)]).1, [2; 100]);
}

#[test]
fn a_receive_buffer_without_room_for_the_header_breaks_the_queue() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(feature::MRG_RXBUF);
    driver.add(queue::RX, &[], &[11]);
    driver.request(queue::TX, &[&packet(&[1; 300])], &[]);
    assert!(driver.needs_reset(testkit::PATIENCE));
}

#[test]
fn checksums_are_left_open_only_as_negotiated() {
    let open = |start: u16| {
        let mut packet = packet(&[0xcc; 60]);
        packet[header::FLAGS] = header::F_NEEDS_CSUM;
        packet[header::CSUM_START..][..2].copy_from_slice(&start.to_le_bytes());
        packet[header::CSUM_OFFSET..][..2].copy_from_slice(&6u16.to_le_bytes());
        packet
    };
    for features in [0, feature::CSUM, feature::GUEST_CSUM] {
        let echo = Echo::new();
        let seen = echo.seen.clone();
        let mut driver = Guest::new().plug(card(echo));
        driver.init(features);
        // One that is right where it was negotiated, one with the field outside, one that wants segmentation.
        let mut segmented = packet(&[0; 60]);
        segmented[header::GSO_TYPE] = 1;
        for sent in [open(34), open(59), segmented] {
            driver.request(queue::TX, &[&sent], &[]);
        }
        driver.add(queue::RX, &[], &[100]);
        driver.request(queue::TX, &[&packet(&[0xcc; 60])], &[]);
        let (head, _) = frame(&[driver.wait(queue::RX)]);
        let csum = features == feature::CSUM;
        let partial = Some(PartialChecksum { start: 34, offset: 6 });
        let plain = (60, Meta::default());
        let want = if csum { vec![(60, Meta { partial, ..Meta::default() }), plain] } else { vec![plain] };
        assert_eq!(*seen.lock().unwrap(), want);
        let guest = features == feature::GUEST_CSUM;
        assert_eq!(head[..10], if guest { [1, 0, 0, 0, 0, 0, 34, 0, 16, 0] } else { [0; 10] });
    }
}

#[test]
fn packets_of_no_sense_are_completed_and_dropped() {
    let echo = Echo::new();
    let seen = echo.seen.clone();
    let mut driver = Guest::new().plug(card(echo));
    driver.init(RING_INDIRECT_DESC);
    let huge = vec![0; 70000];
    for bad in [&[0; 3][..], &[0; header::SIZE], &huge] {
        driver.request(queue::TX, &[bad], &[]);
    }
    driver.request(queue::TX, &[], &[100]);
    driver.request(queue::TX, &[&packet(&[9; 14])], &[]);
    assert_eq!(*seen.lock().unwrap(), [(14, Meta::default())]);
}

#[test]
fn the_router_answers_through_the_rings() {
    let mut driver = Guest::new().plug(card(router()));
    driver.init(feature::MRG_RXBUF | feature::CSUM | feature::GUEST_CSUM | RING_EVENT_IDX);
    for _ in 0..100 {
        driver.add(queue::RX, &[], &[1526]);
        driver.kick(queue::RX);
        // Who has 192.168.64.1? Tell 192.168.64.2 (RFC 826).
        let mut request = [&[0xff; 6][..], &MAC.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &MAC.0].concat();
        request.extend([192, 168, 64, 2, 0, 0, 0, 0, 0, 0, 192, 168, 64, 1]);
        driver.request(queue::TX, &[&packet(&request)], &[]);
        let (_, reply) = frame(&[driver.wait(queue::RX)]);
        assert_eq!((&reply[..6], &reply[20..22], &reply[28..32]), (&MAC.0[..], &[0, 2][..], &[192, 168, 64, 1][..]));
    }
}
