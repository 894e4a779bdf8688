//! The block device (virtio 1.3, 5.2): a [`Disk`] for the guest.

mod lane;
mod request;
pub mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use block::{Disk, Geometry, Pace, SizeWatcher};
use parking_lot::Mutex;

use self::lane::Lane;
use self::spec::{ID, SECTOR, config, feature};
use super::spec::device_type;
use super::{ActivateError, Activation, Interrupt, VirtioDevice, Virtqueue, Waker, Worker};

/// Descriptors of each queue.
const QUEUE_SIZE: u16 = 256;
/// Data buffers of a request: what fits into a queue beside header and status.
const SEG_MAX: u32 = QUEUE_SIZE as u32 - 2;
/// Threads of a device, which its queues share out; each has two at least.
const THREADS: usize = 16;

/// The block device.
///
/// Fixed: block sizes, size, serial number, the number of queues. Glue: the disk, worker threads for each queue, in
/// which the disk may block. State: the features negotiated, whether the cache is write-back, the queues.
pub struct Block {
    shared: Arc<Shared>,
    queue_sizes: Vec<u16>,
    wakers: Vec<Waker>,
    /// Of each queue.
    workers: Mutex<Vec<Vec<Worker<Arc<Lane>>>>>,
}

/// What the workers and the callers share.
struct Shared {
    disk: Arc<dyn Disk>,
    serial: [u8; ID],
    negotiated: AtomicU64,
    /// Whether a completed write may still be volatile; the driver's choice where it has one.
    writeback: AtomicBool,
    /// Requests that failed on the host, for a log that the guest cannot fill.
    failures: AtomicU64,
    /// How long requests take.
    pace: Pace,
    /// How often the size has changed.
    generation: AtomicU8,
    /// The way to the driver while there is one.
    interrupt: Mutex<Option<Arc<dyn Interrupt>>>,
}

/// The driver is told, and reads the capacity anew (5.2.5.2).
impl SizeWatcher for Shared {
    fn size_changed(&self, _: u64) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let interrupt = self.interrupt.lock().clone();
        if let Some(interrupt) = interrupt {
            interrupt.config();
        }
    }
}

impl Block {
    /// A device with `queues` queues (at least one is made). `serial` is what the guest reads as serial number, cut
    /// to 20 bytes; `None` takes the disk's own.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, queues: u16, serial: Option<&str>) -> Self {
        if !disk.size().is_multiple_of(SECTOR) {
            tracing::warn!(disk = disk.id(), "the guest does not see what is beyond the disk's last full 512 bytes");
        }
        let mut bytes = [0; ID];
        bytes.iter_mut().zip(serial.unwrap_or(disk.id()).bytes()).for_each(|(to, from)| *to = from);
        let shared = Shared {
            disk,
            serial: bytes,
            negotiated: AtomicU64::new(0),
            writeback: AtomicBool::new(true),
            failures: AtomicU64::new(0),
            pace: Pace::default(),
            generation: AtomicU8::new(0),
            interrupt: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let watcher: Arc<dyn SizeWatcher> = shared.clone();
        shared.disk.watch_size(Arc::downgrade(&watcher));
        let queues = usize::from(queues.max(1));
        Self {
            shared,
            queue_sizes: vec![QUEUE_SIZE; queues],
            wakers: vec![(); queues].into_iter().map(|()| Waker::new()).collect(),
            workers: Mutex::new(Vec::new()),
        }
    }

