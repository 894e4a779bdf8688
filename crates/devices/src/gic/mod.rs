//! The interrupt controller: a GICv3 with an ITS (Arm IHI 0069), one security state, affinity routing always on.
//!
//! Fixed: the addresses of its windows, the number of shared interrupts (SPIs), the CPUs' affinities.
//!
//! Glue: [`Gic::windows`] go on the bus; [`Gic::read_icc`] and [`Gic::write_icc`] are each CPU's system registers;
//! [`Gic::spi_line`] gives a device its line, [`Gic::set_ppi`] drives a CPU's private interrupts, messages come by
//! [`MsiSink`]. The IRQ and FIQ inputs of the CPUs are told by [`IrqSink`]s.
//!
//! State: one lock holds all of it. Whoever changes it decides the levels of the CPUs' inputs before letting go of
//! the lock and tells the CPUs afterwards, so a sink may call the GIC. Two threads that tell the same CPU at the same
//! time may leave an outdated level for a moment: a CPU can read `ICC_IAR1_EL1` and find nothing (INTID 1023).

mod bank;
mod cpu_interface;
mod dist;
mod fdt;
mod its;
mod lpi;
mod output;
mod redist;
mod spec;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;

pub use self::fdt::Phandles;
use self::its::spec::GITS_TRANSLATER;
use self::output::Output;
use self::spec::*;
use self::state::{MAX_BANKS, State};
use crate::GuestMemory;
use crate::bus::MmioDevice;
use crate::irq::{IrqLine, IrqSink, Msi, MsiSink};
use crate::regs;

/// The most CPUs that a GIC can have.
pub const MAX_CPUS: usize = 128;

/// What a GIC is made from.
pub struct Config {
    /// Guest-physical address of the distributor, 64 KiB.
    pub dist_base: u64,
    /// Guest-physical address of the redistributors, 128 KiB for each CPU.
    pub redist_base: u64,
    /// Guest-physical address of the ITS, 128 KiB; `None` makes a GIC without LPIs.
    pub its_base: Option<u64>,
    /// How many shared interrupts devices have; rounded up to a multiple of 32, at most 960.
    pub spis: u32,
    /// The CPUs, in the order of their numbers.
    pub cpus: Vec<CpuConfig>,
}

/// One CPU of a GIC.
pub struct CpuConfig {
    /// Affinity as in `GICR_TYPER[63:32]`: Aff3.Aff2.Aff1.Aff0, a byte each.
    pub affinity: u32,
    /// The IRQ input. Called from any thread with no lock held; must not block.
    pub irq: Arc<dyn IrqSink>,
    /// The FIQ input, for Group 0 interrupts; likewise.
    pub fiq: Arc<dyn IrqSink>,
}

/// Why a GIC could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// No CPU or too many.
    #[error("a GIC has from 1 to {MAX_CPUS} CPUs, not {0}")]
    Cpus(usize),
    /// More SPIs than there are numbers for.
    #[error("a GIC has at most 960 shared interrupts, not {0}")]
    Spis(u32),
}

/// The interrupt controller.
pub struct Gic {
    dist_base: u64,
    redist_base: u64,
    its_base: Option<u64>,
    outputs: Vec<Output>,
    state: Mutex<State>,
}

/// A register window: base, size in bytes, and what answers there.
pub type Window = (u64, u64, Arc<dyn MmioDevice>);

impl Gic {
    /// A GIC as it comes out of reset. `memory` holds the LPI tables and the ITS commands.
    pub fn new(config: Config, memory: GuestMemory) -> Result<Arc<Self>, ConfigError> {
        let Config { dist_base, redist_base, its_base, spis, cpus } = config;
        if cpus.is_empty() || cpus.len() > MAX_CPUS {
            return Err(ConfigError::Cpus(cpus.len()));
        }
        let banks = 1 + spis.div_ceil(32) as usize;
        if banks > MAX_BANKS {
            return Err(ConfigError::Spis(spis));
        }
        let affinities: Vec<u32> = cpus.iter().map(|cpu| cpu.affinity).collect();
        let outputs = cpus.into_iter().map(|cpu| Output::new(cpu.irq, cpu.fiq)).collect();
        let state = Mutex::new(State::new(memory, &affinities, banks));
        Ok(Arc::new(Self { dist_base, redist_base, its_base, outputs, state }))
    }

    /// The distributor's (base, size).
    #[must_use]
    pub fn distributor_window(&self) -> (u64, u64) {
        (self.dist_base, FRAME)
    }

    /// The redistributors' (base, size).
    #[must_use]
    pub fn redistributor_window(&self) -> (u64, u64) {
        (self.redist_base, 2 * FRAME * self.outputs.len() as u64)
    }

