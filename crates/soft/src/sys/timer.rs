//! The generic timer (DDI 0487, chapter D11): the virtual and the physical timer of EL1.

use std::time::Instant;

use arm64::sysreg as r;

use crate::cpu::Cpu;

/// CTL.ENABLE.
const ENABLE: u64 = 1;
/// CTL.IMASK.
const IMASK: u64 = 2;
/// CTL.ISTATUS.
const ISTATUS: u64 = 4;
/// Private peripheral interrupts of the virtual and the physical timer (Arm BSA, 3.8.1).
const PPI: [u32; 2] = [27, 30];

impl Cpu {
    /// CTL with its status bit.
    pub(crate) fn timer_control(&self, n: usize) -> u64 {
        let timer = &self.sys.timers[n];
        let met = timer.control & ENABLE != 0 && self.shared.count() >= timer.compare;
        timer.control | if met { ISTATUS } else { 0 }
    }

    /// Writes CTL, CVAL or TVAL of timer `n`.
    pub(crate) fn write_timer(&mut self, n: usize, reg: u16, value: u64) {
        let count = self.shared.count();
        let timer = &mut self.sys.timers[n];
        match reg {
            r::CNTV_CTL_EL0 | r::CNTP_CTL_EL0 => timer.control = value & (ENABLE | IMASK),
            r::CNTV_CVAL_EL0 | r::CNTP_CVAL_EL0 => timer.compare = value,
            _ => timer.compare = count.wrapping_add(value as i32 as u64),
        }
        self.update_timers();
    }

    /// Whether a timer is on whose interrupt has not been raised yet.
    pub(crate) fn timer_armed(&self) -> bool {
        self.sys.timers.iter().any(|t| t.control & (ENABLE | IMASK) == ENABLE && !t.level)
    }

    /// Tells the interrupt controller the levels of the timers' interrupts.
    pub(crate) fn update_timers(&mut self) {
        let count = self.shared.count();
        for (n, intid) in PPI.into_iter().enumerate() {
            let timer = &mut self.sys.timers[n];
            let level = timer.control & (ENABLE | IMASK) == ENABLE && count >= timer.compare;
            if level != timer.level {
                timer.level = level;
                if let Some(gic) = &self.env.gic {
                    gic.set_ppi(self.index, intid, level);
                }
            }
        }
    }

    /// When the next timer fires, for a CPU that waits.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        let armed = self.sys.timers.iter().filter(|t| t.control & (ENABLE | IMASK) == ENABLE && !t.level);
        armed.map(|t| t.compare).min().and_then(|count| self.shared.instant_of(count))
    }
}
