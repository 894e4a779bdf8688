//! What every virtio device has to do, as tests. Instantiate all of them with [`contract_tests!`](crate::contract_tests).

use std::sync::Arc;
use std::time::Duration;

use devices::virtio::spec::{feature, status};
use devices::virtio::{Activation, Interrupt, VirtioDevice, Virtqueue};
use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use crate::{Driver, Guest, PATIENCE, malformed};

/// A device under test.
pub struct Subject {
    /// The device, as it is before a driver has seen it.
    pub device: Arc<dyn VirtioDevice>,
    /// The queue that the sample request is for.
    pub queue: u16,
    /// What the device reads in the sample request, which it answers by itself and soon, however often it is sent.
    pub read: Vec<Vec<u8>>,
    /// The room that it has for the answer, in buffers.
    pub write: Vec<u32>,
}

impl Subject {
    fn plug(&self) -> Driver {
        Guest::new().plug(self.device.clone())
    }

    fn add(&self, driver: &mut Driver) -> u16 {
        let read: Vec<_> = self.read.iter().map(Vec::as_slice).collect();
        driver.add(self.queue, &read, &self.write)
    }

    /// Sends the sample and waits for it.
    fn request(&self, driver: &mut Driver) {
        let head = self.add(driver);
        driver.kick(self.queue);
        assert_eq!(driver.wait(self.queue).head, head);
    }

    /// Descriptors of the sample.
    fn descriptors(&self) -> usize {
        self.read.len() + self.write.len()
    }
}

/// Makes a test of each rule for the device that `$subject`, an expression, makes: a [`Subject`].
#[macro_export]
macro_rules! contract_tests {
    ($subject:expr) => {
        $crate::contract_tests!(@ $subject,
            offers_what_is_its_own offers_queues_of_right_sizes refuses_features refuses_queue_sizes
            keeps_what_is_settled does_nothing_before_it_is_driven works works_with_indirect_tables
            works_with_small_queues works_through_many_wraps heeds_the_event_index heeds_no_interrupt
            asks_for_kicks_it_needs resets survives_malformed_chains refuses_rings_outside_memory
            gives_its_queues_back goes_on_after_a_pause survives_odd_configuration_accesses);
    };
    (@ $subject:expr, $($rule:ident)+) => {
        mod contract {
            $(
                #[test]
                fn $rule() {
                    use super::*;
                    $crate::contract::$rule(&$subject);
                }
            )+
        }
    };
}

/// Offers only feature bits of its class.
pub fn offers_what_is_its_own(subject: &Subject) {
    assert_eq!(subject.device.features() & !feature::DEVICE_CLASS, 0);
    let driver = subject.plug();
    assert_eq!(driver.offered(), subject.device.features() | feature::COMMON);
}

/// Has queues whose sizes are powers of two.
pub fn offers_queues_of_right_sizes(subject: &Subject) {
    let driver = subject.plug();
    let sizes = subject.device.queue_sizes();
    assert_eq!(usize::from(driver.queues()), sizes.len());
    for (index, &size) in sizes.iter().enumerate() {
        assert!(size.is_power_of_two() && size <= 32768);
        driver.write16(0x16, index as u16);
        assert_eq!(driver.read16(0x18), size);
    }
    driver.write16(0x16, driver.queues());
    assert_eq!(driver.read16(0x18), 0, "a queue that does not exist");
}

/// Refuses features that were not offered, and a driver without `VERSION_1`.
pub fn refuses_features(subject: &Subject) {
    let mut driver = subject.plug();
    assert!(driver.negotiate(0).is_err());
    assert!(driver.negotiate(driver.offered() & !feature::VERSION_1).is_err());
    let offered = driver.offered();
    for bit in (0..64).map(|n| 1 << n).filter(|bit| offered & bit == 0) {
        assert!(driver.negotiate(feature::VERSION_1 | bit).is_err(), "feature {bit:#x}");
        driver.set_status(driver.status() | status::DRIVER_OK);
        assert_eq!(driver.status() & status::DRIVER_OK, 0);
    }
    driver.init(driver.offered());
}

