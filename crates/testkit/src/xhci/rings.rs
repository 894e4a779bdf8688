//! Rings as the driver has them.

use devices::xhci::spec::{control, trb as kind};
use vm_memory::{Bytes, GuestAddress};

use crate::Guest;

/// The control word of a TRB of a kind.
#[must_use]
pub fn trb(kind: u8, flags: u32) -> u32 {
    u32::from(kind) << 10 | flags
}

/// A ring that the driver writes: one segment that ends in a link to its beginning.
pub struct ProducerRing {
    start: u64,
    size: u64,
    next: u64,
    cycle: bool,
}

impl ProducerRing {
    /// A ring for `size` - 1 TRBs.
    #[must_use]
    pub fn new(guest: &Guest, size: u64) -> Self {
        Self { start: guest.alloc(size * 16, 4096), size, next: 0, cycle: true }
    }

    /// Where it begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where the next TRB goes, with the cycle bit that it will have.
    #[must_use]
    pub fn enqueue(&self) -> u64 {
        (self.start + self.next * 16) | u64::from(self.cycle)
    }

    /// Puts a TRB into the ring and says where it is. The cycle bit is ours, the rest of `control` is the caller's.
    pub fn push(&mut self, guest: &Guest, parameter: u64, status: u32, control: u32) -> u64 {
        let at = self.start + self.next * 16;
        self.store(guest, at, parameter, status, control);
        self.next += 1;
        if self.next == self.size - 1 {
            // A link inside a transfer is chained, too.
            let flags = control::TOGGLE | control & control::CHAIN;
            self.store(guest, at + 16, self.start, 0, trb(kind::LINK, flags));
            (self.next, self.cycle) = (0, !self.cycle);
        }
        at
    }

    fn store(&self, guest: &Guest, at: u64, parameter: u64, status: u32, control: u32) {
        let control = control & !control::CYCLE | u32::from(self.cycle);
        let value = u128::from(parameter) | u128::from(status) << 64 | u128::from(control) << 96;
        let bytes = value.to_le_bytes();
        guest.memory().write_slice(&bytes[..12], GuestAddress(at)).unwrap();
        guest.memory().store(control, GuestAddress(at + 12), std::sync::atomic::Ordering::Release).unwrap();
    }
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What it is about: mostly the address of a TRB.
    pub parameter: u64,
    /// Completion code and length.
    pub status: u32,
    /// Kind, endpoint, slot.
    pub control: u32,
}

impl Event {
    /// TRB type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        (self.control >> 10) as u8 & 0x3f
    }

    /// Completion code.
    #[must_use]
    pub fn code(&self) -> u8 {
        (self.status >> 24) as u8
    }

    /// Bytes that were not moved.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.status & 0xff_ffff
    }

    /// The slot.
    #[must_use]
    pub fn slot(&self) -> u8 {
        (self.control >> 24) as u8
    }

    /// The endpoint, as device context index.
    #[must_use]
    pub fn endpoint(&self) -> u8 {
        (self.control >> 16) as u8 & 0x1f
    }
}

/// The event ring: segments that the controller writes.
pub(super) struct EventRing {
    table: u64,
    segments: Vec<(u64, u64)>,
    segment: usize,
    index: u64,
    cycle: bool,
}

impl EventRing {
    pub(super) fn new(guest: &Guest, sizes: &[u64]) -> Self {
        let segments: Vec<_> = sizes.iter().map(|size| (guest.alloc(size * 16, 64), *size)).collect();
        let entries: Vec<u8> =
            segments.iter().flat_map(|(base, size)| [base.to_le_bytes(), size.to_le_bytes()].concat()).collect();
        let table = guest.alloc(entries.len() as u64, 64);
        guest.memory().write_slice(&entries, GuestAddress(table)).unwrap();
        Self { table, segments, segment: 0, index: 0, cycle: true }
    }

    pub(super) fn table(&self) -> u64 {
        self.table
    }

    pub(super) fn segments(&self) -> u32 {
        self.segments.len() as u32
    }

    pub(super) fn dequeue(&self) -> u64 {
        self.segments[self.segment].0 + self.index * 16
    }

    pub(super) fn take(&mut self, guest: &Guest) -> Option<Event> {
        let at = self.dequeue();
        let control: u32 = guest.memory().load(GuestAddress(at + 12), std::sync::atomic::Ordering::Acquire).unwrap();
        if (control & control::CYCLE != 0) != self.cycle {
            return None;
        }
        let parameter = guest.memory().read_obj(GuestAddress(at)).unwrap();
        let status = guest.memory().read_obj(GuestAddress(at + 8)).unwrap();
        self.index += 1;
        if self.index == self.segments[self.segment].1 {
            (self.segment, self.index) = ((self.segment + 1) % self.segments.len(), 0);
            self.cycle ^= self.segment == 0;
        }
        Some(Event { parameter, status, control })
    }
}
