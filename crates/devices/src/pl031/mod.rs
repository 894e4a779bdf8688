//! A real time clock: the PrimeCell PL031 (Arm DDI 0224C), one 32-bit counter of seconds with an alarm.
//!
//! Fixed: the [`Clock`] that it follows.
//!
//! Glue: one interrupt line; [`Pl031::tick`] when the alarm that the clock was asked for is due.
//!
//! State: how far the guest set it off the clock, the match register, the interrupt.

mod fdt;
mod host;
mod spec;
#[cfg(test)]
mod tests;

use std::time::Duration;

use parking_lot::Mutex;

use self::spec::*;
use crate::bus::MmioDevice;
use crate::irq::IrqLine;
use crate::regs::{self, PRIMECELL_SIZE, merge, primecell_id};

/// The time that a real time clock follows.
///
/// Called from any thread with the clock's registers locked: it must not block, nor call the device.
pub trait Clock: Send + Sync {
    /// Time since 1970-01-01 00:00 UTC.
    fn now(&self) -> Duration;

    /// Asks for a call of [`Pl031::tick`] when `now` has reached `at`, instead of what was asked for before.
    fn wake(&self, at: Option<Duration>);
}

/// The real time clock.
pub struct Pl031 {
    clock: Box<dyn Clock>,
    irq: IrqLine,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// What RTCDR is ahead of the clock, modulo 2^32 seconds.
    offset: u32,
    /// RTCMR.
    matched: u32,
    /// RTCLR, as written last.
    load: u32,
    /// RTCIMSC bit 0.
    unmasked: bool,
    /// RTCRIS bit 0.
    raised: bool,
    /// The clock's second at which RTCDR and RTCMR are equal next.
    due: Option<u64>,
}

impl Pl031 {
    /// The size of its window in bytes.
    pub const SIZE: u64 = PRIMECELL_SIZE;

    /// A clock that shows `clock`'s time.
    #[must_use]
    pub fn new(clock: Box<dyn Clock>, irq: IrqLine) -> Self {
        Self { clock, irq, state: Mutex::default() }
    }

    /// Raises the alarm if it is due. Called from any thread, at any time.
    pub fn tick(&self) {
        self.with(|_, _| ());
    }

    /// Puts the registers back to their state after reset; the time that the guest set stays.
    pub fn reset(&self) {
        self.with(|state, _| *state = State { offset: state.offset, ..State::default() });
    }

    /// Brings the state up to the present second, changes it, and drives the interrupt line once the lock is released.
    fn with<R>(&self, change: impl FnOnce(&mut State, u64) -> R) -> R {
        let mut state = self.state.lock();
        let now = self.clock.now().as_secs();
        let asked = state.wish();
        state.advance(now);
        let result = change(&mut state, now);
        state.advance(now);
        if state.wish() != asked {
            self.clock.wake(state.wish().map(Duration::from_secs));
        }
        let news = self.irq.decide(state.raised && state.unmasked);
        drop(state);
        if news {
            self.irq.deliver();
        }
        result
    }
}

impl State {
    fn counter(&self, now: u64) -> u32 {
        (now as u32).wrapping_add(self.offset)
    }

    /// The second at which the clock is to wake us: there is no need while nobody would hear the alarm.
    fn wish(&self) -> Option<u64> {
        self.due.filter(|_| self.unmasked && !self.raised)
    }

    fn advance(&mut self, now: u64) {
        if self.due.is_some_and(|due| due <= now) {
            self.raised = true;
            self.due = Some(now + 1 + u64::from(self.matched.wrapping_sub(self.counter(now + 1))));
        }
    }

    fn arm(&mut self, now: u64) {
        self.due = Some(now + u64::from(self.matched.wrapping_sub(self.counter(now))));
    }

    fn read(&self, offset: u64, now: u64) -> u32 {
        match offset {
            DR => self.counter(now),
            MR => self.matched,
            LR => self.load,
            CR => 1,
            IMSC => self.unmasked.into(),
            RIS => self.raised.into(),
            MIS => (self.raised && self.unmasked).into(),
            _ => primecell_id(offset, PERIPHERAL),
        }
    }

    fn write(&mut self, offset: u64, value: u32, lanes: u32, now: u64) {
        match offset {
            MR => {
                self.matched = merge(self.matched, value, lanes);
                self.arm(now);
            }
            LR => {
                self.load = merge(self.load, value, lanes);
                self.offset = self.load.wrapping_sub(now as u32);
                self.arm(now);
            }
            IMSC => self.unmasked = merge(self.unmasked.into(), value, lanes) & 1 != 0,
            ICR if value & 1 != 0 => self.raised = false,
            _ => (),
        }
    }
}

impl MmioDevice for Pl031 {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.with(|state, now| regs::read(offset, data, |at| state.read(at, now)));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.with(|state, now| regs::write(offset, data, |at, v, lanes| state.write(at, v, lanes, now)));
    }
}
