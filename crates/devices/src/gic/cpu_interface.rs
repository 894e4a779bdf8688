//! A CPU interface: the `ICC_*_EL1` registers (IHI 0069, 4.8 and 12.2).

use super::spec::*;
use super::state::{Offer, State};

/// The registers of one CPU interface.
#[derive(Debug, Clone)]
pub(super) struct CpuInterface {
    /// `ICC_PMR_EL1`.
    mask: u8,
    /// `ICC_BPR0_EL1`, `ICC_BPR1_EL1`.
    bpr: [u8; 2],
    /// `ICC_CTLR_EL1.CBPR`.
    common_bpr: bool,
    /// `ICC_CTLR_EL1.EOImode`.
    split_eoi: bool,
    /// `ICC_IGRPEN0_EL1`.
    pub(super) enabled0: bool,
    /// `ICC_IGRPEN1_EL1`.
    pub(super) enabled1: bool,
    /// `ICC_AP0R0_EL1`, `ICC_AP1R0_EL1`: bit `n` is set while a priority of `8n` is being handled.
    active: [u32; 2],
}

impl Default for CpuInterface {
    fn default() -> Self {
        Self {
            mask: 0,
            bpr: [MIN_BPR0, MIN_BPR0 + 1],
            common_bpr: false,
            split_eoi: false,
            enabled0: false,
            enabled1: false,
            active: [0; 2],
        }
    }
}

impl CpuInterface {
    /// The priority being handled (`ICC_RPR_EL1`).
    fn running(&self) -> u8 {
        match (self.active[0] | self.active[1]).trailing_zeros() {
            32 => IDLE_PRIORITY,
            level => (level * 8) as u8,
        }
    }

    /// The part of a priority that decides preemption in a group. Group 1's binary point is one higher than
    /// Group 0's for the same split (4.8.2).
    fn preemption_level(&self, offer: &Offer) -> u8 {
        let point = if offer.group1 && !self.common_bpr { self.bpr[1] - 1 } else { self.bpr[0] };
        offer.priority & (0xfe_u32 << point) as u8
    }

    /// The CPU is to be interrupted by `offer` now.
    pub(super) fn takes(&self, offer: &Offer) -> bool {
        offer.priority < self.mask && self.preemption_level(offer) < self.running()
    }

    fn activate(&mut self, offer: &Offer) {
        self.active[usize::from(offer.group1)] |= 1 << (self.preemption_level(offer) / 8);
    }

    /// Ends the highest priority being handled; `false` if that is the other group's.
    fn drop_priority(&mut self, group: usize) -> bool {
        let mine = self.active[group];
        if mine == 0 || mine.trailing_zeros() > self.active[1 - group].trailing_zeros() {
            return false;
        }
        self.active[group] = mine & (mine - 1);
        true
    }

    fn bpr1(&self) -> u8 {
        if self.common_bpr { (self.bpr[0] + 1).min(7) } else { self.bpr[1] }
    }

    fn ctlr(&self) -> u64 {
        let flag = |set, bit| if set { bit } else { 0 };
        ICC_CTLR_FIXED | flag(self.common_bpr, ICC_CTLR_CBPR) | flag(self.split_eoi, ICC_CTLR_EOIMODE)
    }
}

impl State {
    /// Reads an `ICC_*_EL1` register of CPU `n`; `None` if it does not exist or is write-only.
    pub(super) fn read_icc(&mut self, n: usize, reg: u16) -> Option<u64> {
        let cpu = &self.cpus[n];
        let interface = &cpu.interface;
        Some(match reg {
            ICC_IAR0_EL1 => u64::from(self.acknowledge(n, false)),
            ICC_IAR1_EL1 => u64::from(self.acknowledge(n, true)),
            ICC_HPPIR0_EL1 => cpu.best.filter(|offer| !offer.group1).map_or(SPURIOUS, |offer| offer.intid).into(),
            ICC_HPPIR1_EL1 => cpu.best.filter(|offer| offer.group1).map_or(SPURIOUS, |offer| offer.intid).into(),
            ICC_PMR_EL1 => interface.mask.into(),
            ICC_BPR0_EL1 => interface.bpr[0].into(),
            ICC_BPR1_EL1 => interface.bpr1().into(),
            ICC_AP0R0_EL1 => interface.active[0].into(),
            ICC_AP1R0_EL1 => interface.active[1].into(),
            ICC_RPR_EL1 => interface.running().into(),
            ICC_CTLR_EL1 => interface.ctlr(),
            ICC_SRE_EL1 => ICC_SRE_FIXED,
            ICC_IGRPEN0_EL1 => interface.enabled0.into(),
            ICC_IGRPEN1_EL1 => interface.enabled1.into(),
            _ => return None,
        })
    }

