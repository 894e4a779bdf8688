//! Lane functions of shifts, by a register's elements and by an immediate. `E` is the element's width.

use super::int::{lanes, ssat, usat};
use super::lanes::{mask, sx};

/// `n` shifted left by `by` or, if that is negative, right; rounded if `round`. Not cut off above the element.
///
/// Amounts beyond the width are cut down to where nothing changes any more.
#[inline(always)]
fn by_signed<const E: u32>(n: i128, by: i8, round: bool) -> i128 {
    if by >= 0 {
        n << (by as u32).min(E)
    } else {
        let by = u32::from(by.unsigned_abs()).min(E + 1);
        (n + (i128::from(round) << (by - 1))) >> by
    }
}

#[inline(always)]
fn signed<const E: u32>(n: u64, m: u64, round: bool) -> i128 {
    by_signed::<E>(sx::<E>(n).into(), m as i8, round)
}

/// As [`signed`]; what a left shift by 64 pushes out of 128 bits is kept as a bit below, for saturation.
#[inline(always)]
fn unsigned<const E: u32>(n: u64, m: u64, round: bool) -> i128 {
    let by = m as i8;
    if by >= 0 && by as u32 >= E {
        return i128::from(n != 0) << E;
    }
    by_signed::<E>(n.into(), by, round)
}

/// `n`, of twice `E` bits, shifted right by an immediate.
#[inline(always)]
fn right(n: i128, m: u64, round: bool) -> i128 {
    (n + (i128::from(round) << (m - 1))) >> m
}

/// A double-width element, signed.
#[inline(always)]
fn double_sx<const E: u32>(n: u64) -> i128 {
    // E is 32 or less.
    ((n << (64 - 2 * E)) as i64 >> (64 - 2 * E)).into()
}

lanes! {
    /// SSHL
    sshl(n, m) = signed::<E>(n, m, false) as u64;
    /// USHL
    ushl(n, m) = unsigned::<E>(n, m, false) as u64;
    /// SRSHL
    srshl(n, m) = signed::<E>(n, m, true) as u64;
    /// URSHL
    urshl(n, m) = unsigned::<E>(n, m, true) as u64;
    /// SQSHL
    sqshl(n, m; q) = ssat::<E>(signed::<E>(n, m, false), q);
    /// UQSHL
    uqshl(n, m; q) = usat::<E>(unsigned::<E>(n, m, false), q);
    /// SQRSHL
    sqrshl(n, m; q) = ssat::<E>(signed::<E>(n, m, true), q);
    /// UQRSHL
    uqrshl(n, m; q) = usat::<E>(unsigned::<E>(n, m, true), q);
    /// SQSHLU
    sqshlu(n, m; q) = usat::<E>(i128::from(sx::<E>(n)) << m, q);
    /// SHL
    shl(n, m) = n << m;
    /// SLI
    sli(d, n, m) = d & !(mask::<E>() << m) | n << m;
    /// SRI
    sri(d, n, m) = {
        let moved = mask::<E>().checked_shr(m as u32).unwrap_or(0);
        d & !moved | n.checked_shr(m as u32).unwrap_or(0)
    };
    /// SSHR
    sshr(n, m) = right(sx::<E>(n).into(), m, false) as u64;
    /// USHR
    ushr(n, m) = right(n.into(), m, false) as u64;
    /// SRSHR
    srshr(n, m) = right(sx::<E>(n).into(), m, true) as u64;
    /// URSHR
    urshr(n, m) = right(n.into(), m, true) as u64;
    /// SSRA
    ssra(d, n, m) = d.wrapping_add(sshr::<E>(n, m));
    /// USRA
    usra(d, n, m) = d.wrapping_add(ushr::<E>(n, m));
    /// SRSRA
    srsra(d, n, m) = d.wrapping_add(srshr::<E>(n, m));
    /// URSRA
    ursra(d, n, m) = d.wrapping_add(urshr::<E>(n, m));
    /// SHRN
    shrn(n, m) = right(n.into(), m, false) as u64;
    /// RSHRN
    rshrn(n, m) = right(n.into(), m, true) as u64;
    /// SQSHRN
    sqshrn(n, m; q) = ssat::<E>(right(double_sx::<E>(n), m, false), q);
    /// SQRSHRN
    sqrshrn(n, m; q) = ssat::<E>(right(double_sx::<E>(n), m, true), q);
    /// UQSHRN
    uqshrn(n, m; q) = usat::<E>(right(n.into(), m, false), q);
    /// UQRSHRN
    uqrshrn(n, m; q) = usat::<E>(right(n.into(), m, true), q);
    /// SQSHRUN
    sqshrun(n, m; q) = usat::<E>(right(double_sx::<E>(n), m, false), q);
    /// SQRSHRUN
    sqrshrun(n, m; q) = usat::<E>(right(double_sx::<E>(n), m, true), q);
    /// SSHLL
    sshll(n, m) = (sx::<E>(n) as u64) << m;
    /// USHLL
    ushll(n, m) = n << m;
    /// SHLL
    shll(n) = n << E;
    /// XTN
    xtn(n) = n;
    /// SQXTN
    sqxtn(n; q) = ssat::<E>(double_sx::<E>(n), q);
    /// UQXTN
    uqxtn(n; q) = usat::<E>(n.into(), q);
    /// SQXTUN
    sqxtun(n; q) = usat::<E>(double_sx::<E>(n), q);
}
