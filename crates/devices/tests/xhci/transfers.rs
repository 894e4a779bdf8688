//! Transfers: chains, short packets, event data, immediate data, rings that are full.

use devices::xhci::spec::{control, trb as kind};
use testkit::xhci::{Drive, Driver, Event, trb};
use vm_memory::{Bytes, GuestAddress};

use super::{Bench, pattern};

/// READ(10) of blocks from the first.
fn read10(blocks: u16) -> [u8; 10] {
    let [high, low] = blocks.to_be_bytes();
    [0x28, 0, 0, 0, 0, 0, 0, high, low, 0]
}

fn bench() -> (Bench, Drive, Vec<u8>) {
    let mut bench = Bench::new();
    let data = pattern(1, 64 << 10);
    block::Disk::write(&*bench.disk, 0, &[std::io::IoSlice::new(&data)]).unwrap();
    let drive = bench.drive();
    (bench, drive, data)
}

fn memory(driver: &Driver, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    driver.guest().memory().read_slice(&mut bytes, GuestAddress(at)).unwrap();
    bytes
}

fn transfer(driver: &mut Driver) -> Event {
    driver.event(kind::TRANSFER_EVENT)
}

#[test]
fn data_is_scattered_over_a_chain_of_buffers() {
    let (mut bench, mut drive, data) = bench();
    let driver = &mut bench.driver;
    // The ring has 15 TRBs and a link: the chain goes over it more than once.
    for round in 0..5 {
        assert_eq!(drive.send_command(driver, &read10(128), 64 << 10, true), 1);
        let lengths = [1, 511, 4096, 0, 3, 9, 20_000, 40_916];
        let guest = driver.guest().clone();
        let buffers: Vec<(u64, u32)> = lengths.iter().map(|len| (guest.alloc(u64::from(*len), 1), *len)).collect();
        let last = drive.device.queue(driver, 3, &buffers);
        let event = transfer(driver);
        assert_eq!((event.code(), event.parameter, event.length()), (1, last, 0), "round {round}");
        let got: Vec<u8> = buffers.iter().flat_map(|(at, len)| memory(driver, *at, *len as usize)).collect();
        assert!(got == data, "round {round}");
        assert_eq!(drive.status(driver), (0, 0));
    }
}

#[test]
fn a_short_packet_ends_the_transfer_in_the_midst_of_a_chain() {
    let (mut bench, mut drive, _) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    // INQUIRY gives 36 bytes.
    assert_eq!(drive.send_command(driver, &[0x12, 0, 0, 0, 255, 0], 255, true), 1);
    let buffers = [(guest.alloc(30, 1), 30), (guest.alloc(100, 1), 100), (guest.alloc(125, 1), 125)];
    let last = drive.device.queue(driver, 3, &buffers);
    let (short, end) = (transfer(driver), transfer(driver));
    assert_eq!((short.code(), short.length()), (13, 94), "at the second buffer");
    assert!(short.parameter != last);
    assert_eq!((end.code(), end.parameter), (13, last), "and at the one with the interrupt");
    assert_eq!(drive.status(driver), (0, 255 - 36), "after a halt");
}

#[test]
fn event_data_says_how_much_came() {
    let (mut bench, mut drive, data) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    assert_eq!(drive.send_command(driver, &read10(2), 1024, true), 1);
    let at = guest.alloc(1024, 1);
    let ring = drive.device.ring(3);
    ring.push(&guest, at, 1000, trb(kind::NORMAL, control::CHAIN));
    ring.push(&guest, at + 1000, 24, trb(kind::NORMAL, control::CHAIN));
    ring.push(&guest, 0x1234_5678_9abc, 0, trb(kind::EVENT_DATA, control::COMPLETION));
    driver.ring(drive.device.slot, 3);
    let event = transfer(driver);
    assert_eq!((event.code(), event.parameter, event.length()), (1, 0x1234_5678_9abc, 1024));
    assert_ne!(event.control & control::SHORT, 0, "marked as event data");
    assert!(memory(driver, at, 1024) == data[..1024]);
    assert_eq!(drive.status(driver), (0, 0));
}

