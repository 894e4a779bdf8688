//! Commands and the states of slots and endpoints.

use devices::xhci::spec::{at, control, crcr, op, trb as kind};
use testkit::xhci::{Device, trb};
use vm_memory::{Bytes, GuestAddress};

use super::{Bench, SUPER};

const SUCCESS: u8 = 1;
const CONTEXT_STATE: u8 = 19;
const PARAMETER: u8 = 17;
const NOT_ENABLED: u8 = 11;

/// The control word of a command for an endpoint.
fn on(kind: u8, slot: u8, endpoint: u8) -> u32 {
    trb(kind, u32::from(endpoint) << 16 | u32::from(slot) << 24)
}

#[test]
fn slots_are_given_until_none_is_left() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    for slot in 1..=32 {
        assert_eq!(driver.command(0, 0, trb(kind::ENABLE_SLOT, 0)), (SUCCESS, slot));
    }
    assert_eq!(driver.command(0, 0, trb(kind::ENABLE_SLOT, 0)), (9, 0));
    driver.order(kind::DISABLE_SLOT, 7, 0);
    assert_eq!(driver.command(0, 0, on(kind::DISABLE_SLOT, 7, 0)).0, NOT_ENABLED);
    assert_eq!(driver.command(0, 0, trb(kind::ENABLE_SLOT, 0)), (SUCCESS, 7));
    driver.order(kind::DISABLE_SLOT, 7, 0);
    driver.write(at::OPERATIONAL + op::CONFIG, 6);
    assert_eq!(driver.command(0, 0, trb(kind::ENABLE_SLOT, 0)), (9, 0), "CONFIG says how many");
    for slot in [0, 33, 255] {
        assert_eq!(driver.command(0, 0, on(kind::RESET_DEVICE, slot, 0)).0, NOT_ENABLED);
    }
}

#[test]
fn a_device_is_addressed_in_one_step_or_two() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let port = driver.find_device(SUPER);
    let device = Device::address(driver, port);
    let slot = device.slot;
    let address = |bits| on(kind::ADDRESS_DEVICE, slot, 0) | bits;
    assert_eq!(driver.command(device.input, 0, address(0)).0, CONTEXT_STATE, "once only");
    driver.order(kind::RESET_DEVICE, slot, 0);
    assert_eq!(driver.load(device.output + 12) >> 27, 1, "default");
    assert_eq!(driver.command(device.input, 0, address(control::BIT_9)).0, CONTEXT_STATE);
    assert_eq!(driver.command(device.input, 0, address(0)).0, SUCCESS);
    assert_eq!(driver.load(device.output + 12), 2 << 27 | 1);
    assert_eq!(device.endpoint_state(driver, 1), 1);
}

#[test]
fn input_contexts_that_make_no_sense_are_refused() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let port = driver.find_device(SUPER);
    let device = Device::address(driver, port);
    driver.order(kind::RESET_DEVICE, device.slot, 0);
    let control = on(kind::ADDRESS_DEVICE, device.slot, 0);
    let slot_context = [1 << 27, u32::from(port) << 16];
    for (flags, words) in [
        ([0, 1], slot_context),
        ([0, 3], [1 << 27, 0]),
        ([0, 3], [1 << 27, 17 << 16]),
        ([0, 3], [1 << 27 | 1, u32::from(port) << 16]),
    ] {
        driver.store(device.input, &flags);
        driver.store(device.input + 32, &words);
        assert_eq!(driver.command(device.input, 0, control).0, PARAMETER, "{flags:?} {words:x?}");
    }
    driver.store(device.input, &[0, 3]);
    driver.store(device.input + 32, &[1 << 27, 10 << 16]);
    assert_eq!(driver.command(device.input, 0, control).0, 4, "nobody is at port 10");
    assert_eq!(driver.command(0, 0, control).0, 5, "no memory");
    driver.store(device.input + 32, &slot_context);
    assert_eq!(driver.command(device.input, 0, control).0, SUCCESS);
}

