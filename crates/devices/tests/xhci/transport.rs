//! The bulk-only transport: what the host and the device expect of each other, and how they find together again.

use testkit::xhci::{Csw, Drive, Driver};

use super::{Bench, HIGH, SUPER, pattern};
use block::contract::MemoryDisk;
use devices::usb::Speed;

fn passed(residue: u32, data: &[u8]) -> Csw {
    Csw { status: 0, residue, data: data.to_vec() }
}

fn bench() -> (Bench, Drive) {
    let mut bench = Bench::new();
    let drive = bench.drive();
    (bench, drive)
}

const READ_CAPACITY: [u8; 10] = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const READ_ONE: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const WRITE_ONE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];

#[test]
fn the_device_describes_itself_at_both_speeds() {
    for (speed, ports, version, packet) in [(Speed::High, HIGH, 0x0200u16, 512u16), (Speed::Super, SUPER, 0x0300, 1024)]
    {
        let mut bench = Bench::with(MemoryDisk::new(4096), speed);
        let mut drive = Drive::find(&mut bench.driver, ports);
        let driver = &mut bench.driver;
        let (code, device) = drive.control_in(driver, [0x80, 6, 0, 1, 0, 0, 18, 0]);
        assert_eq!(
            (code, device.len(), &device[..2], &device[2..4]),
            (1, 18, &[18, 1][..], &version.to_le_bytes()[..])
        );
        // 9 bytes first, then all, as drivers ask.
        let (_, head) = drive.control_in(driver, [0x80, 6, 0, 2, 0, 0, 9, 0]);
        let (_, all) = drive.control_in(driver, [0x80, 6, 0, 2, 0, 0, 255, 0]);
        assert_eq!((head.len(), usize::from(head[2])), (9, all.len()));
        assert_eq!(all[9..18], [9, 4, 0, 0, 2, 8, 6, 0x50, 0], "mass storage, SCSI, bulk only");
        assert_eq!((&all[18..22], &all[22..24]), (&[7, 5, 0x81, 2][..], &packet.to_le_bytes()[..]));
        let mut at = 0;
        while at < all.len() {
            assert!(all[at] >= 2, "a descriptor of no length");
            at += usize::from(all[at]);
        }
        assert_eq!(at, all.len());
        let (_, serial) = drive.control_in(driver, [0x80, 6, 3, 3, 9, 4, 255, 0]);
        assert_eq!(serial, [6, 3, b'S', 0, b'1', 0]);
        assert_eq!(drive.control_in(driver, [0xa1, 0xfe, 0, 0, 0, 0, 1, 0]), (1, vec![0]), "one logical unit");
        let (code, bos) = drive.control_in(driver, [0x80, 6, 0, 15, 0, 0, 22, 0]);
        assert_eq!((code, bos.len()), if speed == Speed::Super { (1, 22) } else { (6, 0) });
    }
}

#[test]
fn host_and_device_agree() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    assert_eq!(drive.write(driver, &[0; 6], &[]), passed(0, &[]));
    assert_eq!(drive.read(driver, &READ_CAPACITY, 8), passed(0, &[0, 0, 0x1f, 0xff, 0, 0, 2, 0]));
    let data = pattern(3, 512);
    assert_eq!(drive.write(driver, &WRITE_ONE, &data), passed(0, &[]));
    assert_eq!(drive.read(driver, &READ_ONE, 512), passed(0, &data));
}

/// The cases of 6.7 where host and device disagree.
#[test]
fn host_and_device_disagree() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let zeroes = vec![0; 512];
    // 2, 3: the host expects nothing.
    assert_eq!(drive.write(driver, &READ_ONE, &[]).status, 2);
    assert_eq!(drive.write(driver, &WRITE_ONE, &[]).status, 2);
    // 4, 5: the host expects more.
    assert_eq!(drive.read(driver, &[0; 6], 100), passed(100, &[]));
    assert_eq!(drive.read(driver, &READ_ONE, 1024), passed(512, &zeroes));
    assert_eq!(drive.read(driver, &READ_ONE, 3000), passed(3000 - 512, &zeroes));
    // 7: the device has more.
    assert_eq!(drive.read(driver, &READ_ONE, 100), Csw { status: 2, residue: 0, data: vec![0; 100] });
    // 8, 10: the other way.
    assert_eq!(drive.read(driver, &WRITE_ONE, 512), Csw { status: 2, residue: 512, data: vec![] });
    assert_eq!(drive.write(driver, &READ_ONE, &zeroes), Csw { status: 2, residue: 512, data: vec![] });
    // 9, 11: the host has more.
    assert_eq!(drive.write(driver, &[0; 6], &zeroes), passed(512, &[]));
    assert_eq!(drive.write(driver, &WRITE_ONE, &[7; 1000]), passed(488, &[]));
    assert_eq!(drive.read(driver, &READ_ONE, 512), passed(0, &[7; 512]));
    // 13: the device wants more.
    assert_eq!(drive.write(driver, &WRITE_ONE, &[1; 100]).status, 2);
}

