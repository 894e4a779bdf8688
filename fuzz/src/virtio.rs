//! A driver that sets a device up as it should and then does anything.

use std::sync::Arc;

use arbitrary::Arbitrary;
use devices::virtio::VirtioDevice;
use devices::virtio::spec::feature;
use testkit::Guest;
use vm_memory::{Bytes, GuestAddress};

use crate::Access;

/// What the driver does next.
#[derive(Arbitrary, Debug)]
pub enum Op {
    /// Resets the device and starts it with these features, as far as it offers them, and queues of this size.
    Start { features: u64, size: u8 },
    /// Puts a chain into a queue. `direct`: not in an indirect table.
    Chain { queue: u8, direct: bool, chain: Vec<Buffer> },
    /// Writes into a queue's rings.
    Spoil { queue: u8, part: u8, offset: u16, value: u16 },
    /// Kicks.
    Kick { queue: u8 },
    /// Any access to the registers.
    Registers(Access),
    /// An access to the device configuration.
    Configuration(Access),
    /// Lets the device work everything off, and pauses it.
    Pause,
    /// The host does something.
    Host(u8, Vec<u8>),
}

/// A descriptor.
#[derive(Arbitrary, Debug)]
pub struct Buffer {
    place: Place,
    writable: bool,
    /// Set bits are turned over in flags.
    flags: u8,
    /// Set bits are turned over in next.
    next: u8,
}

#[derive(Arbitrary, Debug)]
enum Place {
    Data(Vec<u8>),
    Room(u16),
    Anywhere {
        addr: u64,
        len: u32,
    },
    /// Memory from its beginning.
    Low {
        len: u32,
    },
}

/// Does what `ops` say to `device`; `host` is called for the host's part.
pub fn drive(device: Arc<dyn VirtioDevice>, ops: Vec<Op>, mut host: impl FnMut(u8, &[u8])) {
    let guest = Guest::new();
    let mut driver = guest.plug(device);
    let queues = driver.queues();
    let offered = driver.offered();
    let mut ready = false;
    for op in ops.into_iter().take(64) {
        match op {
            Op::Start { features, size } => {
                driver.init_sized(features & offered & !feature::VERSION_1, 1 << (size % 7));
                ready = true;
            }
            Op::Chain { queue, direct, chain } if ready => {
                let index = u16::from(queue) % queues;
                let indirect = driver.features() & feature::RING_INDIRECT_DESC != 0 && !direct;
                let ring = driver.ring(index);
                let table = if indirect { ring.table(chain.len()) } else { ring.desc };
                let mut count = 0;
                let room = if indirect { usize::MAX } else { ring.size().into() };
                let last = chain.len().min(room).saturating_sub(1);
                for (i, buffer) in chain.into_iter().take(room).enumerate() {
                    let (addr, len) = match buffer.place {
                        Place::Data(data) => (guest.alloc_with(&data), data.len() as u32),
                        Place::Room(len) => (guest.alloc(u64::from(len), 1), u32::from(len)),
                        Place::Anywhere { addr, len } => (addr, len),
                        Place::Low { len } => (Guest::RAM, len),
                    };
                    let flags = u16::from(i < last)
                        | u16::from(buffer.writable) << 1
                        | u16::from(buffer.flags & 7 & buffer.flags >> 4);
                    let next = (i as u16 + 1) ^ u16::from(buffer.next >> 3 & buffer.next);
                    driver.ring(index).write_descriptor(table, i as u16, (addr, len, flags, next));
                    count += 1;
                }
                let ring = driver.ring(index);
                if indirect {
                    ring.write_descriptor(ring.desc, 0, (table, 16 * count, 4, 0));
                }
                ring.publish(0);
                driver.kick(index);
            }
            Op::Spoil { queue, part, offset, value } if ready => {
                let ring = driver.ring(u16::from(queue) % queues);
                let (base, len) = match part % 3 {
                    0 => (ring.desc, 16 * u64::from(ring.size())),
                    1 => (ring.avail, 6 + 2 * u64::from(ring.size())),
                    _ => (ring.used, 6 + 8 * u64::from(ring.size())),
                };
                let at = base + u64::from(offset) % len / 2 * 2;
                guest.memory().write_obj(value, GuestAddress(at)).unwrap();
            }
            Op::Kick { queue } => driver.kick(queue.into()),
            Op::Registers(access) => access.make(guest.bus(), driver.common(), 0x4000),
            Op::Configuration(access) => access.make(guest.bus(), driver.device_config(), 64),
            Op::Pause => {
                for _ in 0..2 {
                    driver.transport().stop();
                    driver.transport().start();
                }
            }
            Op::Host(what, data) => host(what, &data),
            Op::Chain { .. } | Op::Spoil { .. } => {}
        }
    }
    driver.reset();
    driver.init(0);
    driver.reset();
}
