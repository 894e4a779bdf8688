//! A redistributor's registers: the RD frame and the SGI frame of one CPU (IHI 0069, 12.11).

use super::dist::Frame;
use super::spec::*;
use super::state::State;
use crate::regs::{half, merge, merge64};

impl State {
    /// Reads the word at `offset` in the region of all redistributors, 128 KiB for each CPU.
    pub(super) fn read_redist(&self, offset: u64, lpis: bool) -> u32 {
        let n = (offset / (2 * FRAME)) as usize;
        let Some(cpu) = self.cpus.get(n) else { return 0 };
        let (sgi_frame, offset) = (offset / FRAME % 2 == 1, offset % FRAME);
        let high = offset & 4 != 0;
        match offset {
            _ if offset >= ID_REGISTERS => id_register(offset, PART_GICR),
            _ if sgi_frame => match offset {
                IGROUPR..IPRIORITYR_END | ICFGR..ICFGR_END => self.read_banked(Frame::Cpu(n), offset),
                _ => 0,
            },
            GICR_CTLR if !lpis => 0,
            GICR_CTLR => CTLR_CES | if cpu.lpis.enabled { CTLR_ENABLE_LPIS } else { 0 },
            GICR_IIDR => IIDR_VALUE,
            _ if offset & !7 == GICR_TYPER => half(self.redist_typer(n, lpis), high),
            GICR_WAKER if cpu.asleep => WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP,
            _ if offset & !7 == GICR_PROPBASER => half(cpu.lpis.propbaser, high),
            _ if offset & !7 == GICR_PENDBASER => half(cpu.lpis.pendbaser & !PENDBASER_PTZ, high),
            _ => 0,
        }
    }

    /// Writes the word at `offset` in the region of all redistributors.
    pub(super) fn write_redist(&mut self, offset: u64, value: u32, lanes: u32, lpis: bool) {
        let n = (offset / (2 * FRAME)) as usize;
        let Some(cpu) = self.cpus.get_mut(n) else { return };
        let (sgi_frame, offset) = (offset / FRAME % 2 == 1, offset % FRAME);
        let high = offset & 4 != 0;
        match offset {
            _ if sgi_frame => {
                if matches!(offset, IGROUPR..IPRIORITYR_END | ICFGR..ICFGR_END) {
                    self.write_banked(Frame::Cpu(n), offset, value, lanes);
                }
            }
            GICR_CTLR if lpis => {
                let old = if cpu.lpis.enabled { CTLR_ENABLE_LPIS } else { 0 };
                self.enable_lpis(n, merge(old, value, lanes) & CTLR_ENABLE_LPIS != 0);
            }
            GICR_WAKER => {
                let old = if cpu.asleep { WAKER_PROCESSOR_SLEEP } else { 0 };
                cpu.asleep = merge(old, value, lanes) & WAKER_PROCESSOR_SLEEP != 0;
                self.changed(n);
            }
            // The tables stay where they are while they are in use.
            _ if cpu.lpis.enabled || !lpis => (),
            _ if offset & !7 == GICR_PROPBASER => {
                cpu.lpis.propbaser = merge64(cpu.lpis.propbaser, high, value, lanes) & PROPBASER_MASK;
            }
            _ if offset & !7 == GICR_PENDBASER => {
                cpu.lpis.pendbaser = merge64(cpu.lpis.pendbaser, high, value, lanes) & PENDBASER_MASK;
            }
            _ => (),
        }
    }

    fn redist_typer(&self, n: usize, lpis: bool) -> u64 {
        let last = n + 1 == self.cpus.len();
        u64::from(self.cpus[n].affinity) << RTYPER_AFFINITY_SHIFT
            | (n as u64) << RTYPER_NUMBER_SHIFT
            | if last { RTYPER_LAST } else { 0 }
            | if lpis { RTYPER_PLPIS } else { 0 }
    }
}