#[test]
fn a_command_that_fails_says_why() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let beyond = [0x28, 0, 0, 0, 0x20, 0, 0, 0, 1, 0];
    assert_eq!(drive.read(driver, &beyond, 512), Csw { status: 1, residue: 512, data: vec![] });
    assert_eq!(drive.sense(driver), (5, 0x21, 0));
    assert_eq!(drive.sense(driver), (0, 0, 0), "once");
    bench.disk.set_failing(true);
    assert_eq!(drive.read(driver, &READ_ONE, 512).status, 1);
    assert_eq!(drive.sense(driver), (3, 0x11, 0));
    assert_eq!(drive.write(driver, &WRITE_ONE, &[0; 512]), Csw { status: 1, residue: 512, data: vec![] });
    assert_eq!(drive.sense(driver), (3, 0x0c, 0));
    bench.disk.set_failing(false);
    assert_eq!(drive.read(driver, &READ_ONE, 512).status, 0);
}

/// What is no command halts both endpoints until the reset recovery (6.6.1 and 5.3.4).
#[test]
fn what_is_no_command_needs_a_reset_recovery() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let guest = driver.guest().clone();
    let mut good = Vec::from(*b"USBC\x01\0\0\0\0\0\0\0\0\0\x06");
    good.resize(31, 0);
    let spoil = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases =
        [good[..30].to_vec(), [&good[..], &[0]].concat(), spoil(3, b'D'), spoil(13, 1), spoil(14, 0), spoil(14, 17)];
    for cbw in cases {
        let at = guest.alloc_with(&cbw);
        assert_eq!(drive.device.bulk(driver, 4, at, cbw.len() as u32).code(), 6, "{cbw:x?}");
        let endpoint = |drive: &mut Drive, driver: &mut Driver, address| {
            drive.control_in(driver, [0x82, 0, 0, 0, address, 0, 2, 0]).1
        };
        assert_eq!(endpoint(&mut drive, driver, 0x81), [1, 0]);
        drive.device.recover(driver, 4);
        assert_eq!(endpoint(&mut drive, driver, 2), [1, 0], "clearing the halt does not help");
        let at = guest.alloc_with(&good);
        assert_eq!(drive.device.bulk(driver, 4, at, 31).code(), 6);
        assert_eq!(drive.control_out(driver, [0x21, 0xff, 0, 0, 0, 0, 0, 0], &[]), 1);
        assert_eq!(endpoint(&mut drive, driver, 2), [1, 0], "the reset alone does not clear halts");
        drive.device.recover(driver, 4);
        assert_eq!(drive.control_out(driver, [2, 1, 0, 0, 0x81, 0, 0, 0], &[]), 1);
        assert_eq!(drive.write(driver, &[0; 6], &[]), passed(0, &[]));
    }
}

#[test]
fn the_reset_ends_a_command_in_the_midst_of_its_data() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    assert_eq!(drive.send_command(driver, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0], 4096, false), 1);
    let at = driver.guest().alloc(512, 1);
    assert_eq!(drive.device.bulk(driver, 4, at, 512).code(), 1);
    assert_eq!(drive.control_out(driver, [0x21, 0xff, 0, 0, 0, 0, 0, 0], &[]), 1);
    assert_eq!(drive.write(driver, &[0; 6], &[]), passed(0, &[]));
}

#[test]
fn the_host_can_halt_an_endpoint() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    assert_eq!(drive.control_out(driver, [2, 3, 0, 0, 2, 0, 0, 0], &[]), 1, "SET_FEATURE(ENDPOINT_HALT)");
    assert_eq!(drive.send_command(driver, &[0; 6], 0, false), 6);
    drive.device.recover(driver, 4);
    assert_eq!(drive.write(driver, &[0; 6], &[]), passed(0, &[]));
}
