//! Shapes of integer instructions: how a lane function is applied to registers.
//!
//! Lane functions take the old destination element `d`, the elements `n` and `m`, zero-extended, and note saturation
//! in `q`; a shift or an indexed element comes as `m`. What they return above the element is cut off.

use super::lanes::{halves, join, lane, map, mask, splat};
use crate::cpu::Cpu;
use crate::fp::QC;
use crate::isa::Insn;
use crate::trap::Trap;

/// What an adapted lane function looks like: `(d, n, m, q)`.
pub(crate) trait Op: Fn(u64, u64, u64, &mut bool) -> u64 {}
impl<T: Fn(u64, u64, u64, &mut bool) -> u64> Op for T {}

/// Runs `f` and carries its saturation over to `FPSR.QC`.
#[inline(always)]
fn saturating<T>(cpu: &mut Cpu, f: impl FnOnce(&mut Cpu, &mut bool) -> T) -> T {
    let mut q = false;
    let r = f(cpu, &mut q);
    if q {
        cpu.fpsr |= QC;
    }
    r
}

/// The half of a register that bit Q selects.
#[inline(always)]
pub(crate) fn half(cpu: &Cpu, n: usize, i: Insn) -> u64 {
    halves(cpu.v[n])[usize::from(i.bit(30))]
}

/// Writes a narrowed result: to the lower half with the upper one zeroed, or to the upper half alone.
#[inline(always)]
pub(crate) fn set_half(cpu: &mut Cpu, i: Insn, x: u64) {
    let d = i.rd();
    cpu.v[d] = if i.bit(30) { join([cpu.v[d] as u64, x]) } else { x.into() };
}

/// `Rm` as the other operand.
#[inline(always)]
pub(crate) fn rm(cpu: &Cpu, i: Insn) -> [u64; 2] {
    halves(cpu.v[i.rm()])
}

/// The element that L, M, Rm and H select, everywhere.
#[inline(always)]
pub(crate) fn indexed<const E: u32>(cpu: &Cpu, i: Insn) -> [u64; 2] {
    let (h, l, m) = (i.bits(11, 1), i.bits(21, 1), i.bits(20, 1));
    let (register, index) = match E {
        16 => (i.bits(16, 4), h << 2 | l << 1 | m),
        32 => (i.bits(16, 5), h << 1 | l),
        _ => (i.bits(16, 5), h),
    };
    everywhere::<E>(lane::<E>(cpu.v[register as usize], index as usize))
}

/// An element in all places.
#[inline(always)]
pub(crate) fn everywhere<const E: u32>(x: u64) -> [u64; 2] {
    [splat::<E>(x); 2]
}

/// The amount of a right shift by an immediate, everywhere.
#[inline(always)]
pub(crate) fn right<const E: u32>(_: &Cpu, i: Insn) -> [u64; 2] {
    everywhere::<E>(u64::from(2 * E - i.bits(16, 7)))
}

/// The amount of a left shift by an immediate, everywhere.
#[inline(always)]
pub(crate) fn left<const E: u32>(_: &Cpu, i: Insn) -> [u64; 2] {
    everywhere::<E>(u64::from(i.bits(16, 7) - E))
}

/// All elements of a vector.
#[inline(always)]
pub(crate) fn vector<const E: u32>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let (d, n) = (halves(cpu.v[i.rd()]), halves(cpu.v[i.rn()]));
        let lo = map::<E>(d[0], n[0], m[0], |d, n, m| f(d, n, m, q));
        let hi = if i.bit(30) { map::<E>(d[1], n[1], m[1], |d, n, m| f(d, n, m, q)) } else { 0 };
        cpu.v[i.rd()] = join([lo, hi]);
    });
    Ok(())
}

/// The lowest element alone.
#[inline(always)]
pub(crate) fn scalar<const E: u32>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let (d, n) = (lane::<E>(cpu.v[i.rd()], 0), lane::<E>(cpu.v[i.rn()], 0));
        cpu.v[i.rd()] = u128::from(f(d, n, m[0] & mask::<E>(), q) & mask::<E>());
    });
    Ok(())
}

/// From a half with elements of `E` bits to a whole register with elements of `W` = 2 `E` bits.
#[inline(always)]
pub(crate) fn long<const E: u32, const W: u32>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let n = half(cpu, i.rn(), i);
        let m = m[usize::from(i.bit(30))];
        let d = halves(cpu.v[i.rd()]);
        let mut r = [0; 2];
        for h in 0..2 {
            let mut at = 0;
            while at < 64 {
                let from = 32 * h as u32 + at / 2;
                let x = f(d[h] >> at & mask::<W>(), n >> from & mask::<E>(), m >> from & mask::<E>(), q);
                r[h] |= (x & mask::<W>()) << at;
                at += W;
            }
        }
        cpu.v[i.rd()] = join(r);
    });
    Ok(())
}