    /// Writes an `ICC_*_EL1` register of CPU `n`; `false` if it does not exist or is read-only.
    pub(super) fn write_icc(&mut self, n: usize, reg: u16, value: u64) -> bool {
        match reg {
            ICC_EOIR0_EL1 => return self.end(n, 0, value as u32),
            ICC_EOIR1_EL1 => return self.end(n, 1, value as u32),
            ICC_DIR_EL1 => {
                if self.cpus[n].interface.split_eoi {
                    self.deactivate(n, value as u32 & 0xff_ffff);
                }
                return true;
            }
            // Group 1 SGIs may be configured as Group 0 at the target, as both are visible here (DS = 1).
            ICC_SGI1R_EL1 => return self.send_sgi(n, value, true),
            ICC_ASGI1R_EL1 | ICC_SGI0R_EL1 => return self.send_sgi(n, value, false),
            _ => (),
        }
        let interface = &mut self.cpus[n].interface;
        let point = (value & 7) as u8;
        match reg {
            ICC_PMR_EL1 => interface.mask = value as u8 & PRIORITY_MASK,
            ICC_BPR0_EL1 => interface.bpr[0] = point.max(MIN_BPR0),
            ICC_BPR1_EL1 if interface.common_bpr => (),
            ICC_BPR1_EL1 => interface.bpr[1] = point.max(MIN_BPR0 + 1),
            ICC_AP0R0_EL1 => interface.active[0] = value as u32,
            ICC_AP1R0_EL1 => interface.active[1] = value as u32,
            ICC_CTLR_EL1 => {
                interface.common_bpr = value & ICC_CTLR_CBPR != 0;
                interface.split_eoi = value & ICC_CTLR_EOIMODE != 0;
            }
            ICC_SRE_EL1 => (),
            ICC_IGRPEN0_EL1 => interface.enabled0 = value & 1 != 0,
            ICC_IGRPEN1_EL1 => interface.enabled1 = value & 1 != 0,
            _ => return false,
        }
        self.changed(n);
        true
    }

    /// A read of `ICC_IAR0_EL1` or `ICC_IAR1_EL1`: what the CPU handles from now on.
    fn acknowledge(&mut self, n: usize, group1: bool) -> u32 {
        let cpu = &mut self.cpus[n];
        let Some(offer) = cpu.best.filter(|o| o.group1 == group1 && cpu.interface.takes(o)) else { return SPURIOUS };
        cpu.interface.activate(&offer);
        if offer.intid >= FIRST_LPI {
            cpu.lpis.clear(offer.intid);
            self.changed(n);
        } else {
            self.change(n, offer.intid, |bank, bit| bank.acknowledge(bit));
            // The running priority is the reader's own, whoever an SPI is routed to.
            self.changed(n);
        }
        offer.intid
    }

    /// A write to `ICC_EOIR<group>_EL1`.
    fn end(&mut self, n: usize, group: usize, value: u32) -> bool {
        let intid = value & 0xff_ffff;
        let exists = intid < FIRST_SPI || self.is_spi(intid) || (FIRST_LPI..1 << INTID_BITS).contains(&intid);
        if exists && self.cpus[n].interface.drop_priority(group) {
            self.changed(n);
            if !self.cpus[n].interface.split_eoi {
                self.deactivate(n, intid);
            }
        }
        true
    }

    /// Active becomes inactive. LPIs have no active state.
    fn deactivate(&mut self, n: usize, intid: u32) {
        self.change(n, intid, |bank, bit| bank.active &= !bit);
    }

    /// A write to a register that sends a software-generated interrupt (12.2.20).
    fn send_sgi(&mut self, sender: usize, value: u64, any_group: bool) -> bool {
        let bit = 1 << (value >> 24 & 15);
        let cluster = (value >> 48 & 0xff) << 16 | (value >> 32 & 0xff) << 8 | (value >> 16 & 0xff);
        let first = (value >> 44 & 15) * 16;
        for n in 0..self.cpus.len() {
            let affinity = u64::from(self.cpus[n].affinity);
            let listed = || {
                let place = (affinity & 0xff).wrapping_sub(first);
                affinity >> 8 == cluster && place < 16 && value >> place & 1 != 0
            };
            let meant = if value & SGIR_IRM != 0 { n != sender } else { listed() };
            if meant && (any_group || self.cpus[n].private.group & bit == 0) {
                self.change_private(n, |bank| bank.latched |= bit);
            }
        }
        true
    }
}
