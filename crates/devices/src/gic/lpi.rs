//! Locality-specific peripheral interrupts of one redistributor (IHI 0069, 5.1): message interrupts whose configuration
//! and pending tables are in guest memory.
//!
//! While LPIs are enabled the pending bits live here and the guest's pending table is stale, as the architecture
//! allows; the table is read when they are enabled and written when they are disabled. The configuration byte of a
//! pending LPI is read when it becomes pending and again when the guest says that it changed (`INV`, `INVALL`).

use std::collections::BTreeSet;

use vm_memory::{Bytes, GuestAddress};

use super::bank::bits;
use super::spec::*;
use super::state::State;
use crate::GuestMemory;

/// The LPI part of a redistributor.
#[derive(Debug, Clone, Default)]
pub(super) struct Lpis {
    /// `GICR_CTLR.EnableLPIs`.
    pub(super) enabled: bool,
    /// `GICR_PROPBASER`.
    pub(super) propbaser: u64,
    /// `GICR_PENDBASER`.
    pub(super) pendbaser: u64,
    /// A bit for each INTID, as in the pending table; empty while LPIs are disabled.
    pending: Vec<u32>,
    /// The pending LPIs that are enabled, as (priority, INTID).
    ready: BTreeSet<(u8, u32)>,
}

impl Lpis {
    /// The highest-priority LPI that could be taken, as (priority, INTID).
    pub(super) fn first(&self) -> Option<(u8, u32)> {
        self.ready.first().copied()
    }

    /// One more than the largest INTID that the tables cover.
    fn limit(&self) -> u32 {
        1 << ((self.propbaser as u32 & 0x1f) + 1).min(INTID_BITS)
    }

    /// `intid` is an LPI that can be pending here.
    fn covers(&self, intid: u32) -> bool {
        self.enabled && (FIRST_LPI..self.limit()).contains(&intid)
    }

    fn is_pending(&self, intid: u32) -> bool {
        self.covers(intid) && self.pending[intid as usize / 32] >> (intid % 32) & 1 != 0
    }

    /// The priority of an LPI, if it is enabled: a byte of the configuration table (5.1.1).
    fn configuration(&self, memory: &GuestMemory, intid: u32) -> Option<u8> {
        let table = self.propbaser & 0x000f_ffff_ffff_f000;
        let byte: u8 = memory.read_obj(GuestAddress(table + u64::from(intid - FIRST_LPI))).ok()?;
        (byte & 1 != 0).then_some(byte & PRIORITY_MASK)
    }

    /// Makes an LPI pending. One that is beyond the tables, or comes while LPIs are disabled, is lost.
    pub(super) fn set(&mut self, memory: &GuestMemory, intid: u32) {
        if self.covers(intid) {
            self.pending[intid as usize / 32] |= 1 << (intid % 32);
            self.reload(memory, intid);
        }
    }

    /// Makes an LPI not pending; `true` if it was.
    pub(super) fn clear(&mut self, intid: u32) -> bool {
        let was = self.is_pending(intid);
        if was {
            self.pending[intid as usize / 32] &= !(1 << (intid % 32));
            self.forget(intid);
        }
        was
    }

    /// Reads the configuration of an LPI again.
    pub(super) fn reload(&mut self, memory: &GuestMemory, intid: u32) {
        if self.is_pending(intid) {
            self.forget(intid);
            if let Some(priority) = self.configuration(memory, intid) {
                self.ready.insert((priority, intid));
            }
        }
    }

    /// Reads the configuration of all LPIs again.
    pub(super) fn reload_all(&mut self, memory: &GuestMemory) {
        let pending = self.pending.iter().zip(0..).flat_map(|(&word, n)| bits(word).map(move |bit| n * 32 + bit));
        let pending = pending.filter(|&intid| self.covers(intid));
        let ready = pending.filter_map(|intid| self.configuration(memory, intid).map(|priority| (priority, intid)));
        self.ready = ready.collect();
    }

    fn forget(&mut self, intid: u32) {
        // An acknowledged LPI is the first one. Any other is looked for under each priority that it can have: the
        // guest may have changed its configuration since it was put in.
        if self.first().is_some_and(|(_, first)| first == intid) {
            self.ready.pop_first();
            return;
        }
        for priority in (0..=PRIORITY_MASK).step_by(8) {
            if self.ready.remove(&(priority, intid)) {
                break;
            }
        }
    }

    /// Takes over all LPIs that are pending in `from` (`MOVALL`), whose tables must be as large, as the architecture
    /// wants them to be.
    pub(super) fn take_all(&mut self, from: &mut Self) {
        if !(self.enabled && from.enabled) || self.limit() != from.limit() {
            return;
        }
        // The smaller set goes into the larger one, LPI by LPI (`append` would build the larger one anew), so that a guest
        // cannot make this slow by repeating it.
        if self.ready.len() < from.ready.len() {
            std::mem::swap(&mut self.ready, &mut from.ready);
        }
        self.ready.extend(std::mem::take(&mut from.ready));
        for (to, from) in self.pending.iter_mut().zip(&mut from.pending) {
            *to |= std::mem::take(from);
        }
    }

    /// Where the pending table is, and how many bytes are in use.
    fn pending_table(&self) -> (GuestAddress, usize) {
        (GuestAddress(self.pendbaser & 0x000f_ffff_ffff_0000), self.limit() as usize / 8)
    }

    fn enable(&mut self, memory: &GuestMemory) {
        self.enabled = true;
        let (table, len) = self.pending_table();
        let mut bytes = vec![0; len];
        if self.pendbaser & PENDBASER_PTZ == 0 && memory.read_slice(&mut bytes, table).is_err() {
            tracing::debug!(?table, "the LPI pending table is not in RAM; taken as zero");
            bytes.fill(0);
        }
        self.pending = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        self.reload_all(memory);
    }

    fn disable(&mut self, memory: &GuestMemory) {
        let (table, _) = self.pending_table();
        let first = FIRST_LPI as usize / 8;
        let bytes: Vec<u8> = self.pending.iter().flat_map(|word| word.to_le_bytes()).collect();
        let table = GuestAddress(table.0 + first as u64);
        if bytes.len() > first && memory.write_slice(&bytes[first..], table).is_err() {
            tracing::debug!(?table, "the LPI pending table is not in RAM; pending LPIs are lost");
        }
        self.enabled = false;
        self.pending = Vec::new();
        self.ready.clear();
    }
}

impl State {
    /// Writes `GICR_CTLR.EnableLPIs` of CPU `n`.
    pub(super) fn enable_lpis(&mut self, n: usize, enable: bool) {
        let lpis = &mut self.cpus[n].lpis;
        if enable != lpis.enabled {
            if enable {
                lpis.enable(&self.memory)
            } else {
                lpis.disable(&self.memory)
            }
            self.changed(n);
        }
    }
}
