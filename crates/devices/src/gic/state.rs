//! Everything the GIC remembers, and the choice of the interrupt that each CPU is offered.
//!
//! For each CPU a bitmap holds the SPIs that are ready and routed to it, and a set the LPIs; both are kept up to date
//! by whoever changes an interrupt, so that the choice looks only at interrupts that could be taken.

use super::bank::{Bank, bits};
use super::cpu_interface::CpuInterface;
use super::its::Its;
use super::lpi::Lpis;
use super::spec::*;
use crate::GuestMemory;

/// Words of 32 INTIDs that hold no special ones.
pub(super) const MAX_BANKS: usize = 31;

/// A CPU's part: its redistributor, its CPU interface, and what the distributor has for it.
#[derive(Debug)]
pub(super) struct Cpu {
    /// Aff3.Aff2.Aff1.Aff0, as in `GICR_TYPER[63:32]`.
    pub(super) affinity: u32,
    /// SGIs and PPIs.
    pub(super) private: Bank,
    /// `GICR_WAKER.ProcessorSleep`: nothing is forwarded to the CPU.
    pub(super) asleep: bool,
    /// `GICR_PROPBASER`, `GICR_PENDBASER` and the LPIs pending here.
    pub(super) lpis: Lpis,
    /// The `ICC_*` registers.
    pub(super) interface: CpuInterface,
    /// The SPIs that are ready and routed here.
    spis: [u32; MAX_BANKS],
    /// Which words of `spis` are not zero.
    spi_words: u32,
    /// The highest-priority interrupt that could be taken, if its groups' enables allow.
    pub(super) best: Option<Offer>,
}

/// An interrupt on offer to a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) intid: u32,
    pub(super) priority: u8,
    /// Group 1 rather than Group 0.
    pub(super) group1: bool,
}

/// The state of the whole GIC.
#[derive(Debug)]
pub(super) struct State {
    /// Where LPI tables and the ITS command queue are.
    pub(super) memory: GuestMemory,
    /// `GICD_CTLR`'s group enables.
    pub(super) ctlr: u32,
    /// SPIs; bank 0 stands for the private interrupts and is not used.
    pub(super) banks: Vec<Bank>,
    /// `GICD_IROUTER<n>` by INTID.
    pub(super) routes: Vec<u64>,
    /// The CPU that each route means.
    targets: Vec<Option<u16>>,
    pub(super) cpus: Vec<Cpu>,
    pub(super) its: Its,
    /// The CPUs whose offer may have changed, a bit for each.
    dirty: u128,
}

impl State {
    /// The state after a reset. `banks` counts words of 32 INTIDs, the private ones included.
    pub(super) fn new(memory: GuestMemory, affinities: &[u32], banks: usize) -> Self {
        let cpus = affinities.iter().map(|&affinity| Cpu {
            affinity,
            private: Bank { edge: 0xffff, ..Bank::default() },
            // As firmware below the guest leaves it: guests that know of such firmware do not wake it themselves.
            asleep: false,
            lpis: Lpis::default(),
            interface: CpuInterface::default(),
            spis: [0; MAX_BANKS],
            spi_words: 0,
            best: None,
        });
        let banks = banks.clamp(1, MAX_BANKS);
        let mut state = Self {
            memory,
            ctlr: 0,
            banks: vec![Bank::default(); banks],
            routes: vec![0; banks * 32],
            targets: vec![None; banks * 32],
            cpus: cpus.collect(),
            its: Its::default(),
            dirty: 0,
        };
        for intid in FIRST_SPI..(banks * 32) as u32 {
            state.set_route(intid, 0);
        }
        state.all_changed();
        state
    }

    /// Resets everything but the levels of the input lines, which belong to the devices that drive them.
    pub(super) fn reset(&mut self) {
        let affinities: Vec<u32> = self.cpus.iter().map(|cpu| cpu.affinity).collect();
        let mut fresh = Self::new(self.memory.clone(), &affinities, self.banks.len());
        for (new, old) in fresh.banks.iter_mut().zip(&self.banks) {
            new.line = old.line;
        }
        for (new, old) in fresh.cpus.iter_mut().zip(&self.cpus) {
            new.private.line = old.private.line;
        }
        *self = fresh;
    }

    /// `intid` is an SPI that exists.
    pub(super) fn is_spi(&self, intid: u32) -> bool {
        intid >= FIRST_SPI && (intid as usize) < self.routes.len()
    }

    /// CPU `cpu`'s offer must be made anew.
    pub(super) fn changed(&mut self, cpu: usize) {
        self.dirty |= 1 << cpu;
    }

    /// Every CPU's offer must be made anew.
    pub(super) fn all_changed(&mut self) {
        self.dirty = u128::MAX >> (128 - self.cpus.len());
    }

