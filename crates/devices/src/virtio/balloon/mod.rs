//! The traditional memory balloon (virtio 1.3, 5.5): the guest gives memory, which goes back to the host.
//!
//! Two ways: the host sets a target and the guest gives that many pages (inflate); and the guest reports pages that
//! are free anyway, without being asked (reporting).

pub mod spec;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use self::worker::Active;
use super::spec::device_type;
use super::{ActivateError, Activation, Interrupt, VirtioDevice, Virtqueue, Waker, Worker};

/// Gives guest memory back to the host. The board implements it.
pub trait MemoryReclaim: Send + Sync {
    /// The guest does not need the content of `len` bytes at guest-physical `addr`: the host may take the memory
    /// away, and the guest reads zeroes or the old bytes there until it writes again. Both are multiples of 4096 in
    /// a decent guest, but come from the guest unchecked: what is not RAM is to be ignored, and a range is to be cut
    /// down to whole pages of the host. Called on the balloon's thread; may take a while.
    fn release(&self, addr: u64, len: u64);
}

/// What the guest says of its memory, each if it says it (5.5.6.4). Bytes, except for the faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Swapped in since the guest's boot.
    pub swap_in: Option<u64>,
    /// Swapped out since the guest's boot.
    pub swap_out: Option<u64>,
    /// Page faults with disk access since the guest's boot.
    pub major_faults: Option<u64>,
    /// Page faults without.
    pub minor_faults: Option<u64>,
    /// Unused for anything.
    pub free: Option<u64>,
    /// All that the guest has.
    pub total: Option<u64>,
    /// What new programs could have without swapping.
    pub available: Option<u64>,
    /// In disk caches.
    pub disk_caches: Option<u64>,
}

impl Stats {
    fn set(&mut self, tag: u16, value: u64) {
        let field = match tag {
            spec::tag::SWAP_IN => &mut self.swap_in,
            spec::tag::SWAP_OUT => &mut self.swap_out,
            spec::tag::MAJOR_FAULTS => &mut self.major_faults,
            spec::tag::MINOR_FAULTS => &mut self.minor_faults,
            spec::tag::FREE => &mut self.free,
            spec::tag::TOTAL => &mut self.total,
            spec::tag::AVAILABLE => &mut self.available,
            spec::tag::DISK_CACHES => &mut self.disk_caches,
            _ => return,
        };
        *field = Some(value);
    }
}

/// The balloon device.
///
/// Fixed: nothing. Glue: the way to give memory back. State: target and actual size, the last statistics, the worker.
pub struct Balloon {
    shared: Arc<Shared>,
    waker: Waker,
    life: Mutex<Life>,
}

#[derive(Default)]
struct Life {
    worker: Option<Worker<Active>>,
    interrupt: Option<Arc<dyn Interrupt>>,
}

/// What the worker shares with the callers.
struct Shared {
    reclaim: Arc<dyn MemoryReclaim>,
    wanted: AtomicU32,
    actual: AtomicU32,
    stats_wanted: AtomicBool,
    stats: Mutex<Option<Stats>>,
}

impl Shared {
    fn want_stats(&self) {
        self.stats_wanted.store(true, Ordering::Release);
    }

    fn take_stats_wanted(&self) -> bool {
        self.stats_wanted.swap(false, Ordering::AcqRel)
    }

    fn set_stats(&self, stats: Stats) {
        *self.stats.lock() = Some(stats);
    }
}

impl Balloon {
    /// A balloon, empty, that gives memory back by `reclaim`.
    #[must_use]
    pub fn new(reclaim: Arc<dyn MemoryReclaim>) -> Self {
        let shared = Shared {
            reclaim,
            wanted: AtomicU32::new(0),
            actual: AtomicU32::new(0),
            stats_wanted: AtomicBool::new(false),
            stats: Mutex::new(None),
        };
        Self { shared: Arc::new(shared), waker: Waker::new(), life: Mutex::default() }
    }

