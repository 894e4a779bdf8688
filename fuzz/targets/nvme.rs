//! The NVMe controller under a driver that does anything, over a disk in memory.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use block::Disk;
use block::contract::MemoryDisk;
use devices::nvme::Nvme;
use libfuzzer_sys::fuzz_target;
use russet_fuzz::Access;
use testkit::Guest;
use testkit::nvme::{Driver, QueuePair};
use vm_memory::{Bytes, GuestAddress};

#[derive(Arbitrary, Debug)]
enum Op {
    /// A command as it should be, more or less: opcode, what is in the dwords from number 10 on, where the data are.
    Command {
        queue: bool,
        opcode: u8,
        namespace: u8,
        dwords: [u32; 6],
        data: (Place, Place),
    },
    /// Any 16 dwords.
    Anything {
        queue: bool,
        command: [u32; 16],
    },
    /// An access to the registers.
    Registers(Access),
    /// An access to the doorbells.
    Doorbell(Access),
    /// Writes where data and lists are.
    Memory {
        at: u16,
        value: u64,
    },
    /// Completions are taken.
    Take,
    Pause,
    Reset,
    /// The host does something.
    Host(u8, u16),
}

/// Where a PRP points.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Place {
    /// Into the data.
    Data(u16),
    Anywhere(u64),
}

/// Bytes for data and lists.
const DATA: u64 = 1 << 16;

fuzz_target!(|input: (bool, Vec<Op>)| {
    let (read_only, ops) = input;
    let disk = MemoryDisk::new(1 << 16);
    let disk = Arc::new(if read_only { disk.read_only() } else { disk });
    let guest = Guest::new();
    let data = guest.alloc(DATA, 4096);
    let mut driver = Driver::attach(&guest, &Nvme::new(disk.clone(), 2, None));
    driver.enable(16);
    let mut io = driver.create(1, 16);
    let place = |place: Place| match place {
        Place::Data(at) => data + u64::from(at),
        Place::Anywhere(at) => at,
    };
    let mut admin = driver.admin.take().unwrap_or_else(|| QueuePair::new(&guest, 0, 16, 0));
    for op in ops.into_iter().take(64) {
        match op {
            Op::Command { queue, opcode, namespace, dwords, data } => {
                let mut command = [0; 16];
                (command[0], command[1]) = (u32::from(opcode) % 16, u32::from(namespace) % 3);
                for (at, prp) in [(6, place(data.0)), (8, place(data.1))] {
                    (command[at], command[at + 1]) = (prp as u32, (prp >> 32) as u32);
                }
                command[10..].copy_from_slice(&dwords);
                driver.send(if queue { &mut io } else { &mut admin }, &command);
            }
            Op::Anything { queue, command } => {
                driver.send(if queue { &mut io } else { &mut admin }, &command);
            }
            Op::Registers(access) => access.make(guest.bus(), driver.bar(), 0x60),
            Op::Doorbell(access) => access.make(guest.bus(), driver.bar() + 0x1000, 0x40),
            Op::Memory { at, value } => {
                let _ = guest.memory().write_obj(value, GuestAddress(data + u64::from(at) / 8 * 8));
            }
            Op::Take => {
                for queue in [&mut io, &mut admin] {
                    driver.set(0x1004 + 8 * u64::from(queue.id()), queue.head().into());
                }
            }
            Op::Pause => {
                driver.controller().stop();
                driver.controller().start();
            }
            Op::Reset => driver.set(0x14, 0),
            Op::Host(what, size) => match what % 4 {
                0 => disk.lose_power(),
                1 => drop(disk.resize(u64::from(size))),
                failing => disk.set_failing(failing == 2),
            },
        }
    }
    guest.bridge().reset();
});