    /// The CPUs that changed since the last call.
    pub(super) fn take_changed(&mut self) -> u128 {
        std::mem::take(&mut self.dirty)
    }

    /// Changes the SPIs `mask` of bank `n` and does what follows from it.
    pub(super) fn change_spis(&mut self, n: usize, mask: u32, change: impl FnOnce(&mut Bank)) {
        change(&mut self.banks[n]);
        let ready = self.banks[n].ready();
        for bit in bits(mask) {
            let Some(target) = self.targets[n * 32 + bit as usize] else { continue };
            self.cpus[usize::from(target)].set_spi(n, 1 << bit, ready >> bit & 1 != 0);
            self.changed(usize::from(target));
        }
    }

    /// Changes the SGIs and PPIs of a CPU.
    pub(super) fn change_private(&mut self, cpu: usize, change: impl FnOnce(&mut Bank)) {
        change(&mut self.cpus[cpu].private);
        self.changed(cpu);
    }

    /// Changes one interrupt that is no LPI, private to `cpu` or shared; `change` gets its bank and bit.
    pub(super) fn change(&mut self, cpu: usize, intid: u32, change: impl FnOnce(&mut Bank, u32)) {
        let bit = 1 << (intid % 32);
        if intid < FIRST_SPI {
            self.change_private(cpu, |bank| change(bank, bit));
        } else if self.is_spi(intid) {
            self.change_spis(intid as usize / 32, bit, |bank| change(bank, bit));
        }
    }

    /// Drives the input line of an interrupt, private to `cpu` or shared.
    pub(super) fn set_line(&mut self, cpu: usize, intid: u32, level: bool) {
        self.change(cpu, intid, |bank, bit| bank.set_line(bit, level));
    }

    /// Writes `GICD_IROUTER<intid>`. Affinities that no CPU has are kept; the interrupt then goes nowhere.
    pub(super) fn set_route(&mut self, intid: u32, route: u64) {
        let (n, bit, at) = (intid as usize / 32, 1 << (intid % 32), intid as usize);
        let route = route & IROUTER_MASK;
        let affinity = (route >> 8) as u32 & 0xff00_0000 | route as u32 & 0x00ff_ffff;
        if let Some(old) = self.targets[at] {
            self.cpus[usize::from(old)].set_spi(n, bit, false);
            self.changed(usize::from(old));
        }
        self.routes[at] = route;
        self.targets[at] = self.cpus.iter().position(|cpu| cpu.affinity == affinity).map(|cpu| cpu as u16);
        self.change_spis(n, bit, |_| ());
    }

    /// Makes CPU `cpu`'s offer, and tells the levels of its (IRQ, FIQ) inputs.
    pub(super) fn offer(&mut self, cpu: usize) -> (bool, bool) {
        let (group0, group1) = (self.ctlr & CTLR_GRP0 != 0, self.ctlr & CTLR_GRP1 != 0);
        let banks = &self.banks;
        let cpu = &mut self.cpus[cpu];
        let (group0, group1) = (group0 && cpu.interface.enabled0, group1 && cpu.interface.enabled1);
        let allowed = |groups: u32| if group1 { groups } else { 0 } | if group0 { !groups } else { 0 };
        let mut best: Option<Offer> = None;
        let mut consider = |bank: &Bank, ready: u32, first: u32| {
            for bit in bits(ready & allowed(bank.group)) {
                let priority = bank.priority[bit as usize];
                if best.is_none_or(|best| priority < best.priority) {
                    best = Some(Offer { intid: first + bit, priority, group1: bank.group >> bit & 1 != 0 });
                }
            }
        };
        if !cpu.asleep {
            consider(&cpu.private, cpu.private.ready(), 0);
            for n in bits(cpu.spi_words) {
                consider(&banks[n as usize], cpu.spis[n as usize], n * 32);
            }
            if let Some((priority, intid)) = cpu.lpis.first().filter(|_| group1)
                && best.is_none_or(|best| priority < best.priority)
            {
                best = Some(Offer { intid, priority, group1: true });
            }
        }
        cpu.best = best;
        let signalled = best.filter(|offer| cpu.interface.takes(offer));
        (signalled.is_some_and(|offer| offer.group1), signalled.is_some_and(|offer| !offer.group1))
    }
}

impl Cpu {
    fn set_spi(&mut self, n: usize, bit: u32, ready: bool) {
        if ready {
            self.spis[n] |= bit;
        } else {
            self.spis[n] &= !bit;
        }
        let word = 1 << n;
        self.spi_words = if self.spis[n] == 0 { self.spi_words & !word } else { self.spi_words | word };
    }
}
