//! Arithmetic by the host's own instructions, where the result is provably that of the general form.
//!
//! The host rounds to nearest even. With operands that are zero or normal nothing is flushed on the way in and no NaN
//! is chosen. A finite result above the smallest normal number cannot have been tiny before rounding, so neither
//! flush-to-zero nor underflow comes in, and overflow does not either. What remains is the inexact flag: it is either
//! set already, or the result is shown to be exact.

use super::{Double, Env, Format, IXC, Single};

/// A format that the host computes in.
pub(crate) trait Host: Format {
    /// The host's sum.
    fn add(a: u64, b: u64) -> u64;
    /// The host's product.
    fn mul(a: u64, b: u64) -> u64;
    /// The host's quotient.
    fn div(a: u64, b: u64) -> u64;
    /// The host's square root.
    fn sqrt(a: u64) -> u64;
    /// The host's fused `a * b + c`.
    fn fma(a: u64, b: u64, c: u64) -> u64;
}

macro_rules! host {
    ($format:ident, $float:ident, $bits:ident) => {
        impl Host for $format {
            #[inline(always)]
            fn add(a: u64, b: u64) -> u64 {
                ($float::from_bits(a as $bits) + $float::from_bits(b as $bits)).to_bits().into()
            }
            #[inline(always)]
            fn mul(a: u64, b: u64) -> u64 {
                ($float::from_bits(a as $bits) * $float::from_bits(b as $bits)).to_bits().into()
            }
            #[inline(always)]
            fn div(a: u64, b: u64) -> u64 {
                ($float::from_bits(a as $bits) / $float::from_bits(b as $bits)).to_bits().into()
            }
            #[inline(always)]
            fn sqrt(a: u64) -> u64 {
                $float::from_bits(a as $bits).sqrt().to_bits().into()
            }
            #[inline(always)]
            fn fma(a: u64, b: u64, c: u64) -> u64 {
                let (a, b, c) =
                    ($float::from_bits(a as $bits), $float::from_bits(b as $bits), $float::from_bits(c as $bits));
                a.mul_add(b, c).to_bits().into()
            }
        }
    };
}

host!(Single, f32, u32);
host!(Double, f64, u64);

/// Whether `x` is zero or a normal number.
#[inline(always)]
fn ordinary<F: Format>(x: u64) -> bool {
    let magnitude = x & !F::SIGN;
    magnitude == 0 || (F::MIN_NORMAL..F::INF).contains(&magnitude)
}

/// Whether a result is finite and above the smallest normal number.
#[inline(always)]
fn kept<F: Format>(r: u64) -> bool {
    let magnitude = r & !F::SIGN;
    magnitude > F::MIN_NORMAL && magnitude < F::INF
}

/// Rounding to nearest is on.
#[inline(always)]
fn nearest(e: &Env) -> bool {
    e.fpcr & (3 << 22) == 0
}

#[inline(always)]
fn inexact_set(e: &Env) -> bool {
    e.fpsr & IXC != 0
}

/// Whether the rounded sum `s` of `a` and `b` is exact: Knuth's two-sum gives the rounding error itself.
#[inline(always)]
fn sum_exact<F: Host>(a: u64, b: u64, s: u64) -> bool {
    let neg = |x: u64| x ^ F::SIGN;
    let b1 = F::add(s, neg(a));
    let a1 = F::add(s, neg(b1));
    let error = F::add(F::add(a, neg(a1)), F::add(b, neg(b1)));
    error & !F::SIGN == 0
}

/// Whether a product is exact because the significands are short enough. Both factors are zero or normal.
#[inline(always)]
fn product_exact<F: Format>(a: u64, b: u64) -> bool {
    let spare = |x: u64| (x | F::MIN_NORMAL).trailing_zeros();
    spare(a) + spare(b) > F::FRAC
}

/// `a + b`.
#[inline(always)]
pub(super) fn add<F: Host>(e: &Env, a: u64, b: u64) -> Option<u64> {
    if !(nearest(e) && ordinary::<F>(a) && ordinary::<F>(b)) {
        return None;
    }
    let r = F::add(a, b);
    (kept::<F>(r) && (inexact_set(e) || sum_exact::<F>(a, b, r))).then_some(r)
}

/// `a * b`.
#[inline(always)]
pub(super) fn mul<F: Host>(e: &Env, a: u64, b: u64) -> Option<u64> {
    if !(nearest(e) && ordinary::<F>(a) && ordinary::<F>(b)) {
        return None;
    }
    let r = F::mul(a, b);
    (kept::<F>(r) && (inexact_set(e) || product_exact::<F>(a, b))).then_some(r)
}

