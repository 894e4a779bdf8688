//! Comparisons.

use super::arith::order;
use super::format::{Class, abs, unpack};
use super::{Env, Format, IOC};
use std::cmp::Ordering;

/// The order of two numbers; `None` if one is a NaN, which is invalid if it is signalling or `signal_all`.
#[inline]
fn ordering<F: Format>(e: &mut Env, a: u64, b: u64, signal_all: bool) -> Option<Ordering> {
    let (ua, ub) = (unpack::<F>(e, a), unpack::<F>(e, b));
    if ua.nan() || ub.nan() {
        if signal_all || ua.class == Class::Signalling || ub.class == Class::Signalling {
            e.raise(IOC);
        }
        return None;
    }
    Some(order::<F>(&ua, a).cmp(&order::<F>(&ub, b)))
}

/// `FPCompare`: the flags N, Z, C, V in bits 31:28.
#[inline]
pub(crate) fn flags<F: Format>(e: &mut Env, a: u64, b: u64, signal_all: bool) -> u32 {
    let nzcv = match ordering::<F>(e, a, b, signal_all) {
        None => 0b0011,
        Some(Ordering::Equal) => 0b0110,
        Some(Ordering::Less) => 0b1000,
        Some(Ordering::Greater) => 0b0010,
    };
    nzcv << 28
}

#[inline(always)]
fn all_ones(condition: bool) -> u64 {
    if condition { u64::MAX } else { 0 }
}

/// `FPCompareEQ` as a mask.
#[inline]
pub(crate) fn eq<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    all_ones(ordering::<F>(e, a, b, false) == Some(Ordering::Equal))
}

/// `FPCompareGE` as a mask.
#[inline]
pub(crate) fn ge<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    all_ones(matches!(ordering::<F>(e, a, b, true), Some(Ordering::Greater | Ordering::Equal)))
}

/// `FPCompareGT` as a mask.
#[inline]
pub(crate) fn gt<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    all_ones(ordering::<F>(e, a, b, true) == Some(Ordering::Greater))
}

/// [`ge`] of the magnitudes.
#[inline]
pub(crate) fn abs_ge<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    ge::<F>(e, abs::<F>(a), abs::<F>(b))
}

/// [`gt`] of the magnitudes.
#[inline]
pub(crate) fn abs_gt<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    gt::<F>(e, abs::<F>(a), abs::<F>(b))
}

/// Equal to zero.
#[inline]
pub(crate) fn eq0<F: Format>(e: &mut Env, a: u64) -> u64 {
    eq::<F>(e, a, 0)
}

/// Zero or more.
#[inline]
pub(crate) fn ge0<F: Format>(e: &mut Env, a: u64) -> u64 {
    ge::<F>(e, a, 0)
}

/// More than zero.
#[inline]
pub(crate) fn gt0<F: Format>(e: &mut Env, a: u64) -> u64 {
    gt::<F>(e, a, 0)
}

/// Zero or less.
#[inline]
pub(crate) fn le0<F: Format>(e: &mut Env, a: u64) -> u64 {
    ge::<F>(e, 0, a)
}

/// Less than zero.
#[inline]
pub(crate) fn lt0<F: Format>(e: &mut Env, a: u64) -> u64 {
    gt::<F>(e, 0, a)
}
