//! What the CPUs of one machine share: the signals to each, broadcast maintenance, power states, the clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Signals to a CPU, as bits of [`Signals::pending`].
pub(crate) mod signal {
    /// The IRQ input is high.
    pub const IRQ: u32 = 1;
    /// The FIQ input is high.
    pub const FIQ: u32 = 2;
    /// `run` is to return.
    pub const KICK: u32 = 4;
    /// There is maintenance to do.
    pub const MAINTENANCE: u32 = 8;
    /// The event register is set.
    pub const EVENT: u32 = 16;
    /// The power state was changed from outside.
    pub const POWER: u32 = 32;
}

/// TLB and instruction cache maintenance that another CPU asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maintenance {
    /// All translations.
    TlbAll,
    /// Translations that are not global.
    TlbNonGlobal,
    /// Translations of one page address.
    TlbAddress(u64),
    /// Instructions of one physical page.
    CodePage(u64),
    /// All instructions.
    CodeAll,
}

/// Requests kept before they are replaced by complete invalidations.
const MAX_QUEUE: usize = 64;

/// Whether a CPU is on, as PSCI sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Off.
    Off,
    /// To be started with this program counter and X0.
    Starting(u64, u64),
    /// On.
    On,
}

/// One CPU as others reach it.
pub(crate) struct Signals {
    pending: AtomicU32,
    /// The CPU executes no guest instruction and will look at its queue before it does.
    parked: AtomicBool,
    queue: Mutex<VecDeque<Maintenance>>,
    /// Requests put into the queue, and requests done, ever.
    posted: AtomicU64,
    done: AtomicU64,
    pub power: Mutex<Power>,
    /// The signals that the CPU sleeps for; none when it does not sleep.
    sleeping: Mutex<u32>,
    wake: Condvar,
}

impl Signals {
    fn new() -> Self {
        Self {
            pending: AtomicU32::new(0),
            parked: AtomicBool::new(true),
            queue: Mutex::default(),
            posted: AtomicU64::new(0),
            done: AtomicU64::new(0),
            power: Mutex::new(Power::Off),
            sleeping: Mutex::new(0),
            wake: Condvar::new(),
        }
    }

    /// The signals that are set.
    #[inline(always)]
    pub fn pending(&self) -> u32 {
        self.pending.load(SeqCst)
    }

    /// Sets signals and wakes the CPU if it sleeps.
    pub fn raise(&self, bits: u32) {
        if self.pending.fetch_or(bits, SeqCst) & bits != bits && *self.sleeping.lock() & bits != 0 {
            self.wake.notify_one();
        }
    }

    /// Clears signals: those of `bits` that were set.
    pub fn take(&self, bits: u32) -> u32 {
        if self.pending() & bits == 0 {
            return 0;
        }
        self.pending.fetch_and(!bits, SeqCst) & bits
    }

    /// Sleeps until one of `bits` is set or the time has come.
    pub fn sleep(&self, bits: u32, until: Option<Instant>) {
        let mut sleeping = self.sleeping.lock();
        *sleeping = bits;
        while self.pending() & bits == 0 {
            match until {
                Some(until) => {
                    if self.wake.wait_until(&mut sleeping, until).timed_out() {
                        break;
                    }
                }
                None => self.wake.wait(&mut sleeping),
            }
        }
        *sleeping = 0;
    }

    /// Says that no guest instruction is executed from here on.
    pub fn park(&self) {
        self.parked.store(true, SeqCst);
    }

    /// Ends [`Signals::park`]; the queue is to be looked at next.
    pub fn unpark(&self) {
        self.parked.store(false, SeqCst);
    }

    fn post(&self, request: Maintenance) {
        let mut queue = self.queue.lock();
        self.posted.fetch_add(1, SeqCst);
        if queue.len() >= MAX_QUEUE {
            queue.clear();
            queue.extend([Maintenance::TlbAll, Maintenance::CodeAll]);
        } else {
            queue.push_back(request);
        }
        drop(queue);
        self.raise(signal::MAINTENANCE);
    }

