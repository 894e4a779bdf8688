//! Stage 1 address translation of the EL1&0 regime, VMSAv8-64 (DDI 0487, chapter D8).
//!
//! [`walk`] takes a virtual address to a physical one and says everything that a TLB has to remember; [`check`] asks
//! of a remembered translation whether an access may use it. A TLB that finds an access refused must walk again
//! before it reports the fault: the tables may have changed, and a page that hardware is to mark dirty is handed
//! out read-only until it is first written.

mod attributes;
#[cfg(test)]
mod tests;
mod walk;

pub use attributes::{Memory, Permissions, check};
pub use walk::{walk, without_tag};

/// The registers that govern a walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranslationRegs {
    /// `SCTLR_EL1`: M and WXN matter.
    pub sctlr: u64,
    /// `TCR_EL1`.
    pub tcr: u64,
    /// `TTBR0_EL1`.
    pub ttbr0: u64,
    /// `TTBR1_EL1`.
    pub ttbr1: u64,
    /// `MAIR_EL1`.
    pub mair: u64,
    /// Bits of a physical address that the CPU implements, for example [`crate::id::PA_BITS`].
    pub pa_bits: u8,
}

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    /// Loads data.
    Read,
    /// Stores data, or loads and stores it (atomics).
    Write,
    /// Fetches an instruction.
    Execute,
}

/// An access to memory as permission checks see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// It has the rights of EL0: made at EL0, or by an unprivileged load or store (`LDTR`) at EL1.
    pub el0: bool,
    /// `PSTATE.PAN`; only data accesses with the rights of EL1 heed it.
    pub pan: bool,
    /// It only asks (an `AT` instruction, a prefetch), so that no descriptor changes.
    pub query: bool,
}

impl Access {
    /// A load.
    #[must_use]
    pub const fn read(el0: bool, pan: bool) -> Self {
        Self { kind: AccessKind::Read, el0, pan, query: false }
    }

    /// A store.
    #[must_use]
    pub const fn write(el0: bool, pan: bool) -> Self {
        Self { kind: AccessKind::Write, el0, pan, query: false }
    }

    /// An instruction fetch.
    #[must_use]
    pub const fn execute(el0: bool) -> Self {
        Self { kind: AccessKind::Execute, el0, pan: false, query: false }
    }
}

/// Guest-physical memory as a table walk reads it: aligned 64-bit descriptors. `None` where there is no RAM, which
/// the walk reports as an external abort.
pub trait TableMemory {
    /// Reads the descriptor at `pa`, single-copy atomic.
    fn read(&mut self, pa: u64) -> Option<u64>;
    /// Replaces `old` by `new` at `pa` if it is still there: `Ok(old)`, or `Err` with what is there instead.
    fn compare_exchange(&mut self, pa: u64, old: u64, new: u64) -> Option<Result<u64, u64>>;
}

/// Where a virtual address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the byte that was asked for.
    pub pa: u64,
    /// log2 of the size of the page or block around it: 12 to 30. With the MMU off, 12.
    pub page_bits: u8,
    /// The lookup level of the descriptor, 1 to 3.
    pub level: u8,
    /// The kind of memory.
    pub memory: Memory,
    /// Who may do what.
    pub permissions: Permissions,
    /// The translation is the same in every address space (nG is clear).
    pub global: bool,
    /// The contiguous bit: the tables promise a larger run of pages like this one.
    pub contiguous: bool,
    /// Shareability, the SH field: 0 none, 2 outer, 3 inner.
    pub shareability: u8,
}

impl Translation {
    /// The physical address of the start of the page or block.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.pa & !((1 << self.page_bits) - 1)
    }
}

/// Why there is no translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// The lookup level at which it did, 0 to 3.
    pub level: u8,
}

/// Kinds of fault (DDI 0487, D8.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A descriptor, or with the MMU off the address itself, is beyond the physical address size.
    AddressSize,
    /// No valid descriptor, or an address that no table covers.
    Translation,
    /// The access flag is clear and hardware does not set it.
    AccessFlag,
    /// The access is not allowed.
    Permission,
    /// A descriptor is not in RAM.
    ExternalOnWalk,
    /// A descriptor that hardware was to update kept changing.
    UnsupportedUpdate,
}

impl Fault {
    /// The fault status code, DFSC or IFSC of `ESR_EL1`.
    #[must_use]
    pub const fn fsc(self) -> u64 {
        let level = self.level as u64;
        match self.kind {
            FaultKind::AddressSize => level,
            FaultKind::Translation => 0x04 | level,
            FaultKind::AccessFlag => 0x08 | level,
            FaultKind::Permission => 0x0c | level,
            FaultKind::ExternalOnWalk => 0x14 | level,
            FaultKind::UnsupportedUpdate => 0x31,
        }
    }
}

/// `PAR_EL1` after an address translation instruction.
#[must_use]
pub const fn par_el1(result: &Result<Translation, Fault>) -> u64 {
    const RES1: u64 = 1 << 11;
    match result {
        Ok(t) => {
            (t.memory.attr() as u64) << 56 | (t.pa & 0xffff_ffff_f000) | RES1 | 1 << 9 | (t.shareability as u64) << 7
        }
        Err(fault) => RES1 | fault.fsc() << 1 | 1,
    }
}
