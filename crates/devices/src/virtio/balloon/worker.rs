//! The balloon's work: pages to give back to the host, and statistics.

use std::io::Read;
use std::sync::Arc;

use super::{MemoryReclaim, Shared, Stats, spec};
use crate::virtio::{Chain, Virtqueue, Waker};

/// Page numbers that are read at once.
const BATCH: usize = 1024;
/// Batches of one chain that are listened to: 64 MiB of pages. Drivers send 256 numbers; a chain can have 2^30.
const BATCHES: usize = 16;

/// The balloon while it is active.
pub(super) struct Active {
    pub(super) shared: Arc<Shared>,
    pub(super) queues: Vec<Option<Virtqueue>>,
    /// Where these queues are, if they were negotiated.
    pub(super) stats: Option<usize>,
    pub(super) reporting: Option<usize>,
    /// The guest's buffer for statistics, which waits until somebody wants some.
    pub(super) stats_buffer: Option<Chain>,
}

impl Active {
    pub(super) fn turn(&mut self, waker: &Waker) {
        let reclaim = self.shared.reclaim.clone();
        self.drain(Some(spec::INFLATE), waker, |chain, queue| inflate(chain, queue, &*reclaim));
        // The pages that the guest takes back are there again when it touches them.
        self.drain(Some(spec::DEFLATE), waker, |_, _| {});
        self.drain(self.reporting, waker, |chain, _| {
            for (addr, len) in chain.writable_ranges() {
                reclaim.release(addr.0, u64::from(len));
            }
        });
        self.statistics();
    }

    fn drain(&mut self, index: Option<usize>, waker: &Waker, mut each: impl FnMut(&Chain, &Virtqueue)) {
        let Some(queue) = index.and_then(|i| self.queues[i].as_mut()) else { return };
        loop {
            while let Some(chain) = queue.pop() {
                each(&chain, queue);
                queue.complete(chain, 0);
                if waker.is_stopping() {
                    break;
                }
            }
            queue.signal();
            if waker.is_stopping() || !queue.enable_notification() {
                return;
            }
        }
    }

    /// The driver's buffer with statistics is given back when new ones are wanted; the driver fills it again
    /// (5.5.6.3).
    fn statistics(&mut self) {
        let Some(queue) = self.stats.and_then(|i| self.queues[i].as_mut()) else { return };
        if self.shared.take_stats_wanted() {
            if let Some(chain) = self.stats_buffer.take() {
                queue.complete(chain, 0);
                queue.signal();
            } else {
                self.shared.want_stats();
            }
        }
        // There is one buffer by the standard: with a second one, the first goes back.
        for _ in 0..queue.size() {
            let Some(chain) = queue.pop() else {
                if queue.enable_notification() {
                    continue;
                }
                return;
            };
            self.shared.set_stats(read_stats(&chain, queue));
            if let Some(old) = self.stats_buffer.replace(chain) {
                queue.complete(old, 0);
            }
        }
    }
}

/// Releases the pages whose numbers are in the chain, neighbours together.
fn inflate(chain: &Chain, queue: &Virtqueue, reclaim: &dyn MemoryReclaim) {
    let mut reader = chain.reader(queue.memory());
    let mut run: Option<(u64, u64)> = None;
    let mut bytes = [0; 4 * BATCH];
    for _ in 0..BATCHES {
        let n = reader.read(&mut bytes).unwrap_or(0);
        for number in bytes[..n].as_chunks::<4>().0 {
            let page = u64::from(u32::from_le_bytes(*number));
            run = match run {
                Some((first, count)) if first + count == page => Some((first, count + 1)),
                old => {
                    release(old, reclaim);
                    Some((page, 1))
                }
            };
        }
        if n < bytes.len() {
            break;
        }
    }
    release(run, reclaim);
}

fn release(run: Option<(u64, u64)>, reclaim: &dyn MemoryReclaim) {
    if let Some((first, count)) = run {
        reclaim.release(first * spec::PAGE, count * spec::PAGE);
    }
}

fn read_stats(chain: &Chain, queue: &Virtqueue) -> Stats {
    let mut stats = Stats::default();
    let mut reader = chain.reader(queue.memory());
    let mut bytes = [0; spec::STAT_SIZE];
    // There are 16 tags in the standard; a guest that sends many more is not listened to.
    for _ in 0..64 {
        if reader.read_exact(&mut bytes).is_err() {
            break;
        }
        let [a, b, value @ ..] = bytes;
        stats.set(u16::from_le_bytes([a, b]), u64::from_le_bytes(value));
    }
    stats
}
