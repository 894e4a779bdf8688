//! Shapes of floating-point vector instructions.
//!
//! Lane functions are those of `fp`, generic in the format: `f(env, operands...)` with the operands named as in
//! [`shape`](super::shape): `d`, `n`, `m`.

use super::lanes::{halves, join, lane};
use crate::cpu::Cpu;
use crate::fp::{Double, Env, Format, Single};
use crate::isa::Insn;
use crate::trap::Trap;

/// What an adapted lane function looks like: `(env, d, n, m)`.
pub(crate) trait Op: Fn(&mut Env, u64, u64, u64) -> u64 {}
impl<T: Fn(&mut Env, u64, u64, u64) -> u64> Op for T {}

/// Runs `f` in the CPU's floating-point environment.
#[inline(always)]
pub(crate) fn with_env<T>(cpu: &mut Cpu, f: impl FnOnce(&mut Cpu, &mut Env) -> T) -> T {
    let mut e = Env::new(cpu.fpcr, cpu.fpsr);
    let r = f(cpu, &mut e);
    cpu.fpsr = e.fpsr;
    r
}

/// The elements of one half.
#[inline(always)]
fn map<F: Format>(d: u64, n: u64, m: u64, mut f: impl FnMut(u64, u64, u64) -> u64) -> u64 {
    if F::BITS == 64 {
        return f(d, n, m);
    }
    let low = f(d & u64::from(u32::MAX), n & u64::from(u32::MAX), m & u64::from(u32::MAX)) as u32;
    let high = f(d >> 32, n >> 32, m >> 32);
    u64::from(low) | high << 32
}

/// `Rm` as the other operand.
#[inline(always)]
pub(crate) fn rm<F: Format>(cpu: &Cpu, i: Insn) -> Result<[u64; 2], Trap> {
    Ok(halves(cpu.v[i.rm()]))
}

/// The element that L, Rm and H select, everywhere.
#[inline(always)]
pub(crate) fn indexed<F: Format>(cpu: &Cpu, i: Insn) -> Result<[u64; 2], Trap> {
    let (h, l) = (usize::from(i.bit(11)), usize::from(i.bit(21)));
    let v = cpu.v[i.rm()];
    if F::BITS == 64 {
        if l != 0 {
            return Err(Trap::Undefined);
        }
        return Ok([lane::<64>(v, h); 2]);
    }
    let x = lane::<32>(v, h << 1 | l);
    Ok([x | x << 32; 2])
}

/// The number of fraction bits that a conversion's immh:immb gives, everywhere.
#[inline(always)]
pub(crate) fn fbits<F: Format>(_: &Cpu, i: Insn) -> Result<[u64; 2], Trap> {
    let fbits = u64::from(2 * F::BITS - i.bits(16, 7));
    Ok([if F::BITS == 64 { fbits } else { fbits | fbits << 32 }; 2])
}

/// All elements of a vector.
#[inline(always)]
pub(crate) fn vector<F: Format>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    // A vector of one element is unallocated.
    if F::BITS == 64 && !i.bit(30) {
        return Err(Trap::Undefined);
    }
    with_env(cpu, |cpu, e| {
        let (d, n) = (halves(cpu.v[i.rd()]), halves(cpu.v[i.rn()]));
        let lo = map::<F>(d[0], n[0], m[0], |d, n, m| f(e, d, n, m));
        let hi = if i.bit(30) { map::<F>(d[1], n[1], m[1], |d, n, m| f(e, d, n, m)) } else { 0 };
        cpu.v[i.rd()] = join([lo, hi]);
    });
    Ok(())
}

/// The lowest element alone.
#[inline(always)]
pub(crate) fn scalar<F: Format>(cpu: &mut Cpu, i: Insn, m: [u64; 2], f: impl Op) -> Result<(), Trap> {
    with_env(cpu, |cpu, e| {
        let cut = u64::MAX >> (64 - F::BITS);
        let (d, n) = (cpu.v[i.rd()] as u64 & cut, cpu.v[i.rn()] as u64 & cut);
        cpu.v[i.rd()] = u128::from(f(e, d, n, m[0] & cut) & cut);
    });
    Ok(())
}