/// `a / b`.
#[inline(always)]
pub(super) fn div<F: Host>(e: &Env, a: u64, b: u64) -> Option<u64> {
    if !(nearest(e) && ordinary::<F>(a) && ordinary::<F>(b)) {
        return None;
    }
    let r = F::div(a, b);
    (kept::<F>(r) && (inexact_set(e) || product_exact::<F>(r, b) && F::mul(r, b) == a)).then_some(r)
}

/// The square root of `a`.
#[inline(always)]
pub(super) fn sqrt<F: Host>(e: &Env, a: u64) -> Option<u64> {
    if !(nearest(e) && ordinary::<F>(a)) {
        return None;
    }
    let r = F::sqrt(a);
    (kept::<F>(r) && (inexact_set(e) || product_exact::<F>(r, r) && F::mul(r, r) == a)).then_some(r)
}

/// `a * b + c`, rounded once.
#[inline(always)]
pub(super) fn fma<F: Host>(e: &Env, a: u64, b: u64, c: u64) -> Option<u64> {
    if !(nearest(e) && ordinary::<F>(a) && ordinary::<F>(b) && ordinary::<F>(c)) {
        return None;
    }
    if inexact_set(e) {
        let r = F::fma(a, b, c);
        return kept::<F>(r).then_some(r);
    }
    let p = F::mul(a, b);
    if !(kept::<F>(p) && product_exact::<F>(a, b)) {
        return None;
    }
    let r = F::add(p, c);
    (kept::<F>(r) && sum_exact::<F>(p, c, r)).then_some(r)
}

#[cfg(test)]
mod tests {
    use crate::fp::{Double, Env, IXC, Single, arith};

    use super::Host;

    /// Numbers whose sums, products and quotients are exact, or round, or come near the format's limits.
    fn samples<F: Host>() -> Vec<u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        let mut samples = vec![0, F::SIGN, F::MIN_NORMAL, F::MIN_NORMAL - 1, F::MAX_NORMAL, F::INF, F::DEFAULT_NAN];
        for _ in 0..220 {
            let exponent = match random() % 4 {
                0 => random() % F::EXP_MAX,
                1 => F::EXP_MAX / 2 + random() % 30,
                2 => [1, 2, F::EXP_MAX / 2 - F::EXP_MAX / 4, F::EXP_MAX - 1][random() as usize % 4],
                _ => F::EXP_MAX / 2 + random() % 4,
            };
            let fraction = match random() % 3 {
                0 => (random() % 16) << (F::FRAC - 4),
                1 => random() % 4,
                _ => random(),
            } % F::MIN_NORMAL;
            samples.push((random() % 2 * F::SIGN) | exponent << F::FRAC | fraction);
        }
        samples
    }

    /// Compares an operation with its general form: with the flag set that lets the host be used freely, and without.
    fn same<F: Host>(operation: impl Fn(&mut Env) -> u64, slow: impl Fn(&mut Env) -> u64, what: &str) {
        for before in [0, IXC] {
            let (mut e, mut general) = (Env::new(0, before), Env::new(0, before));
            let (r, expected) = (operation(&mut e), slow(&mut general));
            assert_eq!((r, e.fpsr), (expected, general.fpsr), "{what} of {} bits, FPSR {before:#x}", F::BITS);
        }
    }

    fn all<F: Host>() {
        let samples = samples::<F>();
        for &a in &samples {
            same::<F>(|e| arith::sqrt::<F>(e, a), |e| arith::sqrt_slow::<F>(e, a), &format!("sqrt {a:#x}"));
            for &b in &samples {
                let what = format!("{a:#x} and {b:#x}");
                same::<F>(|e| arith::add::<F>(e, a, b), |e| arith::add_slow::<F>(e, a, b, 0), &what);
                same::<F>(|e| arith::sub::<F>(e, a, b), |e| arith::add_slow::<F>(e, a, b, F::SIGN), &what);
                same::<F>(|e| arith::mul::<F>(e, a, b), |e| arith::mul_slow::<F>(e, a, b, false), &what);
                same::<F>(|e| arith::div::<F>(e, a, b), |e| arith::div_slow::<F>(e, a, b), &what);
                for &c in samples.iter().step_by(17) {
                    let fma = |e: &mut Env| arith::mul_add::<F>(e, c, a, b);
                    same::<F>(fma, |e| arith::mul_add_slow::<F>(e, c, a, b), &format!("{c:#x} + {what}"));
                }
            }
        }
    }

    #[test]
    fn the_host_and_the_general_form_agree_in_single_precision() {
        all::<Single>();
    }

    #[test]
    fn the_host_and_the_general_form_agree_in_double_precision() {
        all::<Double>();
    }
}
