//! The registers of one CPU and everything that its instructions reach.

use crate::trap::Trap;

/// Index of the stack pointer of the current exception level in [`Cpu::x`].
pub const SP: usize = 31;
/// Index that reads as zero, for XZR as a source.
pub const XZR: usize = 32;
/// Index that takes results nobody reads, for XZR as a destination.
pub const DISCARD: usize = 33;

/// One CPU.
#[repr(C)]
pub struct Cpu {
    /// X0..X30, SP, a zero, a place for discarded results.
    pub x: [u64; 34],
    /// V0..V31.
    pub v: [u128; 32],
    /// Floating-point control register.
    pub fpcr: u32,
    /// Floating-point status register.
    pub fpsr: u32,
    /// N, Z, C, V in bits 31:28. Current only where the instruction's row says so.
    pub nzcv: u32,
}

impl Cpu {
    /// Reads general register `n`, where 31 is XZR.
    #[inline(always)]
    #[must_use]
    pub fn reg(&self, n: usize) -> u64 {
        self.x[if n == 31 { XZR } else { n }]
    }

    /// Writes general register `n`, where 31 is XZR.
    #[inline(always)]
    pub fn set_reg(&mut self, n: usize, value: u64) {
        self.x[if n == 31 { DISCARD } else { n }] = value;
    }

    /// Loads from virtual address `va` at the current privilege; any alignment, T little-endian.
    pub fn load<T>(&mut self, _va: u64) -> Result<T, Trap> {
        Err(Trap::Undefined)
    }

    /// Stores to virtual address `va` at the current privilege; any alignment.
    pub fn store<T>(&mut self, _va: u64, _value: T) -> Result<(), Trap> {
        Err(Trap::Undefined)
    }
}