    /// Asks the guest to give `bytes` in all, rounded down to pages of 4 KiB. It does so when and as far as it can.
    pub fn set_target(&self, bytes: u64) {
        let pages = u32::try_from(bytes / spec::PAGE).unwrap_or(u32::MAX);
        if self.shared.wanted.swap(pages, Ordering::AcqRel) != pages {
            let interrupt = self.life.lock().interrupt.clone();
            if let Some(interrupt) = interrupt {
                interrupt.config();
            }
        }
    }

    /// What the guest was asked to give, in bytes.
    #[must_use]
    pub fn target(&self) -> u64 {
        u64::from(self.shared.wanted.load(Ordering::Acquire)) * spec::PAGE
    }

    /// What the guest says that it has given, in bytes.
    #[must_use]
    pub fn actual(&self) -> u64 {
        u64::from(self.shared.actual.load(Ordering::Acquire)) * spec::PAGE
    }

    /// Asks the guest for new statistics, which [`stats`](Self::stats) has after a moment.
    pub fn request_stats(&self) {
        self.shared.want_stats();
        self.waker.wake();
    }

    /// The last statistics; `None` while the guest has sent none.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        *self.shared.stats.lock()
    }
}

impl VirtioDevice for Balloon {
    fn device_type(&self) -> u16 {
        device_type::BALLOON
    }

    fn features(&self) -> u64 {
        spec::F_STATS_VQ | spec::F_DEFLATE_ON_OOM | spec::F_PAGE_REPORTING
    }

    fn queue_sizes(&self) -> &[u16] {
        &[128; 5]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; 8];
        config[..4].copy_from_slice(&self.shared.wanted.load(Ordering::Acquire).to_le_bytes());
        config[4..].copy_from_slice(&self.shared.actual.load(Ordering::Acquire).to_le_bytes());
        let rest = config.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(data.len());
        data[..n].copy_from_slice(&rest[..n]);
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        if let (spec::CONFIG_ACTUAL, Ok(bytes)) = (offset, data.try_into()) {
            self.shared.actual.store(u32::from_le_bytes(bytes), Ordering::Release);
        }
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        let queue = |i: usize| activation.queues[i].is_some();
        if let Some(missing) = [spec::INFLATE, spec::DEFLATE].into_iter().find(|&i| !queue(i)) {
            return Err(ActivateError::MissingQueue(missing as u16));
        }
        let stats = activation.has(spec::F_STATS_VQ).then_some(spec::STATS);
        // By the standard it has its own number; Linux counts only the queues that were negotiated.
        let counted = if stats.is_some() { spec::STATS + 1 } else { spec::STATS };
        let place = if queue(spec::REPORTING) { spec::REPORTING } else { counted };
        let reporting = activation.has(spec::F_PAGE_REPORTING).then_some(place);

        let Activation { queues, interrupt, .. } = activation;
        let shared = self.shared.clone();
        let active = Active { shared, queues, stats, reporting, stats_buffer: None };
        let worker = Worker::spawn("virtio-balloon", &self.waker, active, Active::turn)
            .map_err(|source| ActivateError::Host { what: "starting the balloon thread", source })?;
        *self.life.lock() = Life { worker: Some(worker), interrupt: Some(interrupt) };
        Ok(())
    }

    fn notify(&self, _index: u16) {
        self.waker.wake();
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        let life = std::mem::take(&mut *self.life.lock());
        let Some(mut active) = life.worker.and_then(Worker::stop) else { return Vec::new() };
        if let (Some(chain), Some(index)) = (active.stats_buffer.take(), active.stats)
            && let Some(queue) = &mut active.queues[index]
        {
            queue.put_back(chain);
        }
        active.queues
    }

    fn reset(&self) {
        self.shared.actual.store(0, Ordering::Release);
        *self.shared.stats.lock() = None;
    }
}