#[test]
fn immediate_data_is_in_the_trb() {
    let (mut bench, mut drive, _) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    // The 31 bytes of TEST UNIT READY's wrapper in four parts.
    let mut cbw = Vec::from(*b"USBC\x01\0\0\0\0\0\0\0\0\0\x06");
    cbw.resize(31, 0);
    for (index, part) in cbw.chunks(8).enumerate() {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        let flags = if index == 3 { control::COMPLETION } else { control::CHAIN } | control::IMMEDIATE;
        drive.device.ring(4).push(&guest, u64::from_le_bytes(bytes), part.len() as u32, trb(kind::NORMAL, flags));
    }
    driver.ring(drive.device.slot, 4);
    assert_eq!(transfer(driver).code(), 1);
    let at = guest.alloc(13, 1);
    assert_eq!(drive.device.bulk(driver, 3, at, 13).code(), 1);
    assert_eq!(memory(driver, at, 13), *b"USBS\x01\0\0\0\0\0\0\0\0");
}

#[test]
fn a_transfer_that_waits_is_done_when_the_command_has_come() {
    let (mut bench, mut drive, data) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    let (at, status) = (guest.alloc(512, 1), guest.alloc(13, 1));
    // Data and status are asked for before there is a command.
    drive.device.queue(driver, 3, &[(at, 512)]);
    drive.device.queue(driver, 3, &[(status, 13)]);
    let mut events = vec![];
    let mut cbw = Vec::from(*b"USBC\x09\0\0\0\0\x02\0\0\x80\0\x0a");
    cbw.extend(read10(1));
    cbw.resize(31, 0);
    let cbw = guest.alloc_with(&cbw);
    drive.device.queue(driver, 4, &[(cbw, 31)]);
    for _ in 0..3 {
        events.push((transfer(driver).endpoint(), 1));
    }
    assert_eq!(events, [(4, 1), (3, 1), (3, 1)]);
    assert!(memory(driver, at, 512) == data[..512]);
    assert_eq!(memory(driver, status, 5), *b"USBS\x09");
}

#[test]
fn a_full_event_ring_loses_nothing() {
    let (mut bench, mut drive, _) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    while driver.poll().is_some() {}
    // The event ring has room for 31.
    let mut wanted: Vec<u64> = Vec::new();
    for endpoint in [1, 3, 4] {
        let push = |_| drive.device.ring(endpoint).push(&guest, 0, 0, trb(kind::NO_OP, control::COMPLETION));
        wanted.extend((0..14).map(push));
        driver.ring(drive.device.slot, endpoint);
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut got: Vec<u64> = wanted.iter().map(|_| transfer(driver).parameter).collect();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
    assert!(driver.is_quiet(kind::TRANSFER_EVENT));
}

#[test]
fn trbs_that_make_no_sense_put_the_endpoint_into_error() {
    let (mut bench, mut drive, _) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    for (parameter, status, control) in [
        (0, 0, trb(63, 0)),
        (0, 0, trb(kind::ENABLE_SLOT, 0)),
        (guest.alloc(16, 1), 0x1_0001, trb(kind::NORMAL, 0)),
        (0, 9, trb(kind::NORMAL, control::IMMEDIATE)),
        (0x10, 512, trb(kind::NORMAL, 0)),
        (u64::MAX - 3, 512, trb(kind::NORMAL, 0)),
    ] {
        let at = drive.device.ring(4).push(&guest, parameter, status, control);
        driver.ring(drive.device.slot, 4);
        let event = transfer(driver);
        assert_eq!((event.code(), event.parameter), (5, at), "{parameter:#x} {status:#x} {control:#x}");
        assert_eq!(drive.device.endpoint_state(driver, 4), 4, "error");
        let pointer = drive.device.ring(4).enqueue();
        let command = trb(kind::SET_TR_DEQUEUE, 4 << 16 | u32::from(drive.device.slot) << 24);
        assert_eq!(driver.command(pointer, 0, command).0, 1);
    }
    assert_eq!(drive.write(driver, &[0; 6], &[]).status, 0);
}

#[test]
fn control_transfers_are_refused_by_a_stall() {
    let (mut bench, mut drive, _) = bench();
    let driver = &mut bench.driver;
    for setup in [[0x80, 6, 0, 99, 0, 0, 8, 0], [0xa1, 7, 0, 0, 0, 0, 8, 0], [0x82, 0, 0, 0, 0x85, 0, 2, 0]] {
        assert_eq!(drive.control_in(driver, setup).0, 6);
        drive.device.recover(driver, 1);
    }
    for setup in [[0, 9, 2, 0, 0, 0, 0, 0], [0, 99, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(drive.control_out(driver, setup, &[]), 6);
        drive.device.recover(driver, 1);
    }
    assert_eq!(drive.control_in(driver, [0x80, 8, 0, 0, 0, 0, 1, 0]), (1, vec![1]), "GET_CONFIGURATION");
}
