//! The xHCI controller under a driver that puts anything into its rings, contexts and registers, with a drive plugged
//! in, and pulled out.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use block::contract::MemoryDisk;
use devices::usb::Speed;
use devices::usb::storage::{MassStorage, Medium};
use devices::xhci::Xhci;
use devices::xhci::spec::{control, trb as kind};
use libfuzzer_sys::fuzz_target;
use russet_fuzz::Access;
use testkit::Guest;
use testkit::xhci::{Drive, Driver, trb};
use vm_memory::{Bytes, GuestAddress};

#[derive(Arbitrary, Debug)]
enum Op {
    /// A command for the drive's slot, more or less.
    Command {
        kind: u8,
        flags: u32,
        status: u32,
        parameter: Place,
    },
    /// Any TRB in a transfer ring.
    Transfer {
        endpoint: u8,
        kind: u8,
        flags: u32,
        status: u32,
        parameter: Place,
    },
    /// A control transfer.
    Setup {
        packet: u64,
        length: u16,
        reads: bool,
    },
    /// A word of the device's contexts, of the array of contexts, of rings or data is written.
    Memory {
        at: Place,
        value: u64,
    },
    Doorbell {
        slot: u8,
        endpoint: u8,
        stream: u16,
    },
    Registers(Access),
    /// Events are taken.
    Take,
    Unplug,
    Plug,
    Start,
}

/// Where a pointer points.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Place {
    Data(u16),
    Input(u16),
    Output(u16),
    Contexts(u16),
    Commands(u16),
    Anywhere(u64),
}

/// Bytes for data, rings and contexts of the driver's own making.
const DATA: u64 = 1 << 16;

fuzz_target!(|input: (bool, Vec<Op>)| {
    let (high, ops) = input;
    let guest = Guest::new();
    let medium = Medium::new(Arc::new(MemoryDisk::new(1 << 16)), Some("FUZZ"));
    let speed = if high { Speed::High } else { Speed::Super };
    let stick = || Box::new(MassStorage::new(medium.clone(), speed));
    let xhci = Arc::new(Xhci::new());
    let mut connector = xhci.attach(stick()).ok();
    let mut driver = Driver::plug(&guest, xhci.clone());
    let mut drive = Drive::find(&mut driver, 1..=16);
    let data = guest.alloc(DATA, 4096);
    let (input, output, slot) = (drive.device.input, drive.device.output, drive.device.slot);
    for op in ops.into_iter().take(64) {
        let commands = driver.commands.start();
        let place = |place: Place| match place {
            Place::Data(at) => data + u64::from(at),
            Place::Input(at) => input + u64::from(at) % 1056,
            Place::Output(at) => output + u64::from(at) % 1024,
            Place::Contexts(at) => driver.contexts + u64::from(at) % 2048,
            Place::Commands(at) => commands + u64::from(at) % 128,
            Place::Anywhere(at) => at,
        };
        match op {
            Op::Command { kind, flags, status, parameter } => {
                let word = trb(9 + kind % 15, flags & 0x00ff_03ff | u32::from(slot) << 24);
                let parameter = place(parameter);
                driver.commands.push(&guest, parameter, status, word);
                driver.ring(0, 0);
            }
            Op::Transfer { endpoint, kind, flags, status, parameter } => {
                let (endpoint, parameter) = ([1, 3, 4][usize::from(endpoint) % 3], place(parameter));
                drive.device.ring(endpoint).push(&guest, parameter, status, trb(kind % 9, flags & 0xffff_03ff));
                driver.ring(slot, endpoint);
            }
            Op::Setup { packet, length, reads } => {
                let ring = drive.device.ring(1);
                ring.push(&guest, packet, 8, trb(kind::SETUP, control::IMMEDIATE));
                let way = if reads { control::IN } else { 0 };
                ring.push(&guest, data, length.into(), trb(kind::DATA, way | control::SHORT));
                ring.push(&guest, 0, 0, trb(kind::STATUS, control::COMPLETION));
                driver.ring(slot, 1);
            }
            Op::Memory { at, value } => {
                let _ = guest.memory().write_obj(value, GuestAddress(place(at) & !7));
            }
            Op::Doorbell { slot, endpoint, stream } => {
                driver.write(
                    devices::xhci::spec::at::DOORBELLS + 4 * u64::from(slot % 65),
                    u32::from(endpoint) | u32::from(stream) << 16,
                );
            }
            Op::Registers(access) => access.make(guest.bus(), driver.bar(), 0x4000),
            Op::Take => drop((0..64).find(|_| driver.poll().is_none())),
            Op::Unplug => {
                if let Some(connector) = connector.take() {
                    xhci.detach(connector);
                }
            }
            Op::Plug => connector = connector.or_else(|| xhci.attach(stick()).ok()),
            Op::Start => {
                // Rings that the driver had forgotten about may be in use until here.
                driver.start();
            }
        }
    }
    guest.bridge().reset();
});
