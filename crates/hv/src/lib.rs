//! The engine seam: what a CPU engine offers the board, and what it asks of it.
//!
//! An engine makes a [`Vm`]; a `Vm` makes one [`VcpuSeed`] for each CPU; a seed is sent to the thread that will run
//! the CPU and bound there, once, to become a [`Vcpu`]. Device accesses are callbacks made *during* [`Vcpu::run`]
//! (see [`Mmio`] and [`Gic`]); `run` returns only when the CPU has to stop.

pub mod debug;
pub mod kvm;
mod memory;

use std::sync::Arc;
use std::time::Duration;

pub use memory::release;

/// The guest's RAM: regions of host memory at guest-physical addresses.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

/// What an engine reports when it cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot run on this host; the text says why.
    #[error("{engine}: not usable on this host: {reason}")]
    Unusable {
        /// The engine's name: `soft`, `kvm`.
        engine: &'static str,
        /// Why, in a sentence.
        reason: String,
    },
    /// A vCPU index beyond the number that the VM was made with, or one that was taken already.
    #[error("there is no free vCPU {0}")]
    NoSuchVcpu(u32),
    /// An operating-system call failed.
    #[error("{what}: {source}")]
    Os {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A virtual machine as an engine sees it: memory and CPUs.
pub trait Vm: Send + Sync {
    /// The seed of vCPU `index`, with everything that it calls while it runs. Each index can be taken once.
    fn vcpu(&self, index: u32, env: VcpuEnv) -> Result<Box<dyn VcpuSeed>, Error>;

    /// The interrupt inputs of vCPU `index`, for an interrupt controller outside the engine (`soft`); `None` where
    /// the engine has its own (`kvm`).
    fn inputs(&self, index: u32) -> Option<Arc<dyn CpuInputs>>;

    /// Takes a time that has passed on the host out of the guest's: its counters and timers go on as if it had not
    /// been. Called while no vCPU is in [`Vcpu::run`].
    fn skip(&self, time: Duration);
}

/// What a vCPU calls while it runs.
#[derive(Clone)]
pub struct VcpuEnv {
    /// Accesses outside RAM.
    pub mmio: Arc<dyn Mmio>,
    /// The interrupt controller, where it is outside the engine.
    pub gic: Option<Arc<dyn Gic>>,
}

/// Accesses of the guest to physical addresses that are not RAM.
///
/// Called on vCPU threads, from several at once, while no lock of the engine is held. `data` is 1, 2, 4 or 8 bytes,
/// little-endian, naturally aligned. An address with nothing behind it reads as zero and ignores writes.
pub trait Mmio: Send + Sync {
    /// Reads `data.len()` bytes at guest-physical `addr`.
    fn read(&self, addr: u64, data: &mut [u8]);
    /// Writes `data` at guest-physical `addr`.
    fn write(&self, addr: u64, data: &[u8]);
}

/// The GIC as the CPU meets it: its CPU interface by system registers, and the private interrupts the CPU raises.
///
/// Called on the thread of vCPU `vcpu`, while no lock of the engine is held.
pub trait Gic: Send + Sync {
    /// Reads an `ICC_*_EL1` register (GIC architecture specification IHI 0069, 12.2) named by its MRS encoding
    /// `op0:op1:CRn:CRm:op2` as in [`sysreg_encoding`]. `None`: no such register, the CPU takes an Undefined
    /// exception.
    fn read_icc(&self, vcpu: u32, reg: u16) -> Option<u64>;
    /// Writes an `ICC_*_EL1` register. `false`: no such register or read-only.
    fn write_icc(&self, vcpu: u32, reg: u16, value: u64) -> bool;
    /// Sets the level of private peripheral interrupt `intid` (16..32) of the CPU: its timers.
    fn set_ppi(&self, vcpu: u32, intid: u32, level: bool);
}

/// The encoding of a system register as one number: `op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]`.
#[must_use]
pub const fn sysreg_encoding(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    (op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | (op2 & 7)
}

/// The interrupt inputs of one CPU. Called from any thread, never blocks; a level is kept until it is changed.
pub trait CpuInputs: Send + Sync {
    /// Level of the IRQ input.
    fn set_irq(&self, level: bool);
    /// Level of the FIQ input.
    fn set_fiq(&self, level: bool);
}

/// A vCPU on its way to the thread that will run it.
pub trait VcpuSeed: Send {
    /// A handle by which other threads make [`Vcpu::run`] return.
    fn kicker(&self) -> Arc<dyn Kick>;
    /// Makes the vCPU on the calling thread, which is the one that will run it.
    fn bind(self: Box<Self>) -> Result<Box<dyn Vcpu>, Error>;
}

/// Makes a running vCPU return from [`Vcpu::run`]. Called from any thread, never blocks.
pub trait Kick: Send + Sync {
    /// The current or, when the vCPU is not in `run`, the next `run` returns [`Exit::Kicked`] soon.
    fn kick(&self);
}

/// A CPU, bound to its thread.
pub trait Vcpu {
    /// Sets the registers as the boot protocol wants them. Called before the first [`Vcpu::run`]; a CPU that was
    /// given none is off until PSCI `CPU_ON` starts it.
    fn set_boot_state(&mut self, state: BootState) -> Result<(), Error>;

    /// Runs until something stops the CPU. A CPU that waits for an interrupt or is powered off waits inside.
    fn run(&mut self) -> Exit;

    /// Counters of this CPU since it was bound, as (name, value) in a stable order, for `--stats`.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The CPU for a debugger; `None` where the engine has nothing for one.
    fn debug(&mut self) -> Option<&mut dyn debug::Debug> {
        None
    }
}

/// The registers of an arm64 CPU at the entry of a kernel or firmware (Linux `Documentation/arm64/booting.rst`):
/// EL1h, MMU off, interrupts masked, everything else zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BootState {
    /// Program counter.
    pub pc: u64,
    /// X0: for Linux the physical address of the device tree.
    pub x0: u64,
}

/// Why a vCPU stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// [`Kick::kick`] was called.
    Kicked,
    /// The guest asked for power off (PSCI `SYSTEM_OFF`).
    PoweredOff,
    /// The guest asked for a reset (PSCI `SYSTEM_RESET`).
    Reset,
    /// What a debugger asked for has come ([`Vcpu::debug`]); the CPU goes on when it is run again.
    Debug(debug::Stop),
    /// The engine or the guest did something that cannot go on; the text says what.
    Failed(String),
}
