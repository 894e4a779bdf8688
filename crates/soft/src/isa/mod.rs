//! The instruction set as one table: every instruction with its bit pattern and its implementation.
//!
//! The decoder, the list for coverage and the generator of the differential test are all made from [`TABLES`].
//! Names and fields are those of the Arm Architecture Reference Manual (DDI 0487), chapter C4 and C6/C7.

mod crypto;
pub(crate) mod decode;
mod fp;
mod int;
mod mem;
mod pattern;
mod simd;
mod simd_fp;
mod simd_mem;
mod system;

use crate::cpu::Cpu;
use crate::interp::Op;
use crate::trap::Trap;

pub use pattern::{Field, Pattern};

/// An A64 instruction word with accessors for the fields that most instructions share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn(pub u32);

impl Insn {
    /// Bits `lo..lo+len` as an unsigned number.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self, lo: u32, len: u32) -> u32 {
        (self.0 >> lo) & ((1u64 << len) - 1) as u32
    }

    /// Bits `lo..lo+len` as a signed number.
    #[inline(always)]
    #[must_use]
    pub const fn sbits(self, lo: u32, len: u32) -> i64 {
        (((self.0 as i32) << (32 - lo - len)) >> (32 - len)) as i64
    }

    /// Bit `n`.
    #[inline(always)]
    #[must_use]
    pub const fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 != 0
    }

    /// `Rd` or `Rt`, bits 4:0.
    #[inline(always)]
    #[must_use]
    pub const fn rd(self) -> usize {
        self.bits(0, 5) as usize
    }

    /// `Rn`, bits 9:5.
    #[inline(always)]
    #[must_use]
    pub const fn rn(self) -> usize {
        self.bits(5, 5) as usize
    }

    /// `Ra` or `Rt2`, bits 14:10.
    #[inline(always)]
    #[must_use]
    pub const fn ra(self) -> usize {
        self.bits(10, 5) as usize
    }

    /// `Rm` or `Rs`, bits 20:16.
    #[inline(always)]
    #[must_use]
    pub const fn rm(self) -> usize {
        self.bits(16, 5) as usize
    }
}

/// An instruction that the interpreter calls as a function: everything that is not hot enough for a handler of its
/// own. The program counter is [`Cpu::pc`] of this instruction; returning `Ok` goes on with the next one.
pub type Called = fn(&mut Cpu, Insn) -> Result<(), Trap>;

/// Makes the operation of an instruction word at a byte offset of its page; `None` when this encoding of the row is
/// unallocated.
pub(crate) type Lower = fn(Insn, u32) -> Option<Op>;

/// How a row of the table is carried out.
#[derive(Clone, Copy)]
pub enum Exec {
    /// Decoded once into an operation with its own handler. `None`: this encoding of the row is unallocated.
    Lower(Lower),
    /// Called, without the condition flags.
    Call(Called),
    /// Called with [`Cpu::nzcv`] up to date before and taken up after.
    CallFlags(Called),
    /// Called after the check that FP and AdvSIMD registers may be used (`CPACR_EL1.FPEN`).
    CallFp(Called),
    /// `CallFp` and `CallFlags` at once.
    CallFpFlags(Called),
}

/// One row: an instruction or a closely related group.
#[derive(Clone, Copy)]
pub struct Row {
    /// The name of the Arm manual, with a suffix where one mnemonic has several encodings.
    pub name: &'static str,
    /// The encoding.
    pub pattern: Pattern,
    /// The implementation.
    pub exec: Exec,
}

/// Makes a table from lines `NAME "pattern" Kind(function);`.
///
/// A pattern lists the word from bit 31 down: runs of `0` and `1`, and `field:width`. Rows are matched in order of
/// falling specificity (number of fixed bits), so a special case may stand beside the general one.
macro_rules! rows {
    ($($name:ident $pattern:literal $kind:ident($f:expr);)*) => {
        &[$($crate::isa::Row {
            name: stringify!($name),
            pattern: const { $crate::isa::Pattern::parse($pattern) },
            exec: $crate::isa::Exec::$kind($f),
        }),*]
    };
}
pub(crate) use rows;

/// Every table, one for each group of chapter C4.
pub static TABLES: &[&[Row]] =
    &[int::ROWS, mem::ROWS, system::ROWS, fp::ROWS, simd::ROWS, simd_fp::ROWS, simd_mem::ROWS, crypto::ROWS];

/// Every row of every table.
pub fn all_rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().flat_map(|t| t.iter())
}