/// Keeps the old size when it is told one that is none.
pub fn refuses_queue_sizes(subject: &Subject) {
    let mut driver = subject.plug();
    driver.negotiate(feature::VERSION_1).unwrap();
    for index in 0..driver.queues() {
        driver.write16(0x16, index);
        let max = driver.read16(0x18);
        for wrong in [0, 3, max - 1, max.saturating_mul(2), 0xffff] {
            if !wrong.is_power_of_two() || wrong > max {
                driver.write16(0x18, wrong);
                assert_eq!(driver.read16(0x18), max, "size {wrong}");
            }
        }
    }
}

/// Changes neither features nor queues once they are settled.
pub fn keeps_what_is_settled(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(0);
    let guest = driver.guest().clone();
    driver.accept(u64::MAX);
    guest.write32(driver.common() + 8, 0);
    assert_eq!(guest.read32(driver.common() + 12), 0);
    driver.write16(0x16, subject.queue);
    let size = driver.read16(0x18);
    for (register, value) in [(0x18, 1), (0x1c, 0), (0x20, 0x1000)] {
        driver.write16(register, value);
    }
    assert_eq!((driver.read16(0x18), driver.read16(0x1c)), (size, 1));
    driver.set_status(status::ACKNOWLEDGE);
    assert_ne!(driver.status() & status::DRIVER_OK, 0, "only a reset clears status bits");
    subject.request(&mut driver);
}

