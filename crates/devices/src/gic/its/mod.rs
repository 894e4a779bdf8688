//! The interrupt translation service: turns a device's message into an LPI at a CPU (IHI 0069, 5.2).
//!
//! The mappings are kept here, not in the tables that the guest provides by `GITS_BASERn` and `MAPD`, which the
//! architecture leaves to the ITS to use as it likes. Commands take no time: when the write to `GITS_CWRITER` is done,
//! they are.

mod commands;
pub(super) mod spec;

use std::collections::BTreeMap;

use self::spec::*;
use super::spec::{IIDR_VALUE, PART_GITS, id_register};
use super::state::State;
use crate::regs::{half, merge, merge64};

/// How many events can be mapped, over all devices: as many as there are LPIs and more.
const MAX_EVENTS: usize = 1 << 16;

/// The registers and mappings of the ITS.
#[derive(Debug, Clone, Default)]
pub(super) struct Its {
    /// `GITS_CTLR.Enabled`.
    enabled: bool,
    /// `GITS_CBASER`.
    cbaser: u64,
    /// `GITS_CWRITER.Offset`.
    cwriter: u64,
    /// `GITS_CREADR.Offset`.
    creadr: u64,
    /// `GITS_BASER0` and 1, without their fixed fields.
    baser: [u64; 2],
    /// What MAPD mapped, by DeviceID.
    devices: BTreeMap<u32, Device>,
    /// The number of the CPU of each collection.
    collections: BTreeMap<u16, u16>,
    /// How many events are mapped, at most `MAX_EVENTS`.
    mapped: usize,
}

/// A device and its events.
#[derive(Debug, Clone, Default)]
struct Device {
    event_bits: u32,
    events: BTreeMap<u32, Event>,
}

/// What an event means.
#[derive(Debug, Clone, Copy)]
struct Event {
    intid: u32,
    collection: u16,
}

impl Its {
    fn event(&self, device: u32, event: u32) -> Option<Event> {
        self.devices.get(&device)?.events.get(&event).copied()
    }

    /// The LPI of an event and the CPU that it goes to.
    fn translate(&self, device: u32, event: u32) -> Option<(u32, usize)> {
        let event = self.event(device, event)?;
        Some((event.intid, usize::from(*self.collections.get(&event.collection)?)))
    }

    /// The size of the command queue in bytes.
    fn queue_size(&self) -> u64 {
        ((self.cbaser & 0xff) + 1) * 4096
    }
}

impl State {
    /// A message from a device: `event` is what it wrote to `GITS_TRANSLATER`.
    pub(super) fn message(&mut self, device: u32, event: u32) {
        match self.its.translate(device, event).filter(|_| self.its.enabled) {
            Some((intid, cpu)) => self.set_lpi(cpu, intid),
            None => tracing::debug!(device, event, "a message that the ITS has no mapping for"),
        }
    }

    pub(super) fn read_its(&self, offset: u64) -> u32 {
        let its = &self.its;
        let high = offset & 4 != 0;
        match offset & !7 {
            GITS_CTLR if high => IIDR_VALUE,
            GITS_CTLR if its.enabled => CTLR_ENABLED,
            GITS_CTLR => CTLR_QUIESCENT,
            GITS_TYPER => half(TYPER_VALUE, high),
            GITS_CBASER => half(its.cbaser, high),
            GITS_CWRITER => half(its.cwriter, high),
            GITS_CREADR => half(its.creadr, high),
            at @ GITS_BASER..GITS_BASER_END => {
                let n = ((at - GITS_BASER) / 8) as usize;
                half(its.baser[n] | BASER_FIXED[n], high)
            }
            _ => id_register(offset, PART_GITS),
        }
    }

    pub(super) fn write_its(&mut self, offset: u64, value: u32, lanes: u32) {
        let its = &mut self.its;
        let high = offset & 4 != 0;
        match offset & !7 {
            _ if offset == GITS_CTLR => {
                let old = if its.enabled { CTLR_ENABLED } else { 0 };
                its.enabled = merge(old, value, lanes) & CTLR_ENABLED != 0;
                self.run_commands();
            }
            GITS_CBASER if !its.enabled => {
                its.cbaser = merge64(its.cbaser, high, value, lanes) & CBASER_MASK;
                its.creadr = 0;
                its.cwriter = 0;
            }
            _ if offset == GITS_CWRITER => {
                its.cwriter = merge64(its.cwriter, false, value, lanes) & QUEUE_OFFSET;
                self.run_commands();
            }
            at @ GITS_BASER..GITS_BASER_END if !its.enabled => {
                let n = ((at - GITS_BASER) / 8) as usize;
                its.baser[n] = merge64(its.baser[n], high, value, lanes) & BASER_MASK;
                if its.baser[n] & VALID == 0 {
                    its.forget_table(n);
                }
            }
            // A CPU that writes here has no DeviceID; it counts as device 0.
            _ if offset == GITS_TRANSLATER => self.message(0, value),
            _ => (),
        }
    }
}

impl Its {
    /// The guest takes table `n` away, and with it what was mapped there.
    fn forget_table(&mut self, n: usize) {
        if n == 0 {
            self.devices.clear();
            self.mapped = 0;
        } else {
            self.collections.clear();
        }
    }
}
