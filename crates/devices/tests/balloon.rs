//! The balloon, driven by a guest.

use std::sync::Arc;

use devices::virtio::balloon::{Balloon, MemoryReclaim, Stats, spec};
use parking_lot::Mutex;
use testkit::contract::Subject;
use testkit::{Driver, Guest};
use vm_memory::{Bytes, GuestAddress};

#[derive(Default)]
struct Released(Mutex<Vec<(u64, u64)>>);

impl MemoryReclaim for Released {
    fn release(&self, addr: u64, len: u64) {
        self.0.lock().push((addr, len));
    }
}

testkit::contract_tests!(Subject {
    device: Arc::new(Balloon::new(Arc::new(Released::default()))),
    queue: 0,
    read: vec![vec![1, 0, 0, 0], vec![2, 0, 0, 0]],
    write: vec![],
});

fn balloon() -> (Driver, Arc<Balloon>, Arc<Released>) {
    let released = Arc::new(Released::default());
    let balloon = Arc::new(Balloon::new(released.clone()));
    (Guest::new().plug(balloon.clone()), balloon, released)
}

fn numbers(pages: &[u32]) -> Vec<u8> {
    pages.iter().flat_map(|page| page.to_le_bytes()).collect()
}

#[test]
fn pages_given_go_back_to_the_host_neighbours_together() {
    let (mut driver, _, released) = balloon();
    driver.init(0);
    driver.request(0, &[&numbers(&[0x40000, 0x40001, 0x40002, 0x40010]), &numbers(&[0x40011, 5])], &[]);
    let want = [(0x4000_0000, 0x3000), (0x4001_0000, 0x2000), (0x5000, 0x1000)];
    assert_eq!(*released.0.lock(), want);
    driver.request(1, &[&numbers(&[0x40000])], &[]);
    assert_eq!(released.0.lock().len(), 3, "taking back releases nothing");
}

#[test]
fn the_number_of_pages_in_one_request_is_bounded() {
    let (mut driver, _, released) = balloon();
    driver.init(0);
    let every_other: Vec<u32> = (0..100_000).map(|i| 2 * i).collect();
    driver.request(0, &[&numbers(&every_other)], &[]);
    assert_eq!(released.0.lock().len(), 16 * 1024);
    driver.request(0, &[&[1, 2, 3]], &[]);
    assert_eq!(released.0.lock().len(), 16 * 1024);
}

#[test]
fn the_target_is_announced_and_the_size_reported() {
    let (mut driver, balloon, _) = balloon();
    balloon.set_target(5 * 4096 + 1);
    driver.init(0);
    assert_eq!(driver.read_config::<4>(spec::CONFIG_WANTED), [5, 0, 0, 0]);
    balloon.set_target(1 << 20);
    driver.wait_config(0);
    assert_eq!(driver.read_config::<4>(spec::CONFIG_WANTED), [0, 1, 0, 0]);
    assert_eq!(balloon.target(), 1 << 20);
    driver.write_config(spec::CONFIG_ACTUAL, &[3, 0, 0, 0]);
    assert_eq!(balloon.actual(), 3 * 4096);
    driver.write_config(spec::CONFIG_WANTED, &[9, 9, 9, 9]);
    assert_eq!(balloon.target(), 1 << 20, "not the driver's to write");
    driver.reset();
    assert_eq!((balloon.actual(), balloon.target()), (0, 1 << 20));
}

fn report(driver: &mut Driver, queue: u16) {
    let guest = driver.guest().clone();
    let at = guest.alloc(0x8000, 0x1000);
    guest.memory().write_slice(&[0xee; 16], GuestAddress(at)).unwrap();
    driver.request(queue, &[], &[0x4000, 0x2000]);
}

#[test]
fn free_pages_that_are_reported_go_back_wherever_the_queue_is() {
    // The queue's number by the standard; as Linux counts with, and without, the queue of statistics.
    for (features, enabled, queue) in
        [(spec::F_STATS_VQ, &[0, 1, 2, 4][..], 4), (spec::F_STATS_VQ, &[0, 1, 2, 3], 3), (0, &[0, 1, 2], 2)]
    {
        let (mut driver, _, released) = balloon();
        driver.negotiate(1 << 32 | spec::F_PAGE_REPORTING | features).unwrap();
        for &index in enabled {
            driver.enable_queue(index, 0);
        }
        driver.start();
        report(&mut driver, queue);
        let lengths: Vec<_> = released.0.lock().iter().map(|r| r.1).collect();
        assert_eq!(lengths, [0x4000, 0x2000], "queue {queue}");
    }
}

fn stat(tag: u16, value: u64) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()
}

#[test]
fn statistics_come_when_they_are_asked_for_and_over_a_pause() {
    let (mut driver, balloon, _) = balloon();
    driver.init(spec::F_STATS_VQ);
    assert_eq!(balloon.stats(), None);
    driver.add(2, &[&[stat(4, 1000), stat(5, 4000), stat(99, 1)].concat()], &[]);
    driver.kick(2);
    let wait_for = |stats: Stats| {
        let end = std::time::Instant::now() + testkit::PATIENCE;
        while balloon.stats() != Some(stats) {
            assert!(std::time::Instant::now() < end, "{:?}", balloon.stats());
            std::thread::yield_now();
        }
    };
    wait_for(Stats { free: Some(1000), total: Some(4000), ..Stats::default() });
    driver.transport().stop();
    driver.transport().start();
    balloon.request_stats();
    driver.wait(2);
    driver.add(2, &[&[stat(6, 7), stat(0, 8)].concat()], &[]);
    driver.kick(2);
    wait_for(Stats { available: Some(7), swap_in: Some(8), ..Stats::default() });
}

#[test]
fn a_balloon_without_its_two_queues_does_not_start() {
    let (mut driver, _, _) = balloon();
    driver.negotiate(1 << 32).unwrap();
    driver.enable_queue(0, 0);
    driver.start();
    assert!(driver.needs_reset(std::time::Duration::ZERO));
    driver.init(0);
}
