//! Addition, multiplication, division, square root, fused multiply-add, minimum and maximum.

use super::format::{Class, Unpacked, abs, infinity, neg, unpack, zero};
use super::nan::{invalid, process, select};
use super::round::pack;
use super::{DZC, Env, Format, Host, Round, fast};

/// An exact value `sig` * 2^`exp`, `sig` with bit 126 as its top bit and a sticky lowest bit.
#[derive(Clone, Copy)]
pub(super) struct Exact {
    pub(super) sign: bool,
    pub(super) exp: i32,
    pub(super) sig: u128,
}

impl Exact {
    /// Brings a significand that is not zero to bit 126.
    #[inline]
    pub(super) fn new(sign: bool, exp: i32, sig: u128) -> Self {
        let shift = sig.leading_zeros() as i32 - 1;
        if shift < 0 {
            // Only a sum's carry gets here.
            return Self { sign, exp: exp + 1, sig: sig >> 1 | sig & 1 };
        }
        Self { sign, exp: exp - shift, sig: sig << shift }
    }

    #[inline]
    pub(super) fn of(u: &Unpacked) -> Self {
        Self::new(u.sign, u.exp, u.sig.into())
    }

    /// The product of two finite numbers.
    #[inline]
    pub(super) fn product(a: &Unpacked, b: &Unpacked) -> Self {
        Self::new(a.sign != b.sign, a.exp + b.exp, u128::from(a.sig) * u128::from(b.sig))
    }

    /// The sum; `None` is an exact zero.
    ///
    /// Where bits are lost into the sticky one, the operands are at least two binary places apart, so that
    /// cancellation leaves the result with far more bits than any format has.
    #[inline]
    pub(super) fn sum(self, other: Self) -> Option<Self> {
        let (big, small) = if (self.exp, self.sig) >= (other.exp, other.sig) { (self, other) } else { (other, self) };
        let distance = (big.exp - small.exp) as u32;
        let aligned = if distance > 126 {
            1
        } else {
            let kept = small.sig >> distance;
            kept | u128::from(kept << distance != small.sig)
        };
        let sig = if big.sign == small.sign { big.sig + aligned } else { big.sig - aligned };
        (sig != 0).then(|| Self::new(big.sign, big.exp, sig))
    }

    /// Rounds into format `F` by `FPCR.RMode`.
    #[inline]
    pub(super) fn pack<F: Format>(self, e: &mut Env) -> u64 {
        let round = e.rounding();
        pack::<F>(e, self.sign, self.exp, self.sig, round)
    }
}

/// The zero that an exact cancellation gives.
#[inline]
pub(super) fn cancelled<F: Format>(e: &Env) -> u64 {
    zero::<F>(e.rounding() == Round::NegInf)
}

/// `FPAdd`.
#[inline]
pub(crate) fn add<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    match fast::add::<F>(e, a, b) {
        Some(r) => r,
        None => add_slow::<F>(e, a, b, 0),
    }
}

/// `FPSub`.
#[inline]
pub(crate) fn sub<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    match fast::add::<F>(e, a, neg::<F>(b)) {
        Some(r) => r,
        None => add_slow::<F>(e, a, b, F::SIGN),
    }
}

/// `a + b`, or `a - b` with `flip` the sign bit: a NaN operand must not be negated.
#[inline(never)]
pub(super) fn add_slow<F: Format>(e: &mut Env, a: u64, b: u64, flip: u64) -> u64 {
    let ua = unpack::<F>(e, a);
    let mut ub = unpack::<F>(e, b);
    if let Some(nan) = select::<F, 2>(e, [(ua, a), (ub, b)]) {
        return nan;
    }
    ub.sign ^= flip != 0;
    match (ua.class, ub.class) {
        (Class::Infinite, Class::Infinite) if ua.sign != ub.sign => invalid::<F>(e),
        (Class::Infinite, _) => infinity::<F>(ua.sign),
        (_, Class::Infinite) => infinity::<F>(ub.sign),
        (Class::Zero, Class::Zero) if ua.sign == ub.sign => zero::<F>(ua.sign),
        (Class::Zero, Class::Zero) => cancelled::<F>(e),
        (Class::Zero, _) => Exact::of(&ub).pack::<F>(e),
        (_, Class::Zero) => Exact::of(&ua).pack::<F>(e),
        _ => match Exact::of(&ua).sum(Exact::of(&ub)) {
            Some(sum) => sum.pack::<F>(e),
            None => cancelled::<F>(e),
        },
    }
}

