//! Conversions between formats, to and from integers and fixed point, and rounding to integral values.

use super::format::{Class, infinity, unpack, zero};
use super::nan::process;
use super::round::{pack, shift_round};
use super::{Env, Format, IOC, IXC, Round};

/// `FPConvert`: from format `S` to format `D`.
pub(crate) fn convert<S: Format, D: Format>(e: &mut Env, x: u64, round: Round) -> u64 {
    let u = unpack::<S>(e, x);
    let alternative = D::BITS == 16 && e.alternative_half();
    match u.class {
        Class::Quiet | Class::Signalling => {
            if alternative || u.class == Class::Signalling {
                e.raise(IOC);
            }
            if alternative {
                zero::<D>(u.sign)
            } else if e.default_nan() {
                D::DEFAULT_NAN
            } else {
                // The fraction keeps its top bits.
                let frac = (x << (64 - S::FRAC)) >> (64 - D::FRAC);
                infinity::<D>(u.sign) | D::QUIET | frac
            }
        }
        Class::Infinite if alternative => {
            e.raise(IOC);
            zero::<D>(u.sign) | (D::SIGN - 1)
        }
        Class::Infinite => infinity::<D>(u.sign),
        Class::Zero => zero::<D>(u.sign),
        Class::Finite => pack::<D>(e, u.sign, u.exp, u.sig.into(), round),
    }
}

/// An integer type as the target of a conversion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Int {
    /// 32 or 64.
    pub(crate) bits: u32,
    /// Without a sign.
    pub(crate) unsigned: bool,
}

/// `FPToFixed`: `x` * 2^`fbits` as an integer, saturated.
#[inline]
pub(crate) fn to_fixed<F: Format>(e: &mut Env, x: u64, fbits: u32, int: Int, round: Round) -> u64 {
    let u = unpack::<F>(e, x);
    let (min, max) = if int.unsigned {
        (0, (1i128 << int.bits) - 1)
    } else {
        (-(1i128 << (int.bits - 1)), (1i128 << (int.bits - 1)) - 1)
    };
    let exp = u.exp + fbits as i32;
    let (value, inexact) = match u.class {
        Class::Quiet | Class::Signalling => {
            e.raise(IOC);
            return 0;
        }
        Class::Zero => return 0,
        // At 2^66 and beyond every target is saturated.
        Class::Infinite => (1 << 66, false),
        Class::Finite if exp > 66 => (1 << 66, false),
        Class::Finite if exp >= 0 => (i128::from(u.sig) << exp.min(66), false),
        Class::Finite => {
            let (integer, inexact) = shift_round(u.sig.into(), exp.unsigned_abs(), u.sign, round);
            (integer as i128, inexact)
        }
    };
    let value = if u.sign { -value } else { value };
    if value < min || value > max {
        e.raise(IOC);
    } else if inexact {
        e.raise(IXC);
    }
    value.clamp(min, max) as u64 & (u64::MAX >> (64 - int.bits))
}

/// `FixedToFP`: the integer `value`, of 32 or 64 bits, divided by 2^`fbits`.
#[inline]
pub(crate) fn from_fixed<F: Format>(e: &mut Env, value: u64, fbits: u32, int: Int, round: Round) -> u64 {
    let unused = 64 - int.bits;
    let (sign, magnitude) = if int.unsigned {
        (false, value << unused >> unused)
    } else {
        let value = (value << unused) as i64 >> unused;
        (value < 0, value.unsigned_abs())
    };
    if magnitude == 0 {
        return 0;
    }
    if magnitude < F::MIN_NORMAL << 1 {
        // All bits fit, and the smallest result, 2^-64, is normal.
        let top = magnitude.ilog2();
        let biased = (top as i32 - fbits as i32 + F::BIAS) as u64;
        let frac = magnitude << (F::FRAC - top) & (F::MIN_NORMAL - 1);
        return zero::<F>(sign) | biased << F::FRAC | frac;
    }
    pack::<F>(e, sign, -(fbits as i32), magnitude.into(), round)
}

/// `FPRoundInt`: to an integral value in the same format; `exact` raises the inexact flag where that changes it.
#[inline]
pub(crate) fn round_int<F: Format>(e: &mut Env, x: u64, round: Round, exact: bool) -> u64 {
    let u = unpack::<F>(e, x);
    match u.class {
        Class::Quiet | Class::Signalling => process::<F>(e, u.class, x),
        Class::Zero => zero::<F>(u.sign),
        Class::Infinite => x,
        Class::Finite if u.exp >= 0 => x,
        Class::Finite => {
            let (integer, inexact) = shift_round(u.sig.into(), u.exp.unsigned_abs(), u.sign, round);
            if inexact && exact {
                e.raise(IXC);
            }
            if integer == 0 { zero::<F>(u.sign) } else { pack::<F>(e, u.sign, 0, integer, Round::TieEven) }
        }
    }
}