/// Leaves the rings alone until `DRIVER_OK`, and begins with what it finds there then.
pub fn does_nothing_before_it_is_driven(subject: &Subject) {
    let mut driver = subject.plug();
    driver.negotiate(feature::VERSION_1).unwrap();
    for index in 0..driver.queues() {
        driver.enable_queue(index, 0);
    }
    subject.add(&mut driver);
    for index in 0..driver.queues() {
        driver.kick(index);
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(driver.ring(subject.queue).used_index(), 0);
    driver.start();
    driver.wait(subject.queue);
}

/// Answers requests.
pub fn works(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(0);
    for _ in 0..10 {
        subject.request(&mut driver);
    }
    assert_eq!(driver.status() & status::DEVICE_NEEDS_RESET, 0);
    driver.kick(driver.queues());
}

/// Answers requests in indirect tables.
pub fn works_with_indirect_tables(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(feature::RING_INDIRECT_DESC);
    let size = driver.ring(subject.queue).size();
    for _ in 0..size.min(64) {
        subject.add(&mut driver);
    }
    driver.kick(subject.queue);
    for _ in 0..size.min(64) {
        driver.wait(subject.queue);
    }
}

/// Works with queues that hold one request only.
pub fn works_with_small_queues(subject: &Subject) {
    let size = subject.descriptors().next_power_of_two() as u16;
    let mut driver = subject.plug();
    driver.init_sized(0, size);
    for _ in 0..5 {
        subject.request(&mut driver);
    }
}

/// Works when the indices wrap around their 16 bits.
pub fn works_through_many_wraps(subject: &Subject) {
    let mut driver = subject.plug();
    driver
        .init_sized(feature::RING_EVENT_IDX, 32.min(subject.device.queue_sizes().iter().copied().min().unwrap_or(32)));
    let batch = driver.ring(subject.queue).size() as usize / subject.descriptors();
    for _ in 0..200 {
        for _ in 0..batch {
            subject.add(&mut driver);
        }
        driver.kick(subject.queue);
        for _ in 0..batch {
            driver.wait(subject.queue);
        }
    }
}

/// Interrupts when the event index is reached, and not before.
pub fn heeds_the_event_index(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(feature::RING_EVENT_IDX);
    let queue = subject.queue;
    driver.ring(queue).set_used_event(2);
    let before = driver.interrupt_count(queue.into());
    for done in 1..=2 {
        subject.add(&mut driver);
        driver.kick(queue);
        wait_used(&mut driver, queue, done);
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(driver.interrupt_count(queue.into()), before, "an interrupt that was not wanted");
    subject.add(&mut driver);
    driver.kick(queue);
    assert!(driver.guest().interrupts().wait_past(driver.devfn(), queue.into(), before, PATIENCE));
}

/// Does not interrupt a driver that wants none.
pub fn heeds_no_interrupt(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(0);
    let queue = subject.queue;
    driver.ring(queue).set_no_interrupt(true);
    subject.add(&mut driver);
    driver.kick(queue);
    wait_used(&mut driver, queue, 1);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(driver.interrupt_count(queue.into()), 0, "an interrupt that was not wanted");
    driver.ring(queue).set_no_interrupt(false);
    subject.add(&mut driver);
    driver.kick(queue);
    assert!(driver.guest().interrupts().wait_past(driver.devfn(), queue.into(), 0, PATIENCE));
}

/// Never sleeps over requests when the driver kicks only when it is asked to.
pub fn asks_for_kicks_it_needs(subject: &Subject) {
    for features in [0, feature::RING_EVENT_IDX] {
        let mut driver = subject.plug();
        driver.init(features);
        for _ in 0..200 {
            let old = driver.ring(subject.queue).published();
            subject.add(&mut driver);
            if driver.ring(subject.queue).wants_kick(old) {
                driver.kick(subject.queue);
            }
            driver.wait(subject.queue);
        }
        driver.reset();
    }
}

/// Forgets everything in a reset, also with requests on their way, and works again.
pub fn resets(subject: &Subject) {
    let mut driver = subject.plug();
    for _ in 0..3 {
        driver.init(driver.offered());
        subject.request(&mut driver);
        let (queue, room) = (subject.queue, driver.ring(subject.queue).size().min(16));
        for _ in 0..room {
            subject.add(&mut driver);
        }
        driver.kick(queue);
        driver.reset();
        assert_eq!((driver.status(), driver.read16(0x10), driver.isr()), (0, 0xffff, 0));
        driver.write16(0x16, queue);
        assert_eq!((driver.read16(0x1a), driver.read16(0x1c)), (0xffff, 0));
        driver.guest().write32(driver.common() + 8, 0);
        assert_eq!(driver.guest().read32(driver.common() + 12), 0);
        driver.kick(queue);
    }
    driver.init(0);
    subject.request(&mut driver);
}

/// Says that it needs a reset when a ring is broken, and works again after it.
pub fn survives_malformed_chains(subject: &Subject) {
    let mut driver = subject.plug();
    for (name, needs_indirect, spoil) in malformed::CASES {
        let indirect = if needs_indirect { feature::RING_INDIRECT_DESC } else { 0 };
        for index in 0..driver.queues() {
            driver.init(indirect);
            let guest = driver.guest().clone();
            spoil(driver.ring(index), &guest);
            driver.kick(index);
            // Other queues may be looked at only when there is something to put into their buffers.
            let patience = if index == subject.queue { PATIENCE } else { Duration::ZERO };
            let noticed = driver.needs_reset(patience);
            assert!(noticed || index != subject.queue, "{name}: no DEVICE_NEEDS_RESET");
            driver.reset();
        }
    }
    // A table where none was negotiated.
    driver.init(0);
    driver.ring(subject.queue).indirect = true;
    subject.add(&mut driver);
    driver.kick(subject.queue);
    assert!(driver.needs_reset(PATIENCE), "an indirect table that was not negotiated");
    driver.init(0);
    subject.request(&mut driver);
}

/// Does not start with rings that are not in memory.
pub fn refuses_rings_outside_memory(subject: &Subject) {
    let mut driver = subject.plug();
    for register in [0x20, 0x28, 0x30] {
        for wrong in [0x1000, u64::MAX - 15, Guest::RAM + 1] {
            driver.negotiate(feature::VERSION_1).unwrap();
            for index in 0..driver.queues() {
                driver.enable_queue_with(index, |address| (address == register).then_some(wrong));
            }
            driver.start();
            assert_ne!(driver.status() & status::DEVICE_NEEDS_RESET, 0, "ring at {wrong:#x}");
        }
    }
    driver.init(0);
    subject.request(&mut driver);
}

struct NoInterrupt;
impl Interrupt for NoInterrupt {
    fn queue(&self, _: u16) {}
    fn config(&self) {}
    fn needs_reset(&self) {}
}

/// Gives back the queues that it got, in their order, and nothing when it is stopped already.
pub fn gives_its_queues_back(subject: &Subject) {
    let guest = Guest::new();
    let interrupt: Arc<dyn Interrupt> = Arc::new(NoInterrupt);
    let sizes = subject.device.queue_sizes();
    let build = |(index, &size): (usize, &u16)| {
        let mut queue = Queue::new(size).unwrap();
        let place = |len: u64| GuestAddress(guest.alloc(len, 16));
        queue.try_set_desc_table_address(place(16 * u64::from(size))).unwrap();
        queue.try_set_avail_ring_address(place(6 + 2 * u64::from(size))).unwrap();
        queue.try_set_used_ring_address(place(6 + 8 * u64::from(size))).unwrap();
        queue.set_ready(true);
        Some(Virtqueue::new(queue, index as u16, false, guest.memory().clone(), interrupt.clone()))
    };
    let mut queues: Vec<_> = sizes.iter().enumerate().map(build).collect();
    for _ in 0..3 {
        let states: Vec<_> = queues.iter().flatten().map(Virtqueue::state).collect();
        let (memory, interrupt) = (guest.memory().clone(), interrupt.clone());
        let activation = Activation { features: feature::VERSION_1, memory, queues, interrupt };
        subject.device.activate(activation).unwrap();
        (0..sizes.len() as u16).for_each(|index| subject.device.notify(index));
        queues = subject.device.stop();
        assert_eq!(queues.iter().flatten().map(Virtqueue::state).collect::<Vec<_>>(), states);
        assert!(subject.device.stop().is_empty());
        subject.device.notify(0);
    }
    subject.device.reset();
}

/// Goes on after a pause, with requests that were there before it and requests that came in it, each answered once.
pub fn goes_on_after_a_pause(subject: &Subject) {
    let mut driver = subject.plug();
    driver.init(feature::RING_EVENT_IDX);
    for _ in 0..50 {
        let before = subject.add(&mut driver);
        driver.kick(subject.queue);
        driver.transport().stop();
        let during = subject.add(&mut driver);
        driver.kick(subject.queue);
        driver.transport().start();
        let mut heads = [driver.wait(subject.queue).head, driver.wait(subject.queue).head];
        let mut wanted = [before, during];
        heads.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(heads, wanted);
    }
    driver.transport().stop();
    driver.reset();
    driver.transport().start();
    driver.init(0);
    subject.request(&mut driver);
}

/// Bears accesses of all widths everywhere in and beyond its configuration space.
pub fn survives_odd_configuration_accesses(subject: &Subject) {
    let mut driver = subject.plug();
    let guest = driver.guest().clone();
    let end = driver.device_config() + 0x1000;
    for at in (driver.device_config()..driver.device_config() + 80).chain(end - 8..end) {
        for len in [1, 2, 4, 8] {
            let mut data = [0; 8];
            guest.bus().read(at, &mut data[..len]);
            guest.bus().write(at, &data[..len]);
        }
    }
    driver.init(0);
    subject.request(&mut driver);
}

fn wait_used(driver: &mut Driver, queue: u16, index: u16) {
    let end = std::time::Instant::now() + PATIENCE;
    while driver.ring(queue).used_index() != index {
        assert!(std::time::Instant::now() < end, "the request does not come back");
        std::thread::yield_now();
    }
}
