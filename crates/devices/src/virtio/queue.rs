//! A virtqueue in the hands of its device: split rings (virtio 1.3, 2.7) over guest memory.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use virtio_queue::{Queue, QueueState, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend as _};

use super::spec::AVAIL_F_NO_INTERRUPT;
use super::{Chain, Interrupt, Malformed};
use crate::GuestMemory;

/// How many queues were broken so far. The first, second, fourth... is logged: a guest can reset and break without end.
static BROKEN: AtomicU64 = AtomicU64::new(0);

/// A queue that was enabled and is complete: rings, memory behind them, and the way to interrupt the driver.
///
/// The usual turn of a device, after a kick:
///
/// ```text
/// loop {
///     queue.disable_notification();
///     while let Some(chain) = queue.pop() {
///         let written = work(&chain, queue.memory());
///         queue.complete(chain, written);
///     }
///     queue.signal();
///     if !queue.enable_notification() { break }
/// }
/// ```
///
/// A ring that the driver has spoilt makes the queue *broken*: `DEVICE_NEEDS_RESET` is set, `pop` gives nothing any
/// more and `complete` does nothing, until the reset. The device need not look.
pub struct Virtqueue {
    queue: Queue,
    index: u16,
    indirect: bool,
    memory: GuestMemory,
    interrupt: Arc<dyn Interrupt>,
    /// Chains were completed since the last [`signal`](Self::signal).
    news: bool,
    /// The used index at the last [`signal`](Self::signal).
    signalled: Wrapping<u16>,
    broken: bool,
}

impl Virtqueue {
    /// Queue number `index`, set up by the driver as `queue` says. `indirect`: indirect tables were negotiated.
    #[must_use]
    pub fn new(queue: Queue, index: u16, indirect: bool, memory: GuestMemory, interrupt: Arc<dyn Interrupt>) -> Self {
        let signalled = Wrapping(queue.next_used());
        Self { queue, index, indirect, memory, interrupt, news: false, signalled, broken: false }
    }