    fn config(&self) -> [u8; config::SIZE] {
        let disk = &self.shared.disk;
        let Geometry { logical_block, physical_block, discard_granularity } = disk.geometry();
        let per_physical = (physical_block / logical_block).max(1);
        let mut space = [0; config::SIZE];
        let mut put = |at: usize, bytes: &[u8]| space[at..at + bytes.len()].copy_from_slice(bytes);
        put(config::CAPACITY, &(disk.size() / SECTOR).to_le_bytes());
        put(config::SEG_MAX, &SEG_MAX.to_le_bytes());
        put(config::BLK_SIZE, &logical_block.to_le_bytes());
        put(config::PHYSICAL_BLOCK_EXP, &[per_physical.ilog2() as u8]);
        put(config::MIN_IO_SIZE, &u16::try_from(per_physical).unwrap_or(u16::MAX).to_le_bytes());
        put(config::WRITEBACK, &[u8::from(self.shared.writeback.load(Ordering::Acquire))]);
        put(config::NUM_QUEUES, &(self.queue_sizes.len() as u16).to_le_bytes());
        if !disk.read_only() {
            put(config::MAX_DISCARD_SECTORS, &request::MAX_DISCARD_SECTORS.to_le_bytes());
            put(config::MAX_DISCARD_SEG, &request::MAX_DISCARD_SEGMENTS.to_le_bytes());
            put(config::DISCARD_SECTOR_ALIGNMENT, &(discard_granularity / SECTOR as u32).to_le_bytes());
            put(config::MAX_WRITE_ZEROES_SECTORS, &request::MAX_ZEROES_SECTORS.to_le_bytes());
            put(config::MAX_WRITE_ZEROES_SEG, &request::MAX_ZEROES_SEGMENTS.to_le_bytes());
            put(config::WRITE_ZEROES_MAY_UNMAP, &[1]);
        }
        space
    }
}

impl VirtioDevice for Block {
    fn device_type(&self) -> u16 {
        device_type::BLOCK
    }

    fn features(&self) -> u64 {
        let always = feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH | feature::TOPOLOGY | feature::CONFIG_WCE;
        let changes = if self.shared.disk.read_only() { feature::RO } else { feature::DISCARD | feature::WRITE_ZEROES };
        let queues = if self.queue_sizes.len() > 1 { feature::MQ } else { 0 };
        always | changes | queues
    }

    /// Refuses nothing. What `writeback` reads from here on depends on it (5.2.5.2): a driver that knows no flush
    /// gets write-through.
    fn accepts(&self, features: u64) -> bool {
        self.shared.negotiated.store(features, Ordering::Release);
        self.shared.writeback.store(features & feature::FLUSH != 0, Ordering::Release);
        true
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let space = self.config();
        let from = usize::try_from(offset).ok().and_then(|at| space.get(at..)).unwrap_or_default();
        data.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        let negotiated = self.shared.negotiated.load(Ordering::Acquire);
        if let (true, [value]) = (offset == config::WRITEBACK as u64, data)
            && negotiated & feature::CONFIG_WCE != 0
        {
            self.shared.writeback.store(*value != 0, Ordering::Release);
        }
    }

    fn config_generation(&self) -> u8 {
        self.shared.generation.load(Ordering::Acquire)
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        if activation.queues.first().is_none_or(Option::is_none) {
            return Err(ActivateError::MissingQueue(0));
        }
        *self.shared.interrupt.lock() = Some(activation.interrupt);
        let mut workers = self.workers.lock();
        for (index, (queue, waker)) in activation.queues.into_iter().zip(&self.wakers).enumerate() {
            workers.push(Vec::new());
            let Some(lane) = queue.map(|queue| Arc::new(Lane::new(queue, self.shared.clone()))) else { continue };
            for _ in 0..(THREADS / self.wakers.len()).max(2) {
                let turn = |lane: &mut Arc<Lane>, waker: &Waker| lane.turn(waker);
                match Worker::spawn(&format!("virtio-blk {index}"), waker, lane.clone(), turn) {
                    Ok(worker) => workers[index].push(worker),
                    Err(source) => {
                        workers.drain(..).flatten().for_each(|worker| drop(worker.stop()));
                        return Err(ActivateError::Host { what: "starting a disk's thread", source });
                    }
                }
            }
        }
        Ok(())
    }

    fn notify(&self, index: u16) {
        if let Some(waker) = self.wakers.get(usize::from(index)) {
            waker.wake();
        }
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        *self.shared.interrupt.lock() = None;
        let workers = std::mem::take(&mut *self.workers.lock());
        // Each thread has a share of its lane; the last one has the queue.
        let join = |lane: Vec<Worker<Arc<Lane>>>| lane.into_iter().filter_map(Worker::stop).filter_map(Arc::into_inner);
        workers.into_iter().map(|lane| join(lane).last().map(Lane::into_queue)).collect()
    }

    fn reset(&self) {
        self.shared.negotiated.store(0, Ordering::Release);
        self.shared.writeback.store(true, Ordering::Release);
    }
}
