//! Guests that mean harm: rings that never end, addresses that are nowhere.

use devices::xhci::spec::{at, control, op, runtime, trb as kind, usbcmd, usbsts};
use testkit::xhci::{Drive, Driver, trb};

use super::Bench;

/// The controller still does what it is told after a reset.
fn recovers(driver: &mut Driver) {
    driver.start();
    let mut drive = Drive::find(driver, 1..=16);
    assert_eq!(drive.write(driver, &[0; 6], &[]).status, 0);
}

#[test]
fn a_command_ring_that_is_a_loop_of_links_ends() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let at = driver.commands.enqueue() & !1;
    driver.store(at, &[at as u32, (at >> 32) as u32, 0, trb(kind::LINK, 1)]);
    driver.ring(0, 0);
    assert_eq!(driver.event(kind::COMMAND_COMPLETION_EVENT).code(), 5);
    recovers(driver);
}

#[test]
fn a_ring_of_commands_without_end_can_be_stopped() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let ring = driver.guest().alloc(64, 64);
    driver
        .store(ring, &[0, 0, 0, trb(kind::NO_OP_COMMAND, 1), ring as u32, (ring >> 32) as u32, 0, trb(kind::LINK, 1)]);
    driver.write64(at::OPERATIONAL + op::CRCR, ring | 1);
    driver.ring(0, 0);
    for _ in 0..100 {
        assert_eq!(driver.event(kind::COMMAND_COMPLETION_EVENT).code(), 1);
    }
    driver.write(at::OPERATIONAL + op::USBCMD, 0);
    driver.wait("the halt", |d| d.status() & usbsts::HALTED != 0);
    recovers(driver);
}

#[test]
fn transfers_without_end_are_refused_or_shared_with_others() {
    let mut bench = Bench::new();
    let mut drive = bench.drive();
    let driver = &mut bench.driver;
    let set = |driver: &mut Driver, drive: &Drive, ring: u64| {
        let control = |kind| trb(kind, 4 << 16 | u32::from(drive.device.slot) << 24);
        driver.command(0, 0, control(kind::STOP_ENDPOINT));
        assert_eq!(driver.command(ring | 1, 0, control(kind::SET_TR_DEQUEUE)).0, 1);
        driver.ring(drive.device.slot, 4);
    };
    let ring = driver.guest().alloc(64, 64);
    let link = [ring as u32, (ring >> 32) as u32, 0, trb(kind::LINK, 1)];
    // A chain that never ends.
    driver.store(ring, &[0, 0, 0, trb(kind::NORMAL, 1 | control::CHAIN)]);
    driver.store(ring + 16, &link);
    set(driver, &drive, ring);
    assert_eq!(driver.event(kind::TRANSFER_EVENT).code(), 5);
    // Only links.
    driver.store(ring, &link);
    set(driver, &drive, ring);
    assert_eq!(driver.event(kind::TRANSFER_EVENT).code(), 5);
    // Transfers for ever: other endpoints and commands go on.
    driver.store(ring, &[0, 0, 0, trb(kind::NO_OP, 1)]);
    set(driver, &drive, ring);
    assert_eq!(driver.command(0, 0, trb(kind::NO_OP_COMMAND, 0)).0, 1);
    assert_eq!(drive.control_in(driver, [0x80, 8, 0, 0, 0, 0, 1, 0]), (1, vec![1]));
    let ring = drive.device.ring(4).enqueue() & !1;
    set(driver, &drive, ring);
    recovers(driver);
}

#[test]
fn an_event_ring_outside_memory_is_a_system_error() {
    for (table, size) in [(0x1000, 1), (!0x3f, 1), (0, 0)] {
        let mut bench = Bench::new();
        let driver = &mut bench.driver;
        driver.write(at::RUNTIME + runtime::ERSTSZ, size);
        driver.write64(at::RUNTIME + runtime::ERSTBA, table);
        driver.ring(0, 0);
        driver.commands = testkit::xhci::ProducerRing::new(driver.guest(), 8);
        driver.set_port(9, 1 << 4);
        driver.wait("the error", |d| {
            d.status() & (usbsts::SYSTEM_ERROR | usbsts::HALTED) == usbsts::SYSTEM_ERROR | usbsts::HALTED
        });
        recovers(driver);
    }
}

#[test]
fn segments_of_no_size_and_segments_outside_memory_are_a_system_error() {
    for (base, size) in [(0x4000_0000u64, 0u32), (0x4000_0000, 15), (0x4000_0000, 4097), (0x43ff_fff0, 16), (0x100, 16)]
    {
        let mut bench = Bench::new();
        let driver = &mut bench.driver;
        let table = driver.guest().alloc(16, 64);
        driver.store(table, &[base as u32, 0, size, 0]);
        driver.write(at::RUNTIME + runtime::ERSTSZ, 1);
        driver.write64(at::RUNTIME + runtime::ERSTBA, table);
        driver.set_port(9, 1 << 4);
        driver.wait("the error", |d| d.status() & usbsts::SYSTEM_ERROR != 0);
        recovers(driver);
    }
}

#[test]
fn contexts_outside_memory_harm_nobody() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let port = driver.find_device(1..=16);
    driver.write64(at::OPERATIONAL + op::DCBAAP, 0);
    assert_eq!(driver.command(0, 0, trb(kind::ENABLE_SLOT, 0)), (1, 1));
    let input = driver.guest().alloc(33 * 32, 64);
    driver.store(input, &[0, 3]);
    driver.store(input + 32, &[1 << 27, u32::from(port) << 16]);
    driver.store(input + 64, &[0, 4 << 3, 0xffff_fff0, 0xffff_ffff]);
    let address = trb(kind::ADDRESS_DEVICE, 1 << 24);
    assert_eq!(driver.command(input, 0, address).0, 5);
    // The array is there, and what it points to is not.
    driver.write64(at::OPERATIONAL + op::DCBAAP, driver.contexts);
    driver.store(driver.contexts + 8, &[0xffff_ffc0, 0xffff_ffff]);
    assert_eq!(driver.command(input, 0, address).0, 1);
    driver.ring(1, 1);
    assert_eq!(driver.event(kind::TRANSFER_EVENT).code(), 5, "its ring is nowhere");
    for command in [kind::RESET_DEVICE, kind::DISABLE_SLOT] {
        assert_eq!(driver.command(0, 0, trb(command, 1 << 24)).0, 1);
    }
    driver.write(at::OPERATIONAL + op::USBCMD, usbcmd::RUN);
    recovers(driver);
}
