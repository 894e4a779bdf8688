//! The bits of PSTATE as `SPSR_EL1` saves them (DDI 0487, C5.2.18).

/// Negative.
pub const N: u64 = 1 << 31;
/// Zero.
pub const Z: u64 = 1 << 30;
/// Carry.
pub const C: u64 = 1 << 29;
/// Overflow.
pub const V: u64 = 1 << 28;
/// All four condition flags.
pub const NZCV: u64 = N | Z | C | V;
/// Tag check override (FEAT_MTE).
pub const TCO: u64 = 1 << 25;
/// Data-independent timing (FEAT_DIT).
pub const DIT: u64 = 1 << 24;
/// User access override (FEAT_UAO).
pub const UAO: u64 = 1 << 23;
/// Privileged access never (FEAT_PAN).
pub const PAN: u64 = 1 << 22;
/// Software step.
pub const SS: u64 = 1 << 21;
/// Illegal execution state.
pub const IL: u64 = 1 << 20;
/// Speculative store bypass safe (FEAT_SSBS).
pub const SSBS: u64 = 1 << 12;
/// Branch type (FEAT_BTI).
pub const BTYPE: u64 = 3 << 10;
/// Debug exceptions masked.
pub const D: u64 = 1 << 9;
/// SError masked.
pub const A: u64 = 1 << 8;
/// IRQ masked.
pub const I: u64 = 1 << 7;
/// FIQ masked.
pub const F: u64 = 1 << 6;
/// All four masks.
pub const DAIF: u64 = D | A | I | F;
/// Execution state: set for AArch32.
pub const NRW: u64 = 1 << 4;
/// The mode field, `M[4:0]`.
pub const MODE: u64 = 0x1f;
/// `M[4:0]`: EL0 with `SP_EL0`.
pub const EL0T: u64 = 0b0000;
/// `M[4:0]`: EL1 with `SP_EL0`.
pub const EL1T: u64 = 0b0100;
/// `M[4:0]`: EL1 with `SP_EL1`.
pub const EL1H: u64 = 0b0101;
