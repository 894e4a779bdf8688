//! Elements inside 64-bit halves of a register.

/// The bits of one element.
#[inline(always)]
pub(super) const fn mask<const E: u32>() -> u64 {
    u64::MAX >> (64 - E)
}

/// The lowest `E` bits as a signed number.
#[inline(always)]
pub(super) const fn sx<const E: u32>(x: u64) -> i64 {
    (x << (64 - E)) as i64 >> (64 - E)
}

/// A register as its lower and upper half.
#[inline(always)]
pub(super) fn halves(v: u128) -> [u64; 2] {
    [v as u64, (v >> 64) as u64]
}

/// A register from its halves.
#[inline(always)]
pub(super) fn join([lo, hi]: [u64; 2]) -> u128 {
    u128::from(lo) | u128::from(hi) << 64
}

/// Element `index` of a register.
#[inline(always)]
pub(super) fn lane<const E: u32>(v: u128, index: usize) -> u64 {
    (v >> (index as u32 * E)) as u64 & mask::<E>()
}

/// Replaces element `index` of a register by the lowest bits of `x`.
#[inline(always)]
pub(super) fn set_lane<const E: u32>(v: u128, index: usize, x: u64) -> u128 {
    let at = index as u32 * E;
    v & !(u128::from(mask::<E>()) << at) | u128::from(x & mask::<E>()) << at
}

/// A half filled with copies of an element.
#[inline(always)]
pub(super) fn splat<const E: u32>(x: u64) -> u64 {
    (x & mask::<E>()).wrapping_mul(u64::MAX / mask::<E>())
}

/// Applies `f` to the elements of three halves.
#[inline(always)]
pub(super) fn map<const E: u32>(d: u64, n: u64, m: u64, mut f: impl FnMut(u64, u64, u64) -> u64) -> u64 {
    let mut r = 0;
    let mut at = 0;
    while at < 64 {
        let x = f(d >> at & mask::<E>(), n >> at & mask::<E>(), m >> at & mask::<E>());
        r |= (x & mask::<E>()) << at;
        at += E;
    }
    r
}