/// Neighbours in `Rn`, then neighbours in `Rm`.
#[inline(always)]
pub(crate) fn pairs<F: Format>(cpu: &mut Cpu, i: Insn, _: [u64; 2], f: impl Op) -> Result<(), Trap> {
    if F::BITS == 64 && !i.bit(30) {
        return Err(Trap::Undefined);
    }
    with_env(cpu, |cpu, e| {
        let (n, m) = (halves(cpu.v[i.rn()]), halves(cpu.v[i.rm()]));
        let low = u64::from(u32::MAX);
        let mut fold = |x: u64| f(e, 0, x & low, x >> 32) & low;
        cpu.v[i.rd()] = if F::BITS == 64 {
            join([f(e, 0, n[0], n[1]), f(e, 0, m[0], m[1])])
        } else if i.bit(30) {
            join([fold(n[0]) | fold(n[1]) << 32, fold(m[0]) | fold(m[1]) << 32])
        } else {
            u128::from(fold(n[0]) | fold(m[0]) << 32)
        };
    });
    Ok(())
}

/// The two lowest elements into one.
#[inline(always)]
pub(crate) fn pair<F: Format>(cpu: &mut Cpu, i: Insn, _: [u64; 2], f: impl Op) -> Result<(), Trap> {
    with_env(cpu, |cpu, e| {
        let n = cpu.v[i.rn()];
        let (a, b) = if F::BITS == 64 { (n as u64, (n >> 64) as u64) } else { (lane::<32>(n, 0), lane::<32>(n, 1)) };
        cpu.v[i.rd()] = f(e, 0, a, b).into();
    });
    Ok(())
}

/// Four single-precision elements into one, by halves.
#[inline(always)]
pub(crate) fn across(cpu: &mut Cpu, i: Insn, f: fn(&mut Env, u64, u64) -> u64) -> Result<(), Trap> {
    with_env(cpu, |cpu, e| {
        let n = cpu.v[i.rn()];
        let low = f(e, lane::<32>(n, 0), lane::<32>(n, 1));
        let high = f(e, lane::<32>(n, 2), lane::<32>(n, 3));
        cpu.v[i.rd()] = f(e, low, high).into();
    });
    Ok(())
}

/// Gives a lane function the arguments it names.
macro_rules! fop {
    ($f:path, n) => {
        |e: &mut Env, _: u64, n: u64, _: u64| $f(e, n)
    };
    ($f:path, n m) => {
        |e: &mut Env, _: u64, n: u64, m: u64| $f(e, n, m)
    };
    ($f:path, d n m) => {
        |e: &mut Env, d: u64, n: u64, m: u64| $f(e, d, n, m)
    };
}

/// A row's function in the format that bit sz selects: `float!(vector, arith::add n m)`.
macro_rules! float {
    ($shape:ident, $module:ident::$f:ident $($arg:ident)+) => { float!(@ $shape, rm, $module::$f $($arg)+) };
    ($shape:ident indexed, $module:ident::$f:ident $($arg:ident)+) => {
        float!(@ $shape, indexed, $module::$f $($arg)+)
    };
    (@ $shape:ident, $m:ident, $module:ident::$f:ident $($arg:ident)+) => {
        |cpu: &mut Cpu, i: Insn| {
            if i.bit(22) {
                let m = float_shape::$m::<Double>(cpu, i)?;
                float_shape::$shape::<Double>(cpu, i, m, fop!($module::$f::<Double>, $($arg)+))
            } else {
                let m = float_shape::$m::<Single>(cpu, i)?;
                float_shape::$shape::<Single>(cpu, i, m, fop!($module::$f::<Single>, $($arg)+))
            }
        }
    };
}

/// A row's function in the format that immh selects, with the number of fraction bits as `m`.
macro_rules! float_fixed {
    ($shape:ident, $module:ident::$f:ident) => {
        |cpu: &mut Cpu, i: Insn| match i.bits(19, 4) {
            8..=15 => {
                let m = float_shape::fbits::<Double>(cpu, i)?;
                float_shape::$shape::<Double>(cpu, i, m, fop!($module::$f::<Double>, n m))
            }
            4..=7 => {
                let m = float_shape::fbits::<Single>(cpu, i)?;
                float_shape::$shape::<Single>(cpu, i, m, fop!($module::$f::<Single>, n m))
            }
            // Half precision needs FEAT_FP16, anything else is no format.
            _ => Err(Trap::Undefined),
        }
    };
}

pub(crate) use {float, float_fixed, fop};

/// The format that `sz` or `ftype<0>` selects has its width.
pub(crate) fn width(double: bool) -> u32 {
    if double { Double::BITS } else { Single::BITS }
}
