//! Ports: resets, and devices that come and go.

use block::contract::MemoryDisk;
use devices::usb::Speed;
use devices::usb::storage::{MassStorage, Medium};
use devices::xhci::Full;
use devices::xhci::spec::{link, portsc, trb as kind};
use testkit::xhci::Drive;

use super::{Bench, HIGH, SIZE, SUPER};

const PORT_EVENT: u8 = kind::PORT_STATUS_CHANGE_EVENT;

fn link(portsc: u32) -> u32 {
    (portsc & portsc::LINK) >> portsc::LINK_SHIFT
}

#[test]
fn a_usb3_port_comes_up_by_itself_and_a_usb2_port_by_its_reset() {
    for (speed, first, number) in [(Speed::Super, 9, 4), (Speed::High, 1, 3)] {
        let mut bench = Bench::with(MemoryDisk::new(SIZE), speed);
        let driver = &mut bench.driver;
        assert_eq!(driver.event(PORT_EVENT).parameter >> 24, first);
        let port = first as u8;
        let read = driver.port(port);
        assert_eq!(read & (portsc::CONNECTED | portsc::CONNECT_CHANGE), portsc::CONNECTED | portsc::CONNECT_CHANGE);
        assert_eq!((read & portsc::SPEED) >> portsc::SPEED_SHIFT, number);
        assert_eq!(read & portsc::ENABLED != 0, speed == Speed::Super);
        driver.set_port(port, portsc::CONNECT_CHANGE);
        assert_eq!(driver.port(port) & portsc::CHANGES, 0);
        driver.set_port(port, portsc::RESET);
        assert_eq!(driver.event(PORT_EVENT).parameter >> 24, first);
        let read = driver.port(port);
        assert_eq!(read & (portsc::RESET | portsc::ENABLED), portsc::ENABLED);
        assert_eq!((read & portsc::CHANGES, link(read)), (portsc::RESET_CHANGE, link::U0));
        let mut drive = bench.drive();
        assert_eq!(drive.write(&mut bench.driver, &[0; 6], &[]).status, 0);
    }
}

#[test]
fn a_warm_reset_is_for_usb3() {
    let mut bench = Bench::new();
    let port = bench.driver.find_device(SUPER);
    bench.driver.set_port(port, portsc::WARM_RESET);
    bench.driver.wait("the warm reset", |d| d.port(port) & portsc::RESET_CHANGE != 0);
    assert_ne!(bench.driver.port(port) & portsc::WARM_RESET_CHANGE, 0);
    // Nobody is at the others.
    for port in [1, 10] {
        bench.driver.set_port(port, portsc::WARM_RESET | portsc::RESET);
        assert_eq!(bench.driver.port(port) & (portsc::RESET | portsc::CHANGES | portsc::ENABLED), 0);
    }
}

#[test]
fn links_are_suspended_and_disabled() {
    let mut bench = Bench::new();
    let driver = &mut bench.driver;
    let port = driver.find_device(SUPER);
    let set = |state: u32| state << portsc::LINK_SHIFT | portsc::LINK_WRITE;
    driver.set_port(port, set(link::U3));
    assert_eq!(link(driver.port(port)), link::U3);
    driver.set_port(port, set(link::U0));
    assert_eq!((link(driver.port(port)), driver.port(port) & portsc::CHANGES), (link::U0, portsc::LINK_CHANGE));
    driver.set_port(port, portsc::LINK_CHANGE | portsc::ENABLED);
    assert_eq!((link(driver.port(port)), driver.port(port) & portsc::ENABLED), (link::DISABLED, 0));
    driver.set_port(port, set(link::RX_DETECT));
    assert_eq!((link(driver.port(port)), driver.port(port) & portsc::ENABLED), (link::U0, portsc::ENABLED));
}

#[test]
fn devices_come_and_go_while_the_machine_runs() {
    let mut bench = Bench::new();
    let mut first = bench.drive();
    while !bench.driver.is_quiet(PORT_EVENT) {
        bench.driver.event(PORT_EVENT);
    }
    let stick = || MassStorage::new(Medium::new(std::sync::Arc::new(MemoryDisk::new(SIZE)), None), Speed::High);
    let connector = bench.xhci.attach(Box::new(stick())).unwrap();
    assert_eq!(bench.driver.event(PORT_EVENT).parameter >> 24, u64::from(connector) + 1);
    let mut second = Drive::find(&mut bench.driver, HIGH);
    assert_eq!(second.write(&mut bench.driver, &[0; 6], &[]).status, 0);

    // A surprise, while the host waits for data.
    let guest = bench.driver.guest().clone();
    second.device.queue(&bench.driver, 3, &[(guest.alloc(13, 4), 13)]);
    bench.xhci.detach(connector);
    let event = bench.driver.event(kind::TRANSFER_EVENT);
    assert_eq!((event.code(), event.slot()), (4, second.device.slot), "transaction error");
    assert_eq!(bench.driver.event(PORT_EVENT).parameter >> 24, u64::from(connector) + 1);
    let port = bench.driver.port(connector + 1);
    assert_eq!(port & (portsc::CONNECTED | portsc::ENABLED), 0);
    assert_ne!(port & portsc::CONNECT_CHANGE, 0);
    assert_eq!(second.send_command(&mut bench.driver, &[0; 6], 0, false), 4);
    bench.driver.order(kind::DISABLE_SLOT, second.device.slot, 0);

    // The other one did not notice.
    assert_eq!(first.write(&mut bench.driver, &[0; 6], &[]).status, 0);
    let again = bench.xhci.attach(Box::new(stick())).unwrap();
    assert_eq!(again, connector, "the connector is free again");
    bench.xhci.detach(99);
}

#[test]
fn connectors_run_out() {
    let bench = Bench::new();
    let stick = || MassStorage::new(bench.medium.clone(), Speed::Super);
    for connector in 1..8 {
        assert_eq!(bench.xhci.attach(Box::new(stick())), Ok(connector));
    }
    assert_eq!(bench.xhci.attach(Box::new(stick())), Err(Full));
}
