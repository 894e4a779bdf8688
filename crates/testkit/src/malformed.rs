//! Chains and rings that break the standard (virtio 1.3, 2.7), a line per way to do it.

use devices::virtio::spec::descriptor::{INDIRECT, NEXT, WRITE};

use crate::{Guest, Ring};

/// A way to break a ring: its name, whether it needs indirect descriptors to be negotiated, and how.
pub type Case = (&'static str, bool, fn(&mut Ring, &Guest));

/// All of them. A device that takes requests from the ring has to answer each with `DEVICE_NEEDS_RESET`.
pub const CASES: [Case; 17] = [
    ("a head beyond the queue", false, |r, _| r.publish(r.size())),
    ("a head far beyond the queue", false, |r, _| r.publish(0xffff)),
    ("a next beyond the queue", false, |r, g| direct(r, &[(g.alloc(8, 8), 8, NEXT, r.size())])),
    ("a loop of one", false, |r, g| direct(r, &[(g.alloc(8, 8), 8, NEXT, 0)])),
    ("a loop of two", false, |r, g| direct(r, &[(g.alloc(8, 8), 8, NEXT, 1), (g.alloc(8, 8), 8, NEXT, 0)])),
    ("a loop of empty buffers", false, |r, g| direct(r, &[(g.alloc(8, 8), 0, NEXT, 1), (0, 0, NEXT, 0)])),
    ("a readable buffer outside memory", false, |r, _| direct(r, &[(0x1000, 8, 0, 0)])),
    ("a writable buffer outside memory", false, |r, _| direct(r, &[(0x1000, 8, WRITE, 0)])),
    ("a buffer over the end of memory", false, |r, _| direct(r, &[(Guest::RAM + Guest::RAM_SIZE - 4, 8, WRITE, 0)])),
    ("a buffer that wraps around", false, |r, _| direct(r, &[(u64::MAX - 3, 8, 0, 0)])),
    ("a readable buffer after a writable one", false, |r, g| {
        direct(r, &[(g.alloc(8, 8), 8, NEXT | WRITE, 1), (g.alloc(8, 8), 8, 0, 0)]);
    }),
    ("an available index that runs away", false, |r, _| r.set_avail_index(r.published() + r.size() + 1)),
    ("more than 4 GiB", true, |r, _| {
        let all = vec![(Guest::RAM, Guest::RAM_SIZE as u32, NEXT, 0); 65];
        indirect(r, all.len() as u32 * 16, INDIRECT, &all);
    }),
    ("an indirect table of no size", true, |r, g| indirect(r, 0, INDIRECT, &[(g.alloc(8, 8), 8, 0, 0)])),
    ("an indirect table of a crooked size", true, |r, g| indirect(r, 24, INDIRECT, &[(g.alloc(8, 8), 8, 0, 0)])),
    ("an indirect table in an indirect table", true, |r, g| {
        indirect(r, 16, INDIRECT, &[(g.alloc(16, 16), 16, INDIRECT, 0)])
    }),
    ("a chain that goes on after an indirect table", true, |r, g| {
        indirect(r, 16, INDIRECT | NEXT, &[(g.alloc(8, 8), 8, 0, 0)]);
    }),
];

type Descriptor = (u64, u32, u16, u16);

fn direct(ring: &mut Ring, chain: &[Descriptor]) {
    for (i, descriptor) in chain.iter().enumerate() {
        ring.write_descriptor(ring.desc, i as u16, *descriptor);
    }
    ring.publish(0);
}

/// `next` of the chain's descriptors is made to be the one that follows.
fn indirect(ring: &mut Ring, bytes: u32, flags: u16, chain: &[Descriptor]) {
    let table = ring.table(chain.len());
    for (i, &(addr, len, flags, _)) in chain.iter().enumerate() {
        ring.write_descriptor(table, i as u16, (addr, len, flags, i as u16 + 1));
    }
    direct(ring, &[(table, bytes, flags, 1)]);
}
