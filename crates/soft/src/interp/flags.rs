//! Lazy condition flags: three values from which N, Z, C and V follow.
//!
//! `k` says how `a` and `b` were combined. 32-bit operations keep their operands in the upper halves, so that one rule
//! serves both widths: the carry and overflow of the upper half are those of the operation.

/// `a - b`: SUBS, CMP.
pub const SUB: u64 = 0;
/// `a + b`: ADDS, CMN, and with `b == 0` the logical operations (C and V clear).
pub const ADD: u64 = 1;
/// `a` is NZCV itself in bits 31:28.
pub const NZCV: u64 = 2;

/// Where a kind of translated code says by how much its operands have to be shifted up.
const RAISE: u32 = 8;

/// `k` for operands that still have to be shifted up by `by` bits: translated code stores them as they are.
pub const fn raised(k: u64, by: u64) -> u64 {
    k | by << RAISE
}

/// The flags of translated code, as the interpreter has them.
pub fn settled([a, b, k]: [u64; 3]) -> (u64, u64, u64) {
    let by = (k >> RAISE) & 63;
    (a << by, b << by, k & ((1 << RAISE) - 1))
}

/// Flags given as NZCV in bits 31:28.
#[inline(always)]
pub fn explicit(nzcv: u32) -> (u64, u64, u64) {
    (nzcv as u64, 0, NZCV)
}

/// NZCV in bits 31:28.
#[inline]
pub fn nzcv(a: u64, b: u64, k: u64) -> u32 {
    let (r, c, v) = match k {
        SUB => (a.wrapping_sub(b), a >= b, (a as i64).overflowing_sub(b as i64).1),
        ADD => (a.wrapping_add(b), a.overflowing_add(b).1, (a as i64).overflowing_add(b as i64).1),
        _ => return a as u32,
    };
    ((r >> 63) as u32) << 31 | u32::from(r == 0) << 30 | u32::from(c) << 29 | u32::from(v) << 28
}

/// The carry flag.
#[inline(always)]
pub fn carry(a: u64, b: u64, k: u64) -> bool {
    match k {
        SUB => a >= b,
        ADD => a.overflowing_add(b).1,
        _ => a >> 29 & 1 != 0,
    }
}

/// Whether the condition `COND` (`cond` field, DDI 0487 C1.2.4) holds.
#[inline(always)]
pub fn holds<const COND: u8>(a: u64, b: u64, k: u64) -> bool {
    if k == SUB {
        return match COND {
            0 => a == b,
            1 => a != b,
            2 => a >= b,
            3 => a < b,
            4 => (a.wrapping_sub(b) as i64) < 0,
            5 => (a.wrapping_sub(b) as i64) >= 0,
            6 => (a as i64).overflowing_sub(b as i64).1,
            7 => !(a as i64).overflowing_sub(b as i64).1,
            8 => a > b,
            9 => a <= b,
            10 => a as i64 >= b as i64,
            11 => (a as i64) < b as i64,
            12 => a as i64 > b as i64,
            13 => a as i64 <= b as i64,
            _ => true,
        };
    }
    if k == ADD && b == 0 {
        return match COND {
            0 => a == 0,
            1 => a != 0,
            2 | 6 | 8 => false,
            3 | 7 | 9 => true,
            4 | 11 => (a as i64) < 0,
            5 | 10 => a as i64 >= 0,
            12 => a as i64 > 0,
            13 => a as i64 <= 0,
            _ => true,
        };
    }
    holds_in(COND, nzcv(a, b, k))
}

/// Whether condition `cond` holds for flags given as NZCV in bits 31:28.
#[inline]
pub fn holds_in(cond: u8, nzcv: u32) -> bool {
    let (n, z, c, v) = (nzcv >> 31 & 1 != 0, nzcv >> 30 & 1 != 0, nzcv >> 29 & 1 != 0, nzcv >> 28 & 1 != 0);
    let base = match cond >> 1 {
        0 => z,
        1 => c,
        2 => n,
        3 => v,
        4 => c && !z,
        5 => n == v,
        6 => n == v && !z,
        _ => return true,
    };
    base != (cond & 1 != 0)
}

/// As [`holds`] with the condition known only at run time.
#[inline(always)]
pub fn holds_dyn(cond: u8, a: u64, b: u64, k: u64) -> bool {
    holds_in(cond, nzcv(a, b, k))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(a: u64, b: u64, k: u64) -> [bool; 16] {
        [
            holds::<0>(a, b, k),
            holds::<1>(a, b, k),
            holds::<2>(a, b, k),
            holds::<3>(a, b, k),
            holds::<4>(a, b, k),
            holds::<5>(a, b, k),
            holds::<6>(a, b, k),
            holds::<7>(a, b, k),
            holds::<8>(a, b, k),
            holds::<9>(a, b, k),
            holds::<10>(a, b, k),
            holds::<11>(a, b, k),
            holds::<12>(a, b, k),
            holds::<13>(a, b, k),
            holds::<14>(a, b, k),
            holds::<15>(a, b, k),
        ]
    }

    #[test]
    fn lazy_conditions_agree_with_the_flags_they_stand_for() {
        let edge = [0, 1, 2, 1 << 31, 1 << 32, 5 << 32, i64::MAX as u64, i64::MIN as u64, u64::MAX, u64::MAX - 1];
        for a in edge {
            for b in edge {
                for k in [SUB, ADD] {
                    let flags = nzcv(a, b, k);
                    let want: Vec<bool> = (0..16).map(|c| holds_in(c, flags)).collect();
                    assert_eq!(all(a, b, k).to_vec(), want, "{a:#x} {b:#x} {k}");
                    assert_eq!(carry(a, b, k), flags >> 29 & 1 != 0);
                }
            }
        }
    }
}