    /// Takes everything out of the queue and does it.
    pub fn maintain(&self, mut perform: impl FnMut(Maintenance)) {
        if self.take(signal::MAINTENANCE) == 0 {
            return;
        }
        // What was posted by now is in the queue; more may be, and is counted next time.
        let posted = self.posted.load(SeqCst);
        let requests = std::mem::take(&mut *self.queue.lock());
        requests.into_iter().for_each(&mut perform);
        self.done.fetch_max(posted, SeqCst);
    }
}

/// What all CPUs of a machine share.
pub(crate) struct Shared {
    pub cpus: Vec<Signals>,
    start: Instant,
    /// Nanoseconds since the start that have not passed for the guest.
    skipped: AtomicU64,
}

/// Frequency of the generic timer: one tick is a nanosecond.
pub(crate) const TIMER_HZ: u64 = 1_000_000_000;

impl Shared {
    /// `count` CPUs, all off.
    pub fn new(count: u32) -> Self {
        Self { cpus: (0..count).map(|_| Signals::new()).collect(), start: Instant::now(), skipped: AtomicU64::new(0) }
    }

    /// The system counter.
    pub fn count(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 - self.skipped.load(Relaxed)
    }

    /// Lets the system counter go on from where it was such a time ago. No CPU runs.
    pub fn skip(&self, time: Duration) {
        self.skipped.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// When the system counter reaches `count`; `None` when that is further away than a host can wait.
    pub fn instant_of(&self, count: u64) -> Option<Instant> {
        let skipped = Duration::from_nanos(self.skipped.load(Relaxed));
        self.start.checked_add(Duration::from_nanos(count))?.checked_add(skipped)
    }

    /// Sends maintenance to every CPU but `from`.
    pub fn broadcast(&self, from: u32, request: Maintenance) {
        for (index, cpu) in self.cpus.iter().enumerate() {
            if index as u32 != from {
                cpu.post(request);
            }
        }
    }

    /// Waits until every other CPU has done what was broadcast before; `meanwhile` is called again and again and is
    /// to do this CPU's own maintenance, so that two that wait for each other both get on.
    pub fn synchronize(&self, from: u32, mut meanwhile: impl FnMut()) {
        for (index, cpu) in self.cpus.iter().enumerate() {
            if index as u32 == from {
                continue;
            }
            let posted = cpu.posted.load(SeqCst);
            let mut spins = 0u32;
            while cpu.done.load(SeqCst) < posted && !cpu.parked.load(SeqCst) {
                meanwhile();
                spins += 1;
                if spins < 64 {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_cpu_does_not_hold_up_others_and_sees_its_queue_afterwards() {
        let shared = Shared::new(2);
        shared.cpus[0].unpark();
        shared.broadcast(0, Maintenance::TlbAddress(0x1000));
        shared.synchronize(0, || {});
        let mut seen = Vec::new();
        shared.cpus[1].unpark();
        shared.cpus[1].maintain(|m| seen.push(m));
        assert_eq!(seen, [Maintenance::TlbAddress(0x1000)]);
    }

    #[test]
    fn time_that_is_skipped_has_not_passed_for_the_guest() {
        let shared = Shared::new(1);
        std::thread::sleep(Duration::from_millis(2));
        let (then, before) = (Instant::now(), shared.count());
        shared.skip(Duration::from_millis(1));
        let after = shared.count();
        assert!(after + 1_000_000 <= before + then.elapsed().as_nanos() as u64);
        // What is due at a count comes later by as much.
        assert_eq!(shared.instant_of(0), shared.start.checked_add(Duration::from_millis(1)));
    }

    #[test]
    fn a_full_queue_becomes_complete_invalidations() {
        let shared = Shared::new(2);
        for page in 0..=MAX_QUEUE as u64 {
            shared.broadcast(0, Maintenance::TlbAddress(page << 12));
        }
        let mut seen = Vec::new();
        shared.cpus[1].maintain(|m| seen.push(m));
        assert_eq!(seen, [Maintenance::TlbAll, Maintenance::CodeAll]);
    }
}
