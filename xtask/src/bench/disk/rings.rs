//! A virtio-blk device driven as a guest would, by its rings in the memory of a machine without CPUs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use block::Disk;
use devices::virtio::block::Block;
use devices::virtio::block::spec::{HEADER, feature as class, request};
use devices::virtio::spec::{descriptor, feature};
use testkit::{Driver, Guest, PATIENCE};
use vm_memory::{Bytes, GuestAddress};

use super::pattern::{Pattern, Places};

/// Descriptors of the queue.
const SIZE: u16 = 256;
const SECTOR: u64 = 512;

/// The driver's side of a disk, with memory for the requests of a pattern.
pub(super) struct Rings {
    driver: Driver,
    pattern: Pattern,
    places: Places,
    slots: Vec<Slot>,
    /// Used entries that were taken.
    taken: u16,
    /// What was published before the last kick.
    kicked: u16,
}

/// A request's three descriptors, which are always the same, and their memory.
struct Slot {
    header: u64,
    data: u64,
    status: u64,
    /// Where the request under way goes.
    offset: u64,
}

impl Rings {
    /// A guest that has `disk`.
    pub(super) fn new(disk: Arc<dyn Disk>, pattern: Pattern) -> Self {
        let size = disk.size();
        let guest = Guest::new();
        let mut driver = guest.plug(Arc::new(Block::new(disk, 1, None)));
        driver.init_sized(feature::RING_EVENT_IDX | class::FLUSH, SIZE);
        let slot = |_| Slot {
            header: guest.alloc(HEADER as u64, 16),
            data: guest.alloc(pattern.block, 4096),
            status: guest.alloc(1, 1),
            offset: 0,
        };
        let slots: Vec<Slot> = (0..pattern.depth).map(slot).collect();
        let to_device = if pattern.way.is_write() { 0 } else { descriptor::WRITE };
        let ring = driver.ring(0);
        for (i, slot) in (0u16..).step_by(3).zip(&slots) {
            let (desc, next) = (ring.desc, descriptor::NEXT);
            ring.write_descriptor(desc, i, (slot.header, HEADER as u32, next, i + 1));
            ring.write_descriptor(desc, i + 1, (slot.data, pattern.block as u32, to_device | next, i + 2));
            ring.write_descriptor(desc, i + 2, (slot.status, 1, descriptor::WRITE, 0));
        }
        Self { driver, pattern, places: Places::new(pattern, size), slots, taken: 0, kicked: 0 }
    }

    /// Has requests under way for `time`. Returns how many bytes were moved and in how many seconds.
    pub(super) fn run(&mut self, time: Duration) -> Result<(f64, f64)> {
        let start = Instant::now();
        (0..self.slots.len()).try_for_each(|slot| self.begin(slot))?;
        let (mut done, mut under_way) = (0u64, self.slots.len());
        self.kick();
        while under_way > 0 {
            self.wait()?;
            let goes_on = start.elapsed() < time;
            while let Some(slot) = self.used()? {
                self.check(slot)?;
                done += 1;
                if goes_on { self.begin(slot)? } else { under_way -= 1 }
            }
            self.kick();
        }
        Ok((done as f64 * self.pattern.block as f64, start.elapsed().as_secs_f64()))
    }

    fn begin(&mut self, slot: usize) -> Result<()> {
        let Slot { header, data, offset, .. } = &mut self.slots[slot];
        *offset = self.places.next();
        let kind = if self.pattern.way.is_write() { request::OUT } else { request::IN };
        let memory = self.driver.guest().memory();
        let words = u128::from(kind) | u128::from(*offset / SECTOR) << 64;
        memory.write_slice(&words.to_le_bytes(), GuestAddress(*header))?;
        for at in self.pattern.checked() {
            let stamp = if self.pattern.way.is_write() { *offset + at } else { u64::MAX };
            memory.write_slice(&stamp.to_le_bytes(), GuestAddress(*data + at))?;
        }
        self.driver.ring(0).publish(3 * slot as u16);
        Ok(())
    }

    /// Whether the device did what it said.
    fn check(&self, slot: usize) -> Result<()> {
        let Slot { data, status, offset, .. } = self.slots[slot];
        let memory = self.driver.guest().memory();
        let mut byte = [0];
        memory.read_slice(&mut byte, GuestAddress(status))?;
        if byte != [0] {
            bail!("the device answered a request at {offset} with status {}", byte[0]);
        }
        for at in self.pattern.checked() {
            let mut stamp = [0; 8];
            memory.read_slice(&mut stamp, GuestAddress(data + at))?;
            if u64::from_le_bytes(stamp) != offset + at {
                bail!("other data came from {}", offset + at);
            }
        }
        Ok(())
    }

    /// The request that came back next.
    fn used(&mut self) -> Result<Option<usize>> {
        let ring = self.driver.ring(0);
        if ring.used_index() == self.taken {
            return Ok(None);
        }
        let at = ring.used + 4 + 8 * u64::from(self.taken % SIZE);
        let mut head = [0; 4];
        self.driver.guest().memory().read_slice(&mut head, GuestAddress(at))?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(u32::from_le_bytes(head) as usize / 3))
    }

    fn kick(&mut self) {
        let ring = self.driver.ring(0);
        let published = ring.published();
        if published != self.kicked && ring.wants_kick(self.kicked) {
            self.driver.kick(0);
        }
        self.kicked = published;
    }

    /// Waits for the next interrupt, unless a request has come back.
    fn wait(&mut self) -> Result<()> {
        let seen = self.driver.interrupt_count(0);
        let (devfn, taken) = (self.driver.devfn(), self.taken);
        let ring = self.driver.ring(0);
        ring.set_used_event(taken);
        let nothing = ring.used_index() == taken;
        if nothing && !self.driver.guest().interrupts().wait_past(devfn, 0, seen, PATIENCE) {
            bail!("no request came back");
        }
        Ok(())
    }
}
