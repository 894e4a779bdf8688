//! A virtqueue from the driver's side (virtio 1.3, 2.7), written without the device's code.

use std::collections::HashMap;
use std::sync::atomic::{Ordering, fence};

use devices::GuestMemory;
use devices::virtio::spec::descriptor as flag;
use vm_memory::{Bytes, GuestAddress};

use crate::Guest;

/// A buffer of a request: the device reads it, or has room for that many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buffer {
    /// For the device to read.
    Read(Vec<u8>),
    /// For the device to write.
    Write(u32),
}

/// A request that has come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Its number, as [`Ring::add`] gave it.
    pub head: u16,
    /// How many bytes the device says it wrote.
    pub written: u32,
    /// All writable buffers, one after the other.
    pub data: Vec<u8>,
}

struct Flight {
    descriptors: Vec<u16>,
    writable: Vec<(u64, u32)>,
}

/// A virtqueue.
pub struct Ring {
    guest: Guest,
    size: u16,
    /// Address of the descriptor table.
    pub desc: u64,
    /// Address of the available ring.
    pub avail: u64,
    /// Address of the used ring.
    pub used: u64,
    free: Vec<u16>,
    next_avail: u16,
    last_used: u16,
    flights: HashMap<u16, Flight>,
    pub(crate) indirect: bool,
    pub(crate) event_index: bool,
}

impl Ring {
    pub(crate) fn new(guest: &Guest, size: u16) -> Self {
        let n = u64::from(size);
        Self {
            guest: guest.clone(),
            size,
            desc: guest.alloc(16 * n, 16),
            avail: guest.alloc(6 + 2 * n, 2),
            used: guest.alloc(6 + 8 * n, 4),
            free: (0..size).rev().collect(),
            next_avail: 0,
            last_used: 0,
            flights: HashMap::new(),
            indirect: false,
            event_index: false,
        }
    }

    fn memory(&self) -> &GuestMemory {
        self.guest.memory()
    }

    pub(crate) fn load(&self, addr: u64) -> u16 {
        u16::from_le(self.memory().load(GuestAddress(addr), Ordering::Acquire).unwrap())
    }

    pub(crate) fn store(&self, addr: u64, value: u16) {
        self.memory().store(value.to_le(), GuestAddress(addr), Ordering::Release).unwrap();
    }

    /// Descriptors in the ring.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Descriptors that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Puts a request into the ring, in an indirect table if those were negotiated. `None` when the ring is full.
    pub fn add(&mut self, buffers: &[Buffer]) -> Option<u16> {
        let needed = if self.indirect { 1 } else { buffers.len() };
        if needed > self.free.len() {
            return None;
        }
        let descriptors: Vec<u16> = (0..needed).filter_map(|_| self.free.pop()).collect();
        let mut writable = Vec::new();
        let mut placed = Vec::new();
        for buffer in buffers {
            placed.push(match buffer {
                Buffer::Read(data) => (self.guest.alloc_with(data), data.len() as u32, 0),
                Buffer::Write(len) => {
                    let at = self.guest.alloc(u64::from(*len), 1);
                    writable.push((at, *len));
                    (at, *len, flag::WRITE)
                }
            });
        }
        let last = placed.len() - 1;
        if self.indirect {
            let table = self.guest.alloc(16 * placed.len() as u64, 16);
            for (i, (at, len, flags)) in placed.into_iter().enumerate() {
                let more = if i < last { flag::NEXT } else { 0 };
                self.write_descriptor(table, i as u16, (at, len, flags | more, i as u16 + 1));
            }
            let bytes = 16 * (last as u32 + 1);
            self.write_descriptor(self.desc, descriptors[0], (table, bytes, flag::INDIRECT, 0));
        } else {
            for (i, (at, len, flags)) in placed.into_iter().enumerate() {
                let more = if i < last { flag::NEXT } else { 0 };
                let next = descriptors.get(i + 1).copied().unwrap_or(0);
                self.write_descriptor(self.desc, descriptors[i], (at, len, flags | more, next));
            }
        }
        let head = descriptors[0];
        self.flights.insert(head, Flight { descriptors, writable });
        self.publish(head);
        Some(head)
    }

    /// Memory for an indirect table.
    #[must_use]
    pub fn table(&self, entries: usize) -> u64 {
        self.guest.alloc(16 * entries as u64, 16)
    }

    /// Writes a descriptor (address, length, flags, next) of a table.
    pub fn write_descriptor(&self, table: u64, index: u16, (addr, len, flags, next): (u64, u32, u16, u16)) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&addr.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.memory().write_slice(&bytes, GuestAddress(table + 16 * u64::from(index))).unwrap();
    }

    /// Makes the chain at `head` available, whatever it is.
    pub fn publish(&mut self, head: u16) {
        self.store(self.avail + 4 + 2 * u64::from(self.next_avail % self.size), head);
        self.next_avail = self.next_avail.wrapping_add(1);
        self.store(self.avail + 2, self.next_avail);
        fence(Ordering::SeqCst);
    }

    /// Sets the available index, whatever is there.
    pub fn set_avail_index(&mut self, index: u16) {
        self.store(self.avail + 2, index);
    }

    /// Whether the device wants a kick for what was published since `old` (2.7.10).
    #[must_use]
    pub fn wants_kick(&self, old: u16) -> bool {
        if self.event_index {
            let event = self.load(self.used + 4 + 8 * u64::from(self.size));
            let (new, event) = (self.next_avail, event.wrapping_add(1));
            return new.wrapping_sub(event) < new.wrapping_sub(old);
        }
        self.load(self.used) & 1 == 0
    }

    /// How many requests were published.
    #[must_use]
    pub fn published(&self) -> u16 {
        self.next_avail
    }

    /// Says from which used index on an interrupt is wanted (with the event index).
    pub fn set_used_event(&self, index: u16) {
        self.store(self.avail + 4 + 2 * u64::from(self.size), index);
        fence(Ordering::SeqCst);
    }

    /// Says that no interrupt is wanted (without the event index).
    pub fn set_no_interrupt(&self, no: bool) {
        self.store(self.avail, u16::from(no));
        fence(Ordering::SeqCst);
    }

    /// The device's used index.
    #[must_use]
    pub fn used_index(&self) -> u16 {
        self.load(self.used + 2)
    }

    /// How many used requests were taken.
    #[must_use]
    pub fn taken(&self) -> u16 {
        self.last_used
    }

    /// Takes the next request that has come back.
    pub fn take(&mut self) -> Option<Used> {
        let ahead = self.used_index().wrapping_sub(self.last_used);
        if ahead == 0 {
            return None;
        }
        assert!(ahead <= self.size, "the used index ran away");
        let at = self.used + 4 + 8 * u64::from(self.last_used % self.size);
        let mut element = [0; 8];
        self.memory().read_slice(&mut element, GuestAddress(at)).unwrap();
        let [a, b, c, d, written @ ..] = element;
        let head = u16::try_from(u32::from_le_bytes([a, b, c, d])).expect("a used number beyond 16 bits");
        self.last_used = self.last_used.wrapping_add(1);
        let flight = self.flights.remove(&head).unwrap_or_else(|| panic!("request {head} came back unasked"));
        self.free.extend(flight.descriptors);
        let mut data = Vec::new();
        for (at, len) in flight.writable {
            let begin = data.len();
            data.resize(begin + len as usize, 0);
            self.memory().read_slice(&mut data[begin..], GuestAddress(at)).unwrap();
        }
        let written = u32::from_le_bytes(written);
        assert!(written as usize <= data.len(), "{written} bytes written into {}", data.len());
        Some(Used { head, written, data })
    }
}