/// `FPAbs(FPSub)`, of FABD.
#[inline]
pub(crate) fn abd<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    abs::<F>(sub::<F>(e, a, b))
}

/// `FPMul`.
#[inline]
pub(crate) fn mul<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    match fast::mul::<F>(e, a, b) {
        Some(r) => r,
        None => mul_slow::<F>(e, a, b, false),
    }
}

/// `FPMulX`: as [`mul`], but zero times infinity is two.
#[inline]
pub(crate) fn mulx<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    match fast::mul::<F>(e, a, b) {
        Some(r) => r,
        None => mul_slow::<F>(e, a, b, true),
    }
}

/// `FPMul` and then `FPNeg`, of FNMUL.
#[inline]
pub(crate) fn nmul<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    neg::<F>(mul::<F>(e, a, b))
}

#[inline(never)]
pub(super) fn mul_slow<F: Format>(e: &mut Env, a: u64, b: u64, extended: bool) -> u64 {
    let (ua, ub) = (unpack::<F>(e, a), unpack::<F>(e, b));
    if let Some(nan) = select::<F, 2>(e, [(ua, a), (ub, b)]) {
        return nan;
    }
    let sign = ua.sign != ub.sign;
    match (ua.class, ub.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) if extended => {
            zero::<F>(sign) | ((F::BIAS + 1) as u64) << F::FRAC
        }
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => invalid::<F>(e),
        (Class::Infinite, _) | (_, Class::Infinite) => infinity::<F>(sign),
        (Class::Zero, _) | (_, Class::Zero) => zero::<F>(sign),
        _ => Exact::product(&ua, &ub).pack::<F>(e),
    }
}

/// `FPDiv`.
#[inline]
pub(crate) fn div<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    match fast::div::<F>(e, a, b) {
        Some(r) => r,
        None => div_slow::<F>(e, a, b),
    }
}

#[inline(never)]
pub(super) fn div_slow<F: Format>(e: &mut Env, a: u64, b: u64) -> u64 {
    let (ua, ub) = (unpack::<F>(e, a), unpack::<F>(e, b));
    if let Some(nan) = select::<F, 2>(e, [(ua, a), (ub, b)]) {
        return nan;
    }
    let sign = ua.sign != ub.sign;
    match (ua.class, ub.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => invalid::<F>(e),
        (Class::Infinite, _) => infinity::<F>(sign),
        (_, Class::Zero) => {
            e.raise(DZC);
            infinity::<F>(sign)
        }
        (Class::Zero, _) | (_, Class::Infinite) => zero::<F>(sign),
        _ => {
            // Both significands at bit 63: the quotient has 64 or 65 bits.
            let (sa, sb) = (ua.sig.leading_zeros(), ub.sig.leading_zeros());
            let dividend = u128::from(ua.sig << sa) << 64;
            let divisor = u128::from(ub.sig << sb);
            let quotient = dividend / divisor;
            let sticky = u128::from(quotient * divisor != dividend);
            let exp = (ua.exp - sa as i32) - (ub.exp - sb as i32) - 64;
            Exact::new(sign, exp, quotient | sticky).pack::<F>(e)
        }
    }
}

/// `FPSqrt`.
#[inline]
pub(crate) fn sqrt<F: Host>(e: &mut Env, a: u64) -> u64 {
    match fast::sqrt::<F>(e, a) {
        Some(r) => r,
        None => sqrt_slow::<F>(e, a),
    }
}

#[inline(never)]
pub(super) fn sqrt_slow<F: Format>(e: &mut Env, a: u64) -> u64 {
    let u = unpack::<F>(e, a);
    match u.class {
        Class::Quiet | Class::Signalling => process::<F>(e, u.class, a),
        Class::Zero => zero::<F>(u.sign),
        _ if u.sign => invalid::<F>(e),
        Class::Infinite => infinity::<F>(false),
        Class::Finite => {
            // The radicand at bit 126 or 125 with an even exponent: the root has 63 or more bits.
            let x = Exact::of(&u);
            let odd = x.exp & 1;
            let radicand = x.sig >> odd;
            let root = radicand.isqrt();
            let sticky = u128::from(root * root != radicand);
            Exact::new(false, (x.exp + odd) / 2 - 1, root << 1 | sticky).pack::<F>(e)
        }
    }
}

