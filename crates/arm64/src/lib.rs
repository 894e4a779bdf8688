//! Facts of the Arm architecture, AArch64 at EL0 and EL1, as the rest of Russet needs them.
//!
//! Nothing here does I/O or holds state: encodings of registers and syndromes, the walk of translation tables, the
//! identity of the software CPU, the numbers of PSCI. The source is the Arm Architecture Reference Manual for
//! A-profile (DDI 0487, issue I.a), unless a module names another.

pub mod esr;
pub mod exception;
pub mod id;
pub mod mmu;
pub mod pstate;
pub mod smccc;
pub mod sysop;
pub mod sysreg;