#[test]
fn endpoints_are_added_and_dropped() {
    let mut bench = Bench::new();
    let drive = bench.drive();
    let driver = &mut bench.driver;
    let (slot, input) = (drive.device.slot, drive.device.input);
    assert_eq!([1, 2, 3, 4].map(|n| drive.device.endpoint_state(driver, n)), [1, 0, 1, 1]);
    assert_eq!(driver.load(drive.device.output + 12) >> 27, 3, "configured");
    assert_eq!(driver.load(drive.device.output) >> 27, 4, "the last context");
    // An endpoint that the device does not have, one of another type, one with streams.
    for (endpoint, ty, word0) in [(5, 6, 0), (3, 7, 0), (3, 2, 0), (3, 6, 1 << 10)] {
        drive.device.fill_input(driver, 0, 1 | 1 << endpoint);
        driver.store(input + 32 * (endpoint + 1), &[word0, ty << 3 | 1024 << 16, 0, 0]);
        assert_eq!(driver.command(input, 0, on(kind::CONFIGURE_ENDPOINT, slot, 0)).0, PARAMETER);
    }
    drive.device.fill_input(driver, 1 << 3, 1);
    driver.order(kind::CONFIGURE_ENDPOINT, slot, input);
    assert_eq!([3, 4].map(|n| drive.device.endpoint_state(driver, n)), [0, 1]);
    assert_eq!(driver.command(0, 0, on(kind::STOP_ENDPOINT, slot, 3)).0, 12, "endpoint not enabled");
    assert_eq!(driver.command(0, 0, on(kind::CONFIGURE_ENDPOINT, slot, 0) | control::BIT_9).0, SUCCESS);
    assert_eq!(drive.device.endpoint_state(driver, 4), 0);
    assert_eq!(driver.load(drive.device.output + 12) >> 27, 2, "addressed");
}

#[test]
fn a_context_is_evaluated() {
    let mut bench = Bench::new();
    let drive = bench.drive();
    let driver = &mut bench.driver;
    drive.device.fill_input(driver, 0, 3);
    driver.store(drive.device.input + 32, &[0, 0x1234]);
    driver.store(drive.device.input + 64, &[0, 64 << 16]);
    driver.order(kind::EVALUATE_CONTEXT, drive.device.slot, drive.device.input);
    assert_eq!(driver.load(drive.device.output + 4), u32::from(drive.device.port) << 16 | 0x1234);
    assert_eq!(driver.load(drive.device.output + 32 + 4) >> 16, 64);
}

#[test]
fn an_endpoint_is_stopped_and_goes_on_where_it_was() {
    let mut bench = Bench::new();
    let mut drive = bench.drive();
    let driver = &mut bench.driver;
    let (slot, guest) = (drive.device.slot, driver.guest().clone());
    let command = |kind| on(kind, slot, 3);
    // Nothing comes before a command: the transfer waits, and is reported as stopped.
    let at = guest.alloc(13, 4);
    let waiting = drive.device.queue(driver, 3, &[(at, 13)]);
    driver.wait("the transfer to be looked at", |d| {
        let (code, _) = d.command(0, 0, command(kind::STOP_ENDPOINT));
        assert_eq!(code, SUCCESS);
        let stopped = !d.is_quiet(kind::TRANSFER_EVENT);
        d.ring(slot, 3);
        stopped
    });
    let event = driver.event(kind::TRANSFER_EVENT);
    assert_eq!((event.code(), event.parameter, event.length()), (26, waiting, 13));
    assert_eq!(driver.command(0, 0, command(kind::STOP_ENDPOINT)).0, SUCCESS);
    while !driver.is_quiet(kind::TRANSFER_EVENT) {
        driver.event(kind::TRANSFER_EVENT);
    }
    assert_eq!(drive.device.endpoint_state(driver, 3), 3, "stopped");
    assert_eq!(driver.command(0, 0, command(kind::RESET_ENDPOINT)).0, CONTEXT_STATE);
    // The driver takes it back.
    let pointer = drive.device.ring(3).enqueue();
    assert_eq!(driver.command(pointer, 0, command(kind::SET_TR_DEQUEUE)).0, SUCCESS);
    let context = drive.device.output + 3 * 32 + 8;
    assert_eq!(guest.memory().read_obj::<u64>(GuestAddress(context)).unwrap(), pointer);
    driver.ring(slot, 3);
    assert_eq!(drive.write(driver, &[0; 6], &[]).status, 0);
    assert_eq!(driver.command(pointer, 0, command(kind::SET_TR_DEQUEUE)).0, CONTEXT_STATE, "while it runs");
}

#[test]
fn the_command_ring_stops_and_goes_on() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    assert_eq!(driver.command(0, 0, trb(kind::NO_OP_COMMAND, 0)).0, SUCCESS);
    let crcr = at::OPERATIONAL + op::CRCR;
    assert_eq!(driver.read(crcr), crcr::RUNNING as u32);
    let next = driver.commands.enqueue();
    driver.write64(crcr, crcr::ABORT);
    let event = driver.event(kind::COMMAND_COMPLETION_EVENT);
    assert_eq!((event.code(), event.parameter), (24, next & !1));
    driver.wait("the ring to stop", |d| d.read(crcr) == 0);
    assert_eq!(driver.command(0, 0, trb(kind::NO_OP_COMMAND, 0)).0, SUCCESS);
    assert_eq!(driver.command(0, 0, trb(60, 0)).0, 5, "no such command");
}