/// `FPMulAdd`: `addend + a * b`, rounded once.
#[inline]
pub(crate) fn mul_add<F: Host>(e: &mut Env, addend: u64, a: u64, b: u64) -> u64 {
    match fast::fma::<F>(e, a, b, addend) {
        Some(r) => r,
        None => mul_add_slow::<F>(e, addend, a, b),
    }
}

/// `addend - a * b` with `a` negated first, which shows in a NaN.
#[inline]
pub(crate) fn mul_sub<F: Host>(e: &mut Env, addend: u64, a: u64, b: u64) -> u64 {
    mul_add::<F>(e, addend, neg::<F>(a), b)
}

#[inline(never)]
pub(super) fn mul_add_slow<F: Format>(e: &mut Env, addend: u64, a: u64, b: u64) -> u64 {
    let (uc, ua, ub) = (unpack::<F>(e, addend), unpack::<F>(e, a), unpack::<F>(e, b));
    let meaningless = ua.infinite() && ub.zero() || ua.zero() && ub.infinite();
    if let Some(nan) = select::<F, 3>(e, [(uc, addend), (ua, a), (ub, b)]) {
        return if uc.class == Class::Quiet && meaningless { invalid::<F>(e) } else { nan };
    }
    let sign = ua.sign != ub.sign;
    let infinite = ua.infinite() || ub.infinite();
    let nothing = ua.zero() || ub.zero();
    if meaningless || uc.infinite() && infinite && uc.sign != sign {
        invalid::<F>(e)
    } else if uc.infinite() {
        infinity::<F>(uc.sign)
    } else if infinite {
        infinity::<F>(sign)
    } else if nothing && uc.zero() {
        if uc.sign == sign { zero::<F>(sign) } else { cancelled::<F>(e) }
    } else if nothing {
        Exact::of(&uc).pack::<F>(e)
    } else if uc.zero() {
        Exact::product(&ua, &ub).pack::<F>(e)
    } else {
        match Exact::product(&ua, &ub).sum(Exact::of(&uc)) {
            Some(sum) => sum.pack::<F>(e),
            None => cancelled::<F>(e),
        }
    }
}

/// Where `x` stands among numbers that are no NaNs; flushed denormals stand at zero.
#[inline(always)]
pub(super) fn order<F: Format>(u: &Unpacked, x: u64) -> i64 {
    let magnitude = if u.zero() { 0 } else { abs::<F>(x) as i64 };
    if u.sign { -magnitude } else { magnitude }
}

/// The lesser or greater of two; of two zeros, the negative one is the lesser.
#[inline]
fn extreme<F: Format>(e: &mut Env, a: u64, b: u64, greater: bool) -> u64 {
    let (ua, ub) = (unpack::<F>(e, a), unpack::<F>(e, b));
    if let Some(nan) = select::<F, 2>(e, [(ua, a), (ub, b)]) {
        return nan;
    }
    if ua.zero() && ub.zero() {
        return zero::<F>(if greater { ua.sign && ub.sign } else { ua.sign || ub.sign });
    }
    let (oa, ob) = (order::<F>(&ua, a), order::<F>(&ub, b));
    let (u, x) = if (oa > ob) == greater { (ua, a) } else { (ub, b) };
    if u.zero() { zero::<F>(u.sign) } else { x }
}

/// `FPMax`.
#[inline]
pub(crate) fn max<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    extreme::<F>(e, a, b, true)
}

/// `FPMin`.
#[inline]
pub(crate) fn min<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    extreme::<F>(e, a, b, false)
}

/// Replaces the only quiet NaN of two operands by `other`, an infinity which loses every comparison.
#[inline]
fn number<F: Format>(a: u64, b: u64, other: u64) -> (u64, u64) {
    let quiet = |x: u64| abs::<F>(x) >= F::DEFAULT_NAN;
    match (quiet(a), quiet(b)) {
        (true, false) => (other, b),
        (false, true) => (a, other),
        _ => (a, b),
    }
}

/// `FPMaxNum`.
#[inline]
pub(crate) fn max_num<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    let (a, b) = number::<F>(a, b, infinity::<F>(true));
    max::<F>(e, a, b)
}

/// `FPMinNum`.
#[inline]
pub(crate) fn min_num<F: Host>(e: &mut Env, a: u64, b: u64) -> u64 {
    let (a, b) = number::<F>(a, b, infinity::<F>(false));
    min::<F>(e, a, b)
}
