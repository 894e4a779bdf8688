//! The distributor's registers (IHI 0069, 12.9), and those that it shares with the redistributors' SGI frames.

use super::bank::Bank;
use super::spec::*;
use super::state::State;
use crate::regs::{half, merge, merge64};

/// Whose interrupts a word of registers is about.
#[derive(Clone, Copy)]
pub(super) enum Frame {
    /// The SPIs.
    Distributor,
    /// The SGIs and PPIs of a CPU.
    Cpu(usize),
}

impl State {
    pub(super) fn read_dist(&self, offset: u64, lpis: bool) -> u32 {
        match offset {
            GICD_CTLR => self.ctlr | CTLR_ARE | CTLR_DS,
            GICD_TYPER => self.typer(lpis),
            GICD_IIDR => IIDR_VALUE,
            IGROUPR..IPRIORITYR_END | ICFGR..ICFGR_END => self.read_banked(Frame::Distributor, offset),
            GICD_IROUTER..GICD_IROUTER_END => {
                let route = self.routed(offset).map_or(0, |intid| self.routes[intid as usize]);
                half(route, offset & 4 != 0)
            }
            _ => id_register(offset, PART_GICD),
        }
    }

    pub(super) fn write_dist(&mut self, offset: u64, value: u32, lanes: u32) {
        match offset {
            GICD_CTLR => {
                self.ctlr = merge(self.ctlr, value, lanes) & (CTLR_GRP0 | CTLR_GRP1);
                self.all_changed();
            }
            GICD_SETSPI_NSR => self.message_spi(value & 0x3ff, true),
            GICD_CLRSPI_NSR => self.message_spi(value & 0x3ff, false),
            IGROUPR..IPRIORITYR_END | ICFGR..ICFGR_END => self.write_banked(Frame::Distributor, offset, value, lanes),
            GICD_IROUTER..GICD_IROUTER_END => {
                if let Some(intid) = self.routed(offset) {
                    let route = merge64(self.routes[intid as usize], offset & 4 != 0, value, lanes);
                    self.set_route(intid, route);
                }
            }
            _ => (),
        }
    }

    fn typer(&self, lpis: bool) -> u32 {
        let lines = self.banks.len() as u32 - 1;
        let fixed = TYPER_MBIS | TYPER_A3V | TYPER_NO1N | TYPER_RSS | (INTID_BITS - 1) << TYPER_IDBITS_SHIFT;
        lines | fixed | if lpis { TYPER_LPIS } else { 0 }
    }

    /// The SPI whose `GICD_IROUTER` is at `offset`.
    fn routed(&self, offset: u64) -> Option<u32> {
        let intid = (offset - GICD_IROUTER) as u32 / 8;
        self.is_spi(intid).then_some(intid)
    }

    /// A write to `GICD_SETSPI_NSR` or `GICD_CLRSPI_NSR`: the effect is that of the SPI's line, except that an edge
    /// need not be preceded by a low level (12.9.35).
    pub(super) fn message_spi(&mut self, intid: u32, set: bool) {
        if !self.is_spi(intid) {
            return;
        }
        self.change(0, intid, |bank, bit| {
            if bank.edge & bit == 0 {
                bank.set_line(bit, set);
            } else if set {
                bank.latched |= bit;
            } else {
                bank.latched &= !bit;
            }
        });
    }

    fn bank(&self, frame: Frame, n: usize) -> Option<&Bank> {
        match frame {
            Frame::Distributor => self.banks.get(n).filter(|_| n > 0),
            Frame::Cpu(cpu) => (n == 0).then(|| &self.cpus[cpu].private),
        }
    }

    /// Reads a register between `IGROUPR` and `ICFGR`.
    pub(super) fn read_banked(&self, frame: Frame, offset: u64) -> u32 {
        let register = Register::at(offset);
        let Some(bank) = self.bank(frame, register.bank) else { return 0 };
        match register.kind {
            IGROUPR => bank.group,
            ISENABLER | ICENABLER => bank.enabled,
            ISPENDR | ICPENDR => bank.pending(),
            ISACTIVER | ICACTIVER => bank.active,
            IPRIORITYR => bank.priorities(register.part * 4),
            ICFGR => bank.config(register.part),
            _ => 0,
        }
    }

    /// Writes a register between `IGROUPR` and `ICFGR`.
    pub(super) fn write_banked(&mut self, frame: Frame, offset: u64, value: u32, lanes: u32) {
        let register = Register::at(offset);
        if self.bank(frame, register.bank).is_none() {
            return;
        }
        let sgis = matches!(frame, Frame::Cpu(_)) && register.part == 0;
        let change = |bank: &mut Bank| match register.kind {
            IGROUPR => bank.group = merge(bank.group, value, lanes),
            ISENABLER => bank.enabled |= value,
            ICENABLER => bank.enabled &= !value,
            ISPENDR => bank.latched |= value,
            ICPENDR => bank.latched &= !value,
            ISACTIVER => bank.active |= value,
            ICACTIVER => bank.active &= !value,
            IPRIORITYR => bank.set_priorities(register.part * 4, value, lanes),
            ICFGR if !sgis => bank.set_config(register.part, value, lanes),
            _ => (),
        };
        // The interrupts that the write can have changed.
        let touched = match register.kind {
            IGROUPR => lanes,
            IPRIORITYR | ICFGR => u32::MAX,
            _ => value,
        };
        match frame {
            Frame::Distributor => self.change_spis(register.bank, touched, change),
            Frame::Cpu(cpu) => self.change_private(cpu, change),
        }
    }
}

/// A register that is repeated for all INTIDs.
struct Register {
    /// The offset of its first word.
    kind: u64,
    /// Which 32 interrupts.
    bank: usize,
    /// Which part of them, where a word holds fewer than 32.
    part: usize,
}

impl Register {
    fn at(offset: u64) -> Self {
        let place = |kind, words: u64| {
            let n = (offset - kind) / 4;
            Self { kind, bank: (n / words) as usize, part: (n % words) as usize }
        };
        match offset {
            IPRIORITYR..IPRIORITYR_END => place(IPRIORITYR, 8),
            ICFGR..ICFGR_END => place(ICFGR, 2),
            _ => place(offset & !0x7f, 1),
        }
    }
}
