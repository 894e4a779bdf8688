//! Reciprocal and reciprocal square root: estimates, Newton-Raphson steps, and the exponent reciprocal.

use super::arith::{Exact, cancelled};
use super::format::{Class, Unpacked, infinity, neg, unpack, zero};
use super::nan::{invalid, process, select};
use super::{DZC, Env, Format, IXC, OFC, Round, UFC};

/// `RecipEstimate`: a 9-bit estimate of 2^17 / `a`, for `a` in 256..512.
const fn recip_estimate(a: u32) -> u32 {
    ((1 << 19) / (a * 2 + 1)).div_ceil(2)
}

/// `RecipSqrtEstimate`, for `a` in 128..512.
const fn recip_sqrt_estimate(a: u32) -> u32 {
    let a = if a < 256 { a * 2 + 1 } else { ((a >> 1 << 1) + 1) * 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// [`recip_sqrt_estimate`] of 128 and up.
static RECIP_SQRT: [u16; 384] = {
    let mut table = [0; 384];
    let mut a = 0;
    while a < 384 {
        table[a] = recip_sqrt_estimate(a as u32 + 128) as u16;
        a += 1;
    }
    table
};

/// The fraction of `x`, at the top of 52 bits as in double precision.
fn fraction52<F: Format>(x: u64) -> u64 {
    (x & (F::MIN_NORMAL - 1)) << (52 - F::FRAC)
}

/// Puts a result together from a 52-bit fraction.
fn assemble<F: Format>(sign: bool, biased: i32, fraction52: u64) -> u64 {
    zero::<F>(sign) | (biased as u64) << F::FRAC | fraction52 >> (52 - F::FRAC)
}

const MASK52: u64 = (1 << 52) - 1;

/// `FPRecipEstimate`.
pub(crate) fn recip<F: Format>(e: &mut Env, x: u64) -> u64 {
    let u = unpack::<F>(e, x);
    match u.class {
        Class::Quiet | Class::Signalling => return process::<F>(e, u.class, x),
        Class::Infinite => return zero::<F>(u.sign),
        Class::Zero => {
            e.raise(DZC);
            return infinity::<F>(u.sign);
        }
        Class::Finite => {}
    }
    let magnitude = x & !F::SIGN;
    // Below 2^-128 or 2^-1024, that is a quarter of the smallest normal number, the result overflows.
    if magnitude < F::MIN_NORMAL / 4 {
        e.raise(OFC | IXC);
        let infinite = match e.rounding() {
            Round::PosInf => !u.sign,
            Round::NegInf => u.sign,
            Round::Zero => false,
            _ => true,
        };
        return if infinite { infinity::<F>(u.sign) } else { zero::<F>(u.sign) | F::MAX_NORMAL };
    }
    let mut biased = (magnitude >> F::FRAC) as i32;
    // From 2^126 or 2^1022 on the result is denormal.
    if e.flush() && biased >= 2 * F::BIAS - 1 {
        e.raise(UFC);
        return zero::<F>(u.sign);
    }
    let mut fraction = fraction52::<F>(x);
    if biased == 0 {
        if fraction >> 51 == 0 {
            biased = -1;
            fraction = fraction << 2 & MASK52;
        } else {
            fraction = fraction << 1 & MASK52;
        }
    }
    let estimate = recip_estimate(256 | (fraction >> 44) as u32);
    let mut fraction = u64::from(estimate & 0xff) << 44;
    let mut exponent = 2 * F::BIAS - 1 - biased;
    if exponent == 0 {
        fraction = 1 << 51 | fraction >> 1;
    } else if exponent == -1 {
        fraction = 1 << 50 | fraction >> 2;
        exponent = 0;
    }
    assemble::<F>(u.sign, exponent, fraction)
}

/// `FPRSqrtEstimate`.
pub(crate) fn recip_sqrt<F: Format>(e: &mut Env, x: u64) -> u64 {
    let u = unpack::<F>(e, x);
    match u.class {
        Class::Quiet | Class::Signalling => return process::<F>(e, u.class, x),
        Class::Zero => {
            e.raise(DZC);
            return infinity::<F>(u.sign);
        }
        _ if u.sign => return invalid::<F>(e),
        Class::Infinite => return 0,
        Class::Finite => {}
    }
    let mut biased = (x >> F::FRAC) as i32;
    let mut fraction = fraction52::<F>(x);
    if biased == 0 {
        let shift = fraction.leading_zeros() as i32 - 11;
        biased = 1 - shift;
        fraction = fraction << shift & MASK52;
    }
    let scaled = if biased & 1 == 0 { 256 | fraction >> 44 } else { 128 | fraction >> 45 };
    let estimate = u64::from(RECIP_SQRT[scaled as usize - 128]);
    assemble::<F>(false, (3 * F::BIAS - 1 - biased) / 2, (estimate & 0xff) << 44)
}

/// `UnsignedRecipEstimate`.
pub(crate) fn unsigned_recip(x: u32) -> u32 {
    if x >> 31 == 0 { u32::MAX } else { recip_estimate(x >> 23) << 23 }
}

/// `UnsignedRSqrtEstimate`.
pub(crate) fn unsigned_recip_sqrt(x: u32) -> u32 {
    if x >> 30 == 0 { u32::MAX } else { u32::from(RECIP_SQRT[(x >> 23) as usize - 128]) << 23 }
}

/// `FPRecpX`: the exponent inverted, the fraction zero.
pub(crate) fn recip_exponent<F: Format>(e: &mut Env, x: u64) -> u64 {
    let u = unpack::<F>(e, x);
    if u.nan() {
        return process::<F>(e, u.class, x);
    }
    let exponent = x & F::INF;
    let inverted = if exponent == 0 { F::INF - F::MIN_NORMAL } else { F::INF ^ exponent };
    zero::<F>(u.sign) | inverted
}

/// `constant - a * b`, then halved if `halve`, rounded once; of the two steps, an infinity times zero gives
/// `constant`.
fn step<F: Format>(e: &mut Env, a: u64, b: u64, constant: u64, halve: bool) -> u64 {
    let a = neg::<F>(a);
    let (ua, ub) = (unpack::<F>(e, a), unpack::<F>(e, b));
    if let Some(nan) = select::<F, 2>(e, [(ua, a), (ub, b)]) {
        return nan;
    }
    let constant = Unpacked { class: Class::Finite, sign: false, exp: 0, sig: constant };
    let half = i32::from(halve);
    let scaled = |mut x: Exact| {
        x.exp -= half;
        x
    };
    if (ua.infinite() || ub.infinite()) && !ua.zero() && !ub.zero() {
        infinity::<F>(ua.sign != ub.sign)
    } else if ua.zero() || ub.zero() {
        scaled(Exact::of(&constant)).pack::<F>(e)
    } else {
        match Exact::product(&ua, &ub).sum(Exact::of(&constant)) {
            Some(sum) => scaled(sum).pack::<F>(e),
            None => cancelled::<F>(e),
        }
    }
}

/// `FPRecipStepFused`: 2 - `a` * `b`.
pub(crate) fn recip_step<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    step::<F>(e, a, b, 2, false)
}

/// `FPRSqrtStepFused`: (3 - `a` * `b`) / 2.
pub(crate) fn recip_sqrt_step<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    step::<F>(e, a, b, 3, true)
}
