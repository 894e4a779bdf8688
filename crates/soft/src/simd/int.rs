//! Lane functions of integers: arithmetic, comparison, bits. `E` is the element's width.

use super::lanes::{mask, sx};
use crate::fp::estimate;

/// Limits `x` to a signed element.
#[inline(always)]
pub(super) fn ssat<const E: u32>(x: i128, q: &mut bool) -> u64 {
    let max = i128::from(mask::<E>() >> 1);
    let r = x.clamp(-max - 1, max);
    *q |= r != x;
    r as u64
}

/// Limits `x` to an unsigned element.
#[inline(always)]
pub(super) fn usat<const E: u32>(x: i128, q: &mut bool) -> u64 {
    let r = x.clamp(0, mask::<E>().into());
    *q |= r != x;
    r as u64
}

#[inline(always)]
fn wide_sx<const E: u32>(x: u64) -> i128 {
    sx::<E>(x).into()
}

#[inline(always)]
fn all_ones(condition: bool) -> u64 {
    if condition { u64::MAX } else { 0 }
}

/// Lane functions `name(arguments) = result;`, generic in the width `E`.
macro_rules! lanes {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),* $(; $q:ident)?) = $body:expr;)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name<const E: u32>($($arg: u64,)* $($q: &mut bool)?) -> u64 {
            $body
        })*
    };
}
pub(super) use lanes;

