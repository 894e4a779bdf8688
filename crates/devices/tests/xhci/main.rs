//! The xHCI controller and the USB drive behind it, worked by the guest's side of both.

mod commands;
mod hostile;
mod ports;
mod registers;
mod scsi;
mod transfers;
mod transport;

use std::sync::Arc;

use block::Disk;
use block::contract::MemoryDisk;
use devices::usb::Speed;
use devices::usb::storage::{MassStorage, Medium};
use devices::xhci::Xhci;
use testkit::Guest;
use testkit::xhci::{Drive, Driver};

/// Ports of USB 2.0 and of USB 3.
const HIGH: std::ops::RangeInclusive<u8> = 1..=8;
const SUPER: std::ops::RangeInclusive<u8> = 9..=16;

/// Bytes of the disk.
const SIZE: usize = 4 << 20;

/// A controller with a drive.
struct Bench {
    xhci: Arc<Xhci>,
    disk: Arc<MemoryDisk>,
    medium: Arc<Medium>,
    driver: Driver,
}

impl Bench {
    fn new() -> Self {
        Self::with(MemoryDisk::new(SIZE), Speed::Super)
    }

    fn with(disk: MemoryDisk, speed: Speed) -> Self {
        let disk = Arc::new(disk);
        Self::of(disk.clone(), disk, speed)
    }

    /// With a disk over the one in memory.
    fn of(top: Arc<dyn Disk>, disk: Arc<MemoryDisk>, speed: Speed) -> Self {
        let medium = Medium::new(top, Some("S1"));
        let xhci = Arc::new(Xhci::new());
        xhci.attach(Box::new(MassStorage::new(medium.clone(), speed))).unwrap();
        let driver = Driver::plug(&Guest::new(), xhci.clone());
        Self { xhci, disk, medium, driver }
    }

    fn drive(&mut self) -> Drive {
        Drive::find(&mut self.driver, 1..=16)
    }
}

/// Bytes that differ from each other.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9).wrapping_add(seed * 77) >> 7) as u8).collect()
}
