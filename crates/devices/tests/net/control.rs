//! The control queue, the receive filter, and the link's status.

use std::time::Duration;

use devices::virtio::net::spec::{config, control, feature, header, queue};
use testkit::{Driver, Guest};

use crate::echo::Echo;
use crate::{MAC, card, frame};

const ALL: u64 = feature::CTRL_VQ
    | feature::CTRL_RX
    | feature::CTRL_RX_EXTRA
    | feature::CTRL_MAC_ADDR
    | feature::STATUS
    | feature::GUEST_ANNOUNCE;
const TO_ME: [u8; 6] = MAC.0;
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const GROUP: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];

fn ask(driver: &mut Driver, class: u8, command: u8, data: &[u8]) -> u8 {
    let used = driver.request(queue::CONTROL, &[&[class, command], data], &[1]);
    assert_eq!(used.written, 1);
    used.data[0]
}

fn mode(driver: &mut Driver, command: u8, on: bool) {
    assert_eq!(ask(driver, control::RX, command, &[on.into()]), control::OK);
}

fn table(driver: &mut Driver, unicast: &[[u8; 6]], multicast: &[[u8; 6]]) -> u8 {
    let list = |all: &[[u8; 6]]| [&(all.len() as u32).to_le_bytes()[..], all.as_flattened()].concat();
    ask(driver, control::MAC, control::MAC_TABLE_SET, &[list(unicast), list(multicast)].concat())
}

/// Which of frames to these addresses come back; one to the card itself comes last, always.
fn received(driver: &mut Driver, to: &[[u8; 6]]) -> Vec<[u8; 6]> {
    for to in to.iter().chain([&TO_ME]) {
        driver.add(queue::RX, &[], &[200]);
        driver.request(queue::TX, &[&[0; header::SIZE], to, &[1; 60]], &[]);
    }
    let mut all = Vec::new();
    loop {
        let got: [u8; 6] = frame(&[driver.wait(queue::RX)]).1[..6].try_into().unwrap();
        if got == TO_ME {
            return all;
        }
        all.push(got);
    }
}

#[test]
fn the_card_receives_what_the_driver_wants() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(ALL);
    let all = [OTHER, GROUP, [0xff; 6]];
    assert_eq!(received(&mut driver, &all), all, "before the driver says anything");
    mode(&mut driver, 0, false);
    assert_eq!(received(&mut driver, &all), [[0xff; 6]]);
    mode(&mut driver, 1, true);
    assert_eq!(received(&mut driver, &all), [GROUP, [0xff; 6]]);
    mode(&mut driver, 1, false);
    assert_eq!(table(&mut driver, &[OTHER], &[]), control::OK);
    assert_eq!(received(&mut driver, &all), [OTHER, [0xff; 6]]);
    assert_eq!(table(&mut driver, &[], &[GROUP]), control::OK);
    mode(&mut driver, 5, true);
    assert_eq!(received(&mut driver, &all), [GROUP]);
    // A pause keeps it, a reset does not.
    driver.transport().stop();
    driver.transport().start();
    assert_eq!(received(&mut driver, &all), [GROUP]);
    driver.init(ALL);
    assert_eq!(received(&mut driver, &all), all);
    assert_eq!(table(&mut driver, &[OTHER; 65], &[]), control::OK, "too many to list is all of them");
    mode(&mut driver, 0, false);
    assert_eq!(received(&mut driver, &all), [OTHER, [0xff; 6]]);
}

#[test]
fn the_address_can_be_changed() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(ALL);
    assert_eq!(ask(&mut driver, control::MAC, control::MAC_ADDR_SET, &GROUP), control::ERR);
    assert_eq!(ask(&mut driver, control::MAC, control::MAC_ADDR_SET, &OTHER), control::OK);
    assert_eq!(driver.read_config::<6>(config::MAC as u64), OTHER);
    driver.reset();
    assert_eq!(driver.read_config::<6>(config::MAC as u64), MAC.0);
}

#[test]
fn requests_of_no_sense_are_refused() {
    let mut driver = Guest::new().plug(card(Echo::new()));
    driver.init(ALL);
    let refused: [(u8, u8, &[u8]); 8] = [
        (9, 0, &[0]),
        (control::RX, 6, &[1]),
        (control::RX, 0, &[]),
        (control::MAC, control::MAC_TABLE_SET, &[1, 0, 0, 0, 9, 9]),
        (control::MAC, control::MAC_TABLE_SET, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (control::MAC, 2, &MAC.0),
        (control::ANNOUNCE, 1, &[]),
        // Not negotiated.
        (control::MQ, control::MQ_PAIRS_SET, &[1, 0]),
    ];
    for (class, command, data) in refused {
        assert_eq!(ask(&mut driver, class, command, data), control::ERR, "{class} {command}");
    }
    // Nor does one without room for the answer stop the queue.
    driver.request(queue::CONTROL, &[&[0, 0, 1]], &[]);
    assert_eq!(ask(&mut driver, control::RX, 0, &[1]), control::OK);
}

#[test]
fn the_guest_sees_its_cable_and_announces_itself() {
    let card = card(Echo::new());
    let mut driver = Guest::new().plug(card.clone());
    driver.init(ALL);
    let status = |driver: &Driver| driver.read_config::<2>(config::STATUS as u64);
    let changes = |driver: &Driver| driver.interrupt_count(driver.config_vector());
    assert_eq!(status(&driver), [1, 0]);

    let seen = changes(&driver);
    card.set_link(false);
    driver.wait_config(seen);
    assert_eq!((status(&driver), card.is_up()), ([0, 0], false));
    driver.add(queue::RX, &[], &[200]);
    driver.request(queue::TX, &[&[0; header::SIZE], &[0xff; 60]], &[]);
    assert!(driver.try_wait(queue::RX, Duration::from_millis(20)).is_none(), "a frame through a pulled cable");

    let (seen, generation) = (changes(&driver), driver.guest().read::<1>(driver.common() + 0x15));
    card.set_link(true);
    driver.wait_config(seen);
    assert_eq!(status(&driver), [3, 0], "up, and to be announced");
    assert_ne!(driver.guest().read::<1>(driver.common() + 0x15), generation);
    assert_eq!(ask(&mut driver, control::ANNOUNCE, control::ANNOUNCE_ACK, &[]), control::OK);
    assert_eq!(status(&driver), [1, 0]);
    driver.request(queue::TX, &[&[0; header::SIZE], &[0xff; 60]], &[]);
    driver.wait(queue::RX);

    let seen = changes(&driver);
    card.announce();
    driver.wait_config(seen);
    assert_eq!(status(&driver), [3, 0]);
    // A driver that cannot is not asked.
    driver.init(feature::STATUS);
    card.announce();
    assert_eq!(status(&driver), [1, 0]);
}
