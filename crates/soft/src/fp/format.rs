//! The three formats, and taking values apart (`FPUnpack`).

use super::{Env, IDC};

/// A binary floating-point format, with its constants.
pub(crate) trait Format: Copy + 'static {
    /// Width of the format.
    const BITS: u32;
    /// Width of the fraction.
    const FRAC: u32;

    /// The exponent's greatest value, which marks infinities and NaNs.
    const EXP_MAX: u64 = (1 << (Self::BITS - 1 - Self::FRAC)) - 1;
    /// What the exponent field adds to the exponent.
    const BIAS: i32 = (Self::EXP_MAX >> 1) as i32;
    /// Exponent of the smallest normal number.
    const EXP_MIN: i32 = 1 - Self::BIAS;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::BITS - 1);
    /// Positive infinity, which is also the exponent's mask.
    const INF: u64 = Self::EXP_MAX << Self::FRAC;
    /// The greatest finite number.
    const MAX_NORMAL: u64 = Self::INF - 1;
    /// The smallest normal number, whose only bit is also a significand's hidden one.
    const MIN_NORMAL: u64 = 1 << Self::FRAC;
    /// The top bit of the fraction: set in a quiet NaN.
    const QUIET: u64 = 1 << (Self::FRAC - 1);
    /// The default NaN.
    const DEFAULT_NAN: u64 = Self::INF | Self::QUIET;
}

/// Half precision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half;
/// Single precision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Single;
/// Double precision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Double;

impl Format for Half {
    const BITS: u32 = 16;
    const FRAC: u32 = 10;
}

impl Format for Single {
    const BITS: u32 = 32;
    const FRAC: u32 = 23;
}

impl Format for Double {
    const BITS: u32 = 64;
    const FRAC: u32 = 52;
}

/// `sign`ed zero.
#[inline(always)]
pub(super) fn zero<F: Format>(sign: bool) -> u64 {
    if sign { F::SIGN } else { 0 }
}

/// `sign`ed infinity.
#[inline(always)]
pub(super) fn infinity<F: Format>(sign: bool) -> u64 {
    zero::<F>(sign) | F::INF
}

/// Turns the sign of `x`, also of a NaN (`FPNeg`).
#[inline(always)]
pub(crate) fn neg<F: Format>(x: u64) -> u64 {
    x ^ F::SIGN
}

/// Clears the sign of `x`, also of a NaN (`FPAbs`).
#[inline(always)]
pub(crate) fn abs<F: Format>(x: u64) -> u64 {
    x & !F::SIGN
}

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Zero,
    Finite,
    Infinite,
    Quiet,
    Signalling,
}

/// A number taken apart; `Finite` ones are `sig` * 2^`exp` and not zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacked {
    pub(super) class: Class,
    pub(super) sign: bool,
    pub(super) exp: i32,
    pub(super) sig: u64,
}

impl Unpacked {
    /// Whether it is a NaN of either kind.
    #[inline(always)]
    pub(super) fn nan(&self) -> bool {
        matches!(self.class, Class::Quiet | Class::Signalling)
    }

    /// Whether it is an infinity.
    #[inline(always)]
    pub(super) fn infinite(&self) -> bool {
        self.class == Class::Infinite
    }

    /// Whether it is a zero.
    #[inline(always)]
    pub(super) fn zero(&self) -> bool {
        self.class == Class::Zero
    }
}

/// `FPUnpack` and, for half precision, `FPUnpackCV`: half-precision inputs come only from conversions here, which
/// never flush them.
#[inline]
pub(super) fn unpack<F: Format>(e: &mut Env, bits: u64) -> Unpacked {
    let sign = bits & F::SIGN != 0;
    let biased = (bits >> F::FRAC) & F::EXP_MAX;
    let frac = bits & (F::MIN_NORMAL - 1);
    let half = F::BITS == 16;
    let (class, exp, sig) = if biased == 0 {
        if frac == 0 {
            (Class::Zero, 0, 0)
        } else if e.flush() && !half {
            e.raise(IDC);
            (Class::Zero, 0, 0)
        } else {
            (Class::Finite, F::EXP_MIN, frac)
        }
    } else if biased == F::EXP_MAX && !(half && e.alternative_half()) {
        if frac == 0 {
            (Class::Infinite, 0, 0)
        } else if frac & F::QUIET != 0 {
            (Class::Quiet, 0, 0)
        } else {
            (Class::Signalling, 0, 0)
        }
    } else {
        (Class::Finite, biased as i32 - F::BIAS, frac | F::MIN_NORMAL)
    };
    Unpacked { class, sign, exp: exp - F::FRAC as i32, sig }
}
