//! Floating point as DDI 0487 defines it (shared pseudocode, `shared/functions/float`): bit-exact results, cumulative
//! exception flags, every rounding mode, flush-to-zero, default NaN and the alternative half-precision format.
//!
//! Values travel as raw bits in a `u64`, whatever their [`Format`]. Each operation has one general form on integers;
//! those of [`arith`] try the host's arithmetic first where its result is provably the same (see [`fast`]).

pub(crate) mod arith;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod estimate;
mod fast;
mod format;
mod nan;
mod round;

pub(crate) use fast::Host;
pub(crate) use format::{Double, Format, Half, Single, abs, neg};

/// `FPSR.IOC`: invalid operation.
pub(crate) const IOC: u32 = 1 << 0;
/// `FPSR.DZC`: division by zero.
pub(crate) const DZC: u32 = 1 << 1;
/// `FPSR.OFC`: overflow.
pub(crate) const OFC: u32 = 1 << 2;
/// `FPSR.UFC`: underflow.
pub(crate) const UFC: u32 = 1 << 3;
/// `FPSR.IXC`: inexact.
pub(crate) const IXC: u32 = 1 << 4;
/// `FPSR.IDC`: a denormal input was flushed to zero.
pub(crate) const IDC: u32 = 1 << 7;
/// `FPSR.QC`: an integer saturated.
pub(crate) const QC: u32 = 1 << 27;

/// `FPCR.FZ`.
const FZ: u32 = 1 << 24;
/// `FPCR.DN`.
const DN: u32 = 1 << 25;
/// `FPCR.AHP`.
const AHP: u32 = 1 << 26;

/// A rounding mode: the four of `FPCR.RMode`, and two which only single instructions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// To nearest, ties to even.
    TieEven,
    /// Towards plus infinity.
    PosInf,
    /// Towards minus infinity.
    NegInf,
    /// Towards zero.
    Zero,
    /// To nearest, ties away from zero.
    TieAway,
    /// To odd: an inexact result gets an odd significand, so that a second rounding is harmless.
    Odd,
}

impl Round {
    /// The mode with this number in `FPCR.RMode` and in the `rmode` fields of instructions.
    #[inline(always)]
    pub(crate) fn from_rmode(rmode: u32) -> Self {
        match rmode & 3 {
            0 => Self::TieEven,
            1 => Self::PosInf,
            2 => Self::NegInf,
            _ => Self::Zero,
        }
    }
}

/// What an operation needs of its CPU: the control register, and the status register which collects flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Env {
    fpcr: u32,
    /// `FPSR`; flags are only ever added.
    pub(crate) fpsr: u32,
}

impl Env {
    /// An environment with these `FPCR` and `FPSR`.
    #[inline(always)]
    pub(crate) fn new(fpcr: u32, fpsr: u32) -> Self {
        Self { fpcr, fpsr }
    }

    /// Records an exception flag.
    #[inline(always)]
    pub(crate) fn raise(&mut self, flag: u32) {
        self.fpsr |= flag;
    }

    /// `FPCR.RMode`.
    #[inline(always)]
    pub(crate) fn rounding(&self) -> Round {
        Round::from_rmode(self.fpcr >> 22)
    }

    /// `FPCR.FZ`: denormal inputs and results of single and double precision become zero.
    #[inline(always)]
    fn flush(&self) -> bool {
        self.fpcr & FZ != 0
    }

    /// `FPCR.DN`: every NaN result is the default NaN.
    #[inline(always)]
    fn default_nan(&self) -> bool {
        self.fpcr & DN != 0
    }

    /// `FPCR.AHP`: half precision has no infinities and NaNs.
    #[inline(always)]
    fn alternative_half(&self) -> bool {
        self.fpcr & AHP != 0
    }
}