    /// The number of the queue.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// The size which the driver chose, in descriptors.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.queue.size()
    }

    /// The memory which the chains of this queue are in.
    #[must_use]
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// Where the rings are and how far they were worked on: all that there is to save of a queue.
    #[must_use]
    pub fn state(&self) -> QueueState {
        self.queue.state()
    }

    /// The next request, or `None` when there is none at the moment or the queue is broken.
    pub fn pop(&mut self) -> Option<Chain> {
        if self.broken {
            return None;
        }
        match self.try_pop() {
            Ok(chain) => chain,
            Err(why) => {
                self.fail(why);
                None
            }
        }
    }

    fn try_pop(&mut self) -> Result<Option<Chain>, Malformed> {
        let avail = self.avail_index().ok_or(Malformed::Ring)?;
        let next = self.queue.next_avail();
        let ahead = avail.wrapping_sub(next);
        if ahead == 0 {
            return Ok(None);
        }
        let size = self.queue.size();
        if ahead > size {
            return Err(Malformed::AvailIndex);
        }
        let slot = self.queue.avail_ring().checked_add(4 + 2 * u64::from(next % size)).ok_or(Malformed::Ring)?;
        let head = self.load(slot, Ordering::Relaxed).ok_or(Malformed::Ring)?;
        let table = GuestAddress(self.queue.desc_table());
        let chain = Chain::walk(&self.memory, table, size, head, self.indirect)?;
        self.queue.set_next_avail(next.wrapping_add(1));
        Ok(Some(chain))
    }

    /// Whether [`pop`](Self::pop) would find something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.broken || self.avail_index().is_none_or(|avail| avail == self.queue.next_avail())
    }

    fn avail_index(&self) -> Option<u16> {
        self.load(self.queue.avail_ring().checked_add(2)?, Ordering::Acquire)
    }

    /// A field of a ring. It is aligned, so that it lies in one region, which is quicker than `Bytes::load`.
    fn load(&self, at: u64, order: Ordering) -> Option<u16> {
        self.memory.get_slice(GuestAddress(at), 2).ok()?.load(0, order).map(u16::from_le).ok()
    }

    /// Undoes the last [`pop`](Self::pop): the chain will come again. Only for the chain that was popped last.
    pub fn put_back(&mut self, chain: Chain) {
        drop(chain);
        self.queue.set_next_avail(self.queue.next_avail().wrapping_sub(1));
    }

    /// Gives a chain back to the driver, with `written` bytes in its writable buffers from their beginning. In any
    /// order (2.7.9). Call [`signal`](Self::signal) after one or several.
    pub fn complete(&mut self, chain: Chain, written: u32) {
        self.complete_together([(chain, written)]);
    }

    /// Gives several chains back, each with its `written`, so that the driver sees all of them or none: a network
    /// packet may fill more than one (5.1.6.4). They are used in this order.
    pub fn complete_together(&mut self, chains: impl IntoIterator<Item = (Chain, u32)>) {
        if self.broken {
            return;
        }
        match self.try_complete(chains) {
            Some(()) => self.news = true,
            None => self.fail(Malformed::Ring),
        }
    }

    fn try_complete(&mut self, chains: impl IntoIterator<Item = (Chain, u32)>) -> Option<()> {
        let (ring, size) = (self.queue.used_ring(), self.queue.size());
        let mut next = self.queue.next_used();
        for (chain, written) in chains {
            let at = ring.checked_add(4 + 8 * u64::from(next % size))?;
            let element = u64::from(chain.head()) | u64::from(written) << 32;
            self.memory.get_slice(GuestAddress(at), 8).ok()?.write_obj(element.to_le(), 0).ok()?;
            next = next.wrapping_add(1);
        }
        let index = self.memory.get_slice(GuestAddress(ring.checked_add(2)?), 2).ok()?;
        index.store(next.to_le(), 0, Ordering::Release).ok()?;
        self.queue.set_next_used(next);
        Some(())
    }

    /// Interrupts the driver if chains were completed and it wants to know (2.7.7.2).
    pub fn signal(&mut self) {
        if self.take_signal() {
            self.interrupt.queue(self.index);
        }
    }

    /// Whether [`signal`](Self::signal) would interrupt, for who has the queue behind a lock: a `true` has to be
    /// followed by [`Interrupt::queue`] when the lock is free.
    #[must_use]
    pub fn take_signal(&mut self) -> bool {
        if self.broken || !std::mem::take(&mut self.news) {
            return false;
        }
        self.interrupt_wanted().unwrap_or_else(|| {
            self.fail(Malformed::Ring);
            false
        })
    }

    /// The way to the driver.
    #[must_use]
    pub fn interrupt(&self) -> &Arc<dyn Interrupt> {
        &self.interrupt
    }

    fn interrupt_wanted(&mut self) -> Option<bool> {
        let ring = self.queue.avail_ring();
        let load = |at| self.load(at, Ordering::Relaxed);
        // The used index must be visible before the driver's wish is read, or both sides miss each other.
        fence(Ordering::SeqCst);
        if !self.queue.event_idx_enabled() {
            return Some(load(ring)? & AVAIL_F_NO_INTERRUPT == 0);
        }
        // Wanted when the index has passed `used_event` since it was looked at last (2.7.7.1).
        let event = Wrapping(load(ring.checked_add(4 + 2 * u64::from(self.queue.size()))?)?);
        let new = Wrapping(self.queue.next_used());
        let old = std::mem::replace(&mut self.signalled, new);
        Some(new - event - Wrapping(1) < new - old)
    }

    /// Asks the driver not to kick, while the device is at work anyway. A hint: kicks may come all the same.
    pub fn disable_notification(&mut self) {
        if !self.broken && self.queue.disable_notification(&self.memory).is_err() {
            self.fail(Malformed::Ring);
        }
    }

    /// Asks the driver to kick again. `true`: buffers have come in between, for which there will be no kick: work on.
    pub fn enable_notification(&mut self) -> bool {
        if self.broken {
            return false;
        }
        self.queue.enable_notification(&self.memory).unwrap_or_else(|_| {
            self.fail(Malformed::Ring);
            false
        })
    }

    /// Breaks the queue because of what the driver did.
    pub fn fail(&mut self, why: Malformed) {
        if !std::mem::replace(&mut self.broken, true) {
            let count = BROKEN.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_power_of_two() {
                tracing::warn!(queue = self.index, %why, count, "virtqueue broken by the driver");
            }
            self.interrupt.needs_reset();
        }
    }

    /// Whether the queue is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}