/// The lowest element of `E` bits to one of `W` bits.
#[inline(always)]
pub(crate) fn scalar_long<const E: u32, const W: u32>(
    cpu: &mut Cpu,
    i: Insn,
    m: [u64; 2],
    f: impl Op,
) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let (d, n) = (lane::<W>(cpu.v[i.rd()], 0), lane::<E>(cpu.v[i.rn()], 0));
        cpu.v[i.rd()] = u128::from(f(d, n, m[0] & mask::<E>(), q) & mask::<W>());
    });
    Ok(())
}

/// `n` with elements of `W` bits, `m` from a half with elements of `E` bits.
#[inline(always)]
pub(crate) fn wide<const E: u32, const W: u32>(cpu: &mut Cpu, i: Insn, f: impl Op) -> Result<(), Trap> {
    let n = halves(cpu.v[i.rn()]);
    let m = half(cpu, i.rm(), i);
    let mut r = [0; 2];
    for h in 0..2 {
        let mut at = 0;
        while at < 64 {
            let m = m >> (32 * h as u32 + at / 2) & mask::<E>();
            r[h] |= (f(0, n[h] >> at & mask::<W>(), m, &mut false) & mask::<W>()) << at;
            at += W;
        }
    }
    cpu.v[i.rd()] = join(r);
    Ok(())
}

/// From whole registers with elements of `W` bits to a half with elements of `E` bits.
#[inline(always)]
pub(crate) fn narrow<const E: u32, const W: u32>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let n = halves(cpu.v[i.rn()]);
        let mut r = 0;
        for h in 0..2 {
            let mut at = 0;
            while at < 64 {
                let x = f(0, n[h] >> at & mask::<W>(), m[h] >> at & mask::<W>(), q);
                r |= (x & mask::<E>()) << (32 * h as u32 + at / 2);
                at += W;
            }
        }
        set_half(cpu, i, r);
    });
    Ok(())
}

/// The lowest element of `W` bits to one of `E` bits.
#[inline(always)]
pub(crate) fn scalar_narrow<const E: u32, const W: u32>(
    cpu: &mut Cpu,
    i: Insn,
    m: [u64; 2],
    f: impl Op,
) -> Result<(), Trap> {
    saturating(cpu, |cpu, q| {
        let n = lane::<W>(cpu.v[i.rn()], 0);
        cpu.v[i.rd()] = u128::from(f(0, n, m[0] & mask::<W>(), q) & mask::<E>());
    });
    Ok(())
}

/// Neighbours in `Rn`, then neighbours in `Rm`.
#[inline(always)]
pub(crate) fn pairs<const E: u32>(cpu: &mut Cpu, i: Insn, f: impl Op) -> Result<(), Trap> {
    let (n, m) = (halves(cpu.v[i.rn()]), halves(cpu.v[i.rm()]));
    let folded = |x: u64| {
        let mut r = 0;
        let mut at = 0;
        // Elements of 64 bits have no neighbour in their half, and are done below.
        while at < 64 && E < 64 {
            let y = f(0, x >> at & mask::<E>(), x >> (at + E) & mask::<E>(), &mut false);
            r |= (y & mask::<E>()) << (at / 2);
            at += 2 * E;
        }
        r
    };
    cpu.v[i.rd()] = if E == 64 {
        join([f(0, n[0], n[1], &mut false), f(0, m[0], m[1], &mut false)])
    } else if i.bit(30) {
        join([folded(n[0]) | folded(n[1]) << 32, folded(m[0]) | folded(m[1]) << 32])
    } else {
        u128::from(folded(n[0]) | folded(m[0]) << 32)
    };
    Ok(())
}

/// All elements of a vector folded into one of `R` bits; the lane function sees the elements as sign- or zero-extended
/// by `widen`.
#[inline(always)]
pub(crate) fn across<const E: u32, const R: u32>(
    cpu: &mut Cpu,
    i: Insn,
    widen: impl Fn(u64) -> u64,
    f: impl Fn(u64, u64) -> u64,
) -> Result<(), Trap> {
    // Two elements of 32 bits are too few.
    if E == 32 && !i.bit(30) {
        return Err(Trap::Undefined);
    }
    let n = halves(cpu.v[i.rn()]);
    let fold = |x: u64| {
        let mut r = widen(x & mask::<E>());
        let mut at = E;
        while at < 64 {
            r = f(r, widen(x >> at & mask::<E>()));
            at += E;
        }
        r
    };
    let r = if i.bit(30) { f(fold(n[0]), fold(n[1])) } else { fold(n[0]) };
    cpu.v[i.rd()] = u128::from(r & mask::<R>());
    Ok(())
}