lanes! {
    /// ADD
    add(n, m) = n.wrapping_add(m);
    /// SUB
    sub(n, m) = n.wrapping_sub(m);
    /// NEG
    neg(n) = n.wrapping_neg();
    /// ABS
    abs(n) = sx::<E>(n).wrapping_abs() as u64;
    /// MUL
    mul(n, m) = n.wrapping_mul(m);
    /// MLA
    mla(d, n, m) = d.wrapping_add(n.wrapping_mul(m));
    /// MLS
    mls(d, n, m) = d.wrapping_sub(n.wrapping_mul(m));
    /// SHADD
    shadd(n, m) = ((wide_sx::<E>(n) + wide_sx::<E>(m)) >> 1) as u64;
    /// UHADD
    uhadd(n, m) = ((u128::from(n) + u128::from(m)) >> 1) as u64;
    /// SRHADD
    srhadd(n, m) = ((wide_sx::<E>(n) + wide_sx::<E>(m) + 1) >> 1) as u64;
    /// URHADD
    urhadd(n, m) = ((u128::from(n) + u128::from(m) + 1) >> 1) as u64;
    /// SHSUB
    shsub(n, m) = ((wide_sx::<E>(n) - wide_sx::<E>(m)) >> 1) as u64;
    /// UHSUB
    uhsub(n, m) = ((i128::from(n) - i128::from(m)) >> 1) as u64;
    /// SQADD
    sqadd(n, m; q) = ssat::<E>(wide_sx::<E>(n) + wide_sx::<E>(m), q);
    /// UQADD
    uqadd(n, m; q) = usat::<E>(i128::from(n) + i128::from(m), q);
    /// SQSUB
    sqsub(n, m; q) = ssat::<E>(wide_sx::<E>(n) - wide_sx::<E>(m), q);
    /// UQSUB
    uqsub(n, m; q) = usat::<E>(i128::from(n) - i128::from(m), q);
    /// SUQADD
    suqadd(d, n; q) = ssat::<E>(wide_sx::<E>(d) + i128::from(n), q);
    /// USQADD
    usqadd(d, n; q) = usat::<E>(i128::from(d) + wide_sx::<E>(n), q);
    /// SQABS
    sqabs(n; q) = ssat::<E>(wide_sx::<E>(n).abs(), q);
    /// SQNEG
    sqneg(n; q) = ssat::<E>(-wide_sx::<E>(n), q);
    /// SMAX
    smax(n, m) = sx::<E>(n).max(sx::<E>(m)) as u64;
    /// SMIN
    smin(n, m) = sx::<E>(n).min(sx::<E>(m)) as u64;
    /// UMAX
    umax(n, m) = n.max(m);
    /// UMIN
    umin(n, m) = n.min(m);
    /// SABD
    sabd(n, m) = sx::<E>(n).abs_diff(sx::<E>(m));
    /// UABD
    uabd(n, m) = n.abs_diff(m);
    /// SABA
    saba(d, n, m) = d.wrapping_add(sabd::<E>(n, m));
    /// UABA
    uaba(d, n, m) = d.wrapping_add(n.abs_diff(m));
    /// CMGT (register)
    cmgt(n, m) = all_ones(sx::<E>(n) > sx::<E>(m));
    /// CMGE (register)
    cmge(n, m) = all_ones(sx::<E>(n) >= sx::<E>(m));
    /// CMHI
    cmhi(n, m) = all_ones(n > m);
    /// CMHS
    cmhs(n, m) = all_ones(n >= m);
    /// CMEQ (register)
    cmeq(n, m) = all_ones(n == m);
    /// CMTST
    cmtst(n, m) = all_ones(n & m != 0);
    /// CMGT (zero)
    cmgt0(n) = all_ones(sx::<E>(n) > 0);
    /// CMGE (zero)
    cmge0(n) = all_ones(sx::<E>(n) >= 0);
    /// CMEQ (zero)
    cmeq0(n) = all_ones(n == 0);
    /// CMLE (zero)
    cmle0(n) = all_ones(sx::<E>(n) <= 0);
    /// CMLT (zero)
    cmlt0(n) = all_ones(sx::<E>(n) < 0);
    /// SQDMULH
    sqdmulh(n, m; q) = ssat::<E>((2 * wide_sx::<E>(n) * wide_sx::<E>(m)) >> E, q);
    /// SQRDMULH
    sqrdmulh(n, m; q) = ssat::<E>((2 * wide_sx::<E>(n) * wide_sx::<E>(m) + (1 << (E - 1))) >> E, q);
    /// SQRDMLAH
    sqrdmlah(d, n, m; q) = {
        let sum = (wide_sx::<E>(d) << E) + 2 * wide_sx::<E>(n) * wide_sx::<E>(m);
        ssat::<E>((sum + (1 << (E - 1))) >> E, q)
    };
    /// SQRDMLSH
    sqrdmlsh(d, n, m; q) = {
        let difference = (wide_sx::<E>(d) << E) - 2 * wide_sx::<E>(n) * wide_sx::<E>(m);
        ssat::<E>((difference + (1 << (E - 1))) >> E, q)
    };
    /// PMUL: multiplication of polynomials over {0, 1}
    pmul(n, m) = (0..8).fold(0, |r, k| if m >> k & 1 != 0 { r ^ n << k } else { r });
    /// CLS
    cls(n) = ((sx::<E>(n) ^ sx::<E>(n) >> 1) as u64 & mask::<E>()).leading_zeros() as u64 - (64 - E) as u64 - 1;
    /// CLZ
    clz(n) = n.leading_zeros() as u64 - (64 - E) as u64;
    /// CNT, for all bytes of a half at once
    cnt(n) = {
        let pairs = n - (n >> 1 & 0x5555_5555_5555_5555);
        let fours = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
        (fours + (fours >> 4)) & 0x0f0f_0f0f_0f0f_0f0f
    };
    /// NOT
    not(n) = !n;
    /// RBIT
    rbit(n) = n.reverse_bits() >> (64 - E);
    /// SADDLP: the sum of two neighbours of `E` bits
    saddlp(n) = (sx::<E>(n) + sx::<E>(n >> E)) as u64;
    /// UADDLP
    uaddlp(n) = (n & mask::<E>()) + (n >> E);
    /// SADALP
    sadalp(d, n) = d.wrapping_add(saddlp::<E>(n));
    /// UADALP
    uadalp(d, n) = d.wrapping_add(uaddlp::<E>(n));
    /// URECPE
    urecpe(n) = estimate::unsigned_recip(n as u32).into();
    /// URSQRTE
    ursqrte(n) = estimate::unsigned_recip_sqrt(n as u32).into();
    /// Sign-extended, for folding across lanes
    signed(n) = sx::<E>(n) as u64;
    /// Zero-extended, for folding across lanes
    unsigned(n) = n;
}
