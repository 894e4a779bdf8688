//! Several pairs of queues.

use std::sync::{Arc, Mutex};

use ::net::SharedBackend;
use devices::virtio::net::Net;
use devices::virtio::net::spec::{config, control, feature, header};
use testkit::{Driver, Guest};

use crate::echo::Echo;
use crate::{MAC, frame};

const PAIRS: u16 = 4;

fn card() -> Arc<Net> {
    let network: SharedBackend = Arc::new(Mutex::new(Box::new(Echo::new())));
    Arc::new(Net::with_pairs(MAC, network, PAIRS))
}

fn use_pairs(driver: &mut Driver, pairs: u16) -> u8 {
    let request = [&[control::MQ, control::MQ_PAIRS_SET][..], &pairs.to_le_bytes()].concat();
    driver.request(2 * PAIRS, &[&request], &[1]).data[0]
}

/// A UDP packet of flow `port`.
fn udp(port: u8) -> Vec<u8> {
    let ip = [&[8, 0, 0x45][..], &[0; 8], &[17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]].concat();
    [&[0; header::SIZE][..], &MAC.0, &[4; 6], &ip, &[0, 9, 1, port], &[0; 30]].concat()
}

#[test]
fn an_answer_comes_by_the_pair_of_its_flow() {
    let mut driver = Guest::new().plug(card());
    assert_eq!(driver.queues(), 2 * PAIRS + 1);
    assert_eq!(driver.read_config::<2>(config::MAX_PAIRS as u64), PAIRS.to_le_bytes());
    driver.init(feature::CTRL_VQ | feature::MQ);
    for wrong in [0, PAIRS + 1, u16::MAX] {
        assert_eq!(use_pairs(&mut driver, wrong), control::ERR, "{wrong}");
    }
    assert_eq!(use_pairs(&mut driver, PAIRS), control::OK);
    for round in 0..3 {
        for pair in 0..PAIRS {
            let sent = udp(pair as u8 * 16 + round);
            driver.add(2 * pair, &[], &[200]);
            driver.kick(2 * pair);
            driver.request(2 * pair + 1, &[&sent], &[]);
            assert_eq!(frame(&[driver.wait(2 * pair)]).1, sent[header::SIZE..]);
        }
        driver.transport().stop();
        driver.transport().start();
    }
}

#[test]
fn a_driver_without_pairs_has_its_control_queue_in_the_third_place() {
    let mut driver = Guest::new().plug(card());
    driver.init(feature::CTRL_VQ | feature::CTRL_RX);
    let answer = driver.request(2, &[&[control::RX, 0, 0]], &[1]);
    assert_eq!(answer.data, [control::OK]);
    for _ in 0..3 {
        driver.transport().stop();
        driver.transport().start();
    }
    driver.add(0, &[], &[200]);
    let sent = udp(7);
    driver.request(1, &[&sent], &[]);
    assert_eq!(frame(&[driver.wait(0)]).1, sent[header::SIZE..]);
}