    /// The (base, size) of the ITS, if there is one.
    #[must_use]
    pub fn its_window(&self) -> Option<(u64, u64)> {
        self.its_base.map(|base| (base, 2 * FRAME))
    }

    /// The windows to put on the bus.
    #[must_use]
    pub fn windows(self: &Arc<Self>) -> Vec<Window> {
        let window = |(base, size), part| -> Window { (base, size, Arc::new(Registers { gic: self.clone(), part })) };
        let mut windows = vec![
            window(self.distributor_window(), Part::Distributor),
            window(self.redistributor_window(), Part::Redistributors),
        ];
        windows.extend(self.its_window().map(|its| window(its, Part::Its)));
        windows
    }

    /// Puts everything back to its state after reset, but for the levels of the input lines. No vCPU may be running.
    pub fn reset(&self) {
        self.with(State::reset);
    }

    /// The input of shared interrupt `spi`, counted from 0 as device trees do (INTID 32 is SPI 0), low. A device
    /// that drives an SPI which the GIC does not have changes nothing.
    #[must_use]
    pub fn spi_line(self: &Arc<Self>, spi: u32) -> IrqLine {
        IrqLine::new(Arc::new(SpiInput { gic: self.clone(), intid: FIRST_SPI.saturating_add(spi) }))
    }

    /// Sets the level of private peripheral interrupt `intid` (16..32) of a CPU.
    pub fn set_ppi(&self, vcpu: u32, intid: u32, level: bool) {
        if (16..FIRST_SPI).contains(&intid) && (vcpu as usize) < self.outputs.len() {
            self.with(|state| state.set_line(vcpu as usize, intid, level));
        }
    }

    /// Reads an `ICC_*_EL1` register of a CPU, named by `op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]`.
    /// `None`: there is no such register, or it is write-only.
    #[must_use]
    pub fn read_icc(&self, vcpu: u32, reg: u16) -> Option<u64> {
        ((vcpu as usize) < self.outputs.len()).then(|| self.with(|state| state.read_icc(vcpu as usize, reg)))?
    }

    /// Writes an `ICC_*_EL1` register of a CPU. `false`: there is no such register, or it is read-only.
    #[must_use]
    pub fn write_icc(&self, vcpu: u32, reg: u16, value: u64) -> bool {
        (vcpu as usize) < self.outputs.len() && self.with(|state| state.write_icc(vcpu as usize, reg, value))
    }

    /// Changes the state, decides what follows for the CPUs, and tells them once the lock is released.
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let mut news = 0;
        for n in positions(state.take_changed()) {
            if self.outputs[n].decide(state.offer(n)) {
                news |= 1 << n;
            }
        }
        drop(state);
        positions(news).for_each(|n| self.outputs[n].deliver());
        result
    }
}

/// The positions of the bits that are set.
fn positions(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (bit < 128).then_some(bit as usize)
    })
}

impl MsiSink for Gic {
    fn signal(&self, msi: Msi) {
        if self.its_base.is_some_and(|base| msi.address == base + GITS_TRANSLATER) {
            self.with(|state| state.message(msi.device_id, msi.data));
        } else if msi.address == self.dist_base + GICD_SETSPI_NSR {
            self.with(|state| state.message_spi(msi.data & 0x3ff, true));
        } else {
            tracing::debug!(?msi, "a message to an address that takes none");
        }
    }
}

/// Which registers a window shows.
#[derive(Clone, Copy)]
enum Part {
    Distributor,
    Redistributors,
    Its,
}

/// A window of the GIC on the bus.
struct Registers {
    gic: Arc<Gic>,
    part: Part,
}

impl MmioDevice for Registers {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let lpis = self.gic.its_base.is_some();
        self.gic.with(|state| match self.part {
            Part::Distributor => regs::read(offset, data, |at| state.read_dist(at, lpis)),
            Part::Redistributors => regs::read(offset, data, |at| state.read_redist(at, lpis)),
            Part::Its => regs::read(offset, data, |at| state.read_its(at)),
        });
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let lpis = self.gic.its_base.is_some();
        self.gic.with(|state| match self.part {
            Part::Distributor => regs::write(offset, data, |at, v, lanes| state.write_dist(at, v, lanes)),
            Part::Redistributors => regs::write(offset, data, |at, v, lanes| state.write_redist(at, v, lanes, lpis)),
            Part::Its => regs::write(offset, data, |at, v, lanes| state.write_its(at, v, lanes)),
        });
    }
}

/// The far end of an SPI's line.
struct SpiInput {
    gic: Arc<Gic>,
    intid: u32,
}

impl IrqSink for SpiInput {
    fn set_level(&self, level: bool) {
        self.gic.with(|state| state.set_line(0, self.intid, level));
    }
}
