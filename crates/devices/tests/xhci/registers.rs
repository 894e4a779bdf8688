//! The registers that a driver looks at first, and what starts and stops the controller.

use devices::xhci::spec::{at, op, usbcmd, usbsts};
use testkit::xhci::{Drive, Driver};

use super::{Bench, HIGH, SUPER};

#[test]
fn the_capabilities_lead_to_everything() {
    let bench = Bench::new();
    let driver = &bench.driver;
    assert_eq!(driver.read(0) & 0xff, at::OPERATIONAL as u32, "CAPLENGTH");
    assert_eq!(driver.read(0) >> 16, 0x0110, "HCIVERSION");
    assert_eq!(driver.read(4), 16 << 24 | 1 << 8 | 32, "HCSPARAMS1");
    assert_eq!(driver.read(0x10) & 1, 1, "AC64");
    assert_eq!((driver.read(0x14), driver.read(0x18)), (at::DOORBELLS as u32, at::RUNTIME as u32));
    assert_eq!(driver.read(at::OPERATIONAL + op::PAGESIZE), 1);
    let mut next = u64::from(driver.read(0x10) >> 16) * 4;
    let mut protocols = Vec::new();
    while next != 0 {
        let (header, name, ports) = (driver.read(next), driver.read(next + 4), driver.read(next + 8));
        assert_eq!((header & 0xff, name.to_le_bytes()), (2, *b"USB "));
        protocols.push((header >> 24, ports & 0xff, ports >> 8 & 0xff));
        next = if header >> 8 & 0xff == 0 { 0 } else { next + u64::from(header >> 8 & 0xff) * 4 };
    }
    let ports = |range: std::ops::RangeInclusive<u8>| (u32::from(*range.start()), range.count() as u32);
    assert_eq!(protocols, [(2, ports(HIGH).0, ports(HIGH).1), (3, ports(SUPER).0, ports(SUPER).1)]);
}

#[test]
fn it_halts_and_runs_again() {
    let mut bench = Bench::new();
    let mut drive = bench.drive();
    let driver = &mut bench.driver;
    driver.write(at::OPERATIONAL + op::USBCMD, 0);
    driver.wait("the halt", |d| d.status() & usbsts::HALTED != 0);
    driver.write(at::OPERATIONAL + op::USBCMD, usbcmd::RUN | usbcmd::INTE);
    assert_eq!(driver.status() & usbsts::HALTED, 0);
    driver.write64(at::OPERATIONAL + op::CRCR, driver.commands.enqueue());
    assert_eq!(drive.write(driver, &[0; 6], &[]).status, 0, "slots stay");
}

#[test]
fn a_reset_forgets_everything_but_what_is_plugged_in() {
    let mut bench = Bench::new();
    drop(bench.drive());
    bench.driver.start();
    assert_eq!(bench.driver.command(0, 0, 15 << 10 | 1 << 16 | 1 << 24).0, 11, "the slot is not enabled");
    let mut drive = bench.drive();
    assert_eq!(drive.device.slot, 1);
    assert_eq!(drive.write(&mut bench.driver, &[0; 6], &[]).status, 0);
}

#[test]
fn a_machine_reset_puts_the_device_back_for_the_next_driver() {
    let mut bench = Bench::new();
    let mut drive = bench.drive();
    assert_eq!(drive.write(&mut bench.driver, &[0x1b, 0, 0, 0, 2, 0], &[]).status, 0);
    let guest = bench.driver.guest().clone();
    guest.bridge().reset();
    let mut driver = Driver::attach(&guest, bench.driver.devfn());
    let mut drive = Drive::find(&mut driver, SUPER);
    assert_eq!(drive.write(&mut driver, &[0; 6], &[]).status, 1, "what was ejected stays so");
    // The next board, with another function.
    guest.bridge().reset();
    let mut driver = Driver::plug(&testkit::Guest::new(), bench.xhci.clone());
    bench.medium.insert();
    let mut drive = Drive::find(&mut driver, SUPER);
    assert_eq!(drive.write(&mut driver, &[0; 6], &[]).status, 1);
    assert_eq!(drive.sense(&mut driver), (6, 0x28, 0), "another medium than before");
    assert_eq!(drive.write(&mut driver, &[0; 6], &[]).status, 0);
}

#[test]
fn interrupts_come_when_they_are_wanted() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    driver.find_device(SUPER);
    let before = driver.interrupts();
    assert_eq!(driver.command(0, 0, 23 << 10), (1, 0));
    assert!(driver.interrupts() > before);
    while driver.poll().is_some() {}
    // Not with the interrupter disabled; but when it is enabled again.
    driver.write(at::RUNTIME + 0x20, 1);
    let before = driver.interrupts();
    assert_eq!(driver.command(0, 0, 23 << 10), (1, 0));
    assert_eq!(driver.interrupts(), before);
    driver.write(at::RUNTIME + 0x20, 3);
    assert_eq!(driver.interrupts(), before + 1);
    assert_ne!(driver.status() & usbsts::EVENT_INTERRUPT, 0);
    driver.write(at::OPERATIONAL + op::USBSTS, usbsts::EVENT_INTERRUPT);
    assert_eq!(driver.status() & usbsts::EVENT_INTERRUPT, 0);
}

#[test]
fn registers_bear_every_access() {
    let bench = Bench::new();
    let guest = bench.driver.guest();
    let base = testkit::Guest::BARS;
    for value in [0, u64::MAX, 0x5555_5555_5555_5555] {
        for offset in (0..0x3000).step_by(3) {
            for width in [1, 2, 4, 8] {
                let mut data = [0; 8];
                guest.bus().read(base + offset, &mut data[..width]);
                guest.bus().write(base + offset, &value.to_le_bytes()[..width]);
            }
        }
    }
}
