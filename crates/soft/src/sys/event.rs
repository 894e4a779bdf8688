//! Waiting for an event: WFE, and what ends it (DDI 0487, D1.6.1).
//!
//! Most waits are for a lock: another CPU's store to the location that the exclusive monitor watches is an event. Nobody
//! tells of it here, so the location is looked at again and again, at first with nothing in between but other threads of
//! the host, then ever more rarely: a wait becomes longer by a quarter, and a long one costs the host next to nothing.

use std::time::{Duration, Instant};

use arm64::pstate;

use crate::cpu::{Cpu, Exclusive};
use crate::ram::HostPtr;
use crate::shared::signal;

/// How long a location is looked at all the time: longer than locks are held by a CPU that runs.
const SPIN: Duration = Duration::from_micros(500);
/// Longest wait without an event stream. A wait may end without an event, and what a guest waits for need not be one.
const LONGEST: Duration = Duration::from_millis(1);
/// Most time between two waits for the same.
const PAUSE: Duration = Duration::from_micros(20);

/// CNTKCTL_EL1.EVNTEN.
const EVENT_STREAM: u64 = 1 << 2;
/// CNTKCTL_EL1.EVNTDIR: events are where the bit falls.
const FALLING: u64 = 1 << 3;

/// Waits for events that have ended without one, one right after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    since: Instant,
    until: Instant,
}

/// The first event of the event stream after `count`, if `cntkctl` turns it on.
fn next_of_stream(cntkctl: u64, count: u64) -> Option<u64> {
    if cntkctl & EVENT_STREAM == 0 {
        return None;
    }
    let half = 1u64 << (cntkctl >> 4 & 15);
    let edge = if cntkctl & FALLING != 0 { 0 } else { half };
    let period = half * 2;
    Some(count + period - count.wrapping_sub(edge) % period)
}

impl Exclusive {
    /// Whether the location holds something else by now: another CPU has stored there.
    fn is_changed(&self) -> bool {
        let host = HostPtr(self.host as *mut u8);
        let value = match self.size {
            1 => host.load::<u8>().into(),
            2 => host.load::<u16>().into(),
            4 => host.load::<u32>().into(),
            8 => host.load::<u64>().into(),
            _ => host.load::<u128>(),
        };
        value != self.value
    }
}

impl Cpu {
    /// WFE: waits for an event, an interrupt that is not masked, or the time that a wait takes at most.
    pub(crate) fn wait_for_event(&mut self) {
        let shared = self.shared.clone();
        let signals = &shared.cpus[self.index as usize];
        if std::mem::take(&mut self.event) || signals.take(signal::EVENT) != 0 {
            return;
        }
        self.event_waits += 1;
        self.update_timers();
        let unmasked = |mask: u64, bit: u32| if self.pstate & mask == 0 { bit } else { 0 };
        let enders = signal::EVENT | signal::KICK | unmasked(pstate::I, signal::IRQ) | unmasked(pstate::F, signal::FIQ);
        let start = Instant::now();
        let end = self.end_of_wait(start);
        let since = self.waiting.filter(|w| start - w.until < PAUSE).map_or(start, |w| w.since);
        signals.park();
        self.waiting = loop {
            let now = Instant::now();
            if signals.pending() & enders != 0 || self.exclusive.is_some_and(|location| location.is_changed()) {
                break None;
            }
            if now >= end {
                break Some(Waiting { since, until: now });
            }
            match self.exclusive {
                Some(_) if now - since < SPIN => std::thread::yield_now(),
                Some(_) => signals.sleep(enders, Some(end.min(now + (now - since) / 4))),
                None => signals.sleep(enders, Some(end)),
            }
        };
        signals.unpark();
        signals.take(signal::EVENT);
    }

    /// When a wait that begins at `start` ends without anything that happens.
    fn end_of_wait(&self, start: Instant) -> Instant {
        let stream = next_of_stream(self.sys.cntkctl, self.shared.count());
        let stream = stream.and_then(|count| self.shared.instant_of(count));
        let end = stream.unwrap_or(start + LONGEST);
        self.next_timer().map_or(end, |timer| end.min(timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_stream_follows_the_edges_of_its_bit() {
        let stream = |bit: u64, falling: u64| EVENT_STREAM | bit << 4 | falling;
        assert_eq!(next_of_stream(0xf0, 5), None);
        for (count, rising, falling) in [(0, 8, 16), (7, 8, 16), (8, 24, 16), (15, 24, 16), (16, 24, 32)] {
            assert_eq!(next_of_stream(stream(3, 0), count), Some(rising), "rising after {count}");
            assert_eq!(next_of_stream(stream(3, FALLING), count), Some(falling), "falling after {count}");
        }
        assert_eq!(next_of_stream(stream(0, 0), 1), Some(3));
    }
}
