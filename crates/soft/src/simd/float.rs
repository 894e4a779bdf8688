//! Floating-point lane functions which are more than one of `fp`'s, and the conversions between vector formats.

use super::float_shape::with_env;
use super::lanes::{halves, join, lane};
use super::shape::{half, set_half};
use crate::cpu::Cpu;
use crate::fp::convert::{self, Int};
use crate::fp::{self, Double, Env, Format, Half, Round, Single};
use crate::isa::Insn;
use crate::trap::Trap;

fn int<F: Format>(unsigned: bool) -> Int {
    Int { bits: F::BITS, unsigned }
}

/// Lane functions which convert to an integer of the format's width.
macro_rules! to_int {
    ($($(#[$doc:meta])* $name:ident: $unsigned:literal $round:ident;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name<F: Format>(e: &mut Env, n: u64) -> u64 {
            convert::to_fixed::<F>(e, n, 0, int::<F>($unsigned), Round::$round)
        })*
    };
}

to_int! {
    /// FCVTNS
    fcvtns: false TieEven;
    /// FCVTNU
    fcvtnu: true TieEven;
    /// FCVTPS
    fcvtps: false PosInf;
    /// FCVTPU
    fcvtpu: true PosInf;
    /// FCVTMS
    fcvtms: false NegInf;
    /// FCVTMU
    fcvtmu: true NegInf;
    /// FCVTZS
    fcvtzs: false Zero;
    /// FCVTZU
    fcvtzu: true Zero;
    /// FCVTAS
    fcvtas: false TieAway;
    /// FCVTAU
    fcvtau: true TieAway;
}

/// Lane functions which round to an integral value.
macro_rules! round_int {
    ($($(#[$doc:meta])* $name:ident: $round:expr, $exact:literal;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name<F: Format>(e: &mut Env, n: u64) -> u64 {
            let round: fn(&Env) -> Round = $round;
            let round = round(e);
            convert::round_int::<F>(e, n, round, $exact)
        })*
    };
}

round_int! {
    /// FRINTN
    frintn: |_| Round::TieEven, false;
    /// FRINTP
    frintp: |_| Round::PosInf, false;
    /// FRINTM
    frintm: |_| Round::NegInf, false;
    /// FRINTZ
    frintz: |_| Round::Zero, false;
    /// FRINTA
    frinta: |_| Round::TieAway, false;
    /// FRINTX
    frintx: |e| e.rounding(), true;
    /// FRINTI
    frinti: |e| e.rounding(), false;
}

/// SCVTF with `m` fraction bits.
pub(crate) fn scvtf_fixed<F: Format>(e: &mut Env, n: u64, m: u64) -> u64 {
    let round = e.rounding();
    convert::from_fixed::<F>(e, n, m as u32, int::<F>(false), round)
}

/// UCVTF with `m` fraction bits.
pub(crate) fn ucvtf_fixed<F: Format>(e: &mut Env, n: u64, m: u64) -> u64 {
    let round = e.rounding();
    convert::from_fixed::<F>(e, n, m as u32, int::<F>(true), round)
}

/// SCVTF
pub(crate) fn scvtf<F: Format>(e: &mut Env, n: u64) -> u64 {
    scvtf_fixed::<F>(e, n, 0)
}

/// UCVTF
pub(crate) fn ucvtf<F: Format>(e: &mut Env, n: u64) -> u64 {
    ucvtf_fixed::<F>(e, n, 0)
}

/// FCVTZS with `m` fraction bits.
pub(crate) fn fcvtzs_fixed<F: Format>(e: &mut Env, n: u64, m: u64) -> u64 {
    convert::to_fixed::<F>(e, n, m as u32, int::<F>(false), Round::Zero)
}

/// FCVTZU with `m` fraction bits.
pub(crate) fn fcvtzu_fixed<F: Format>(e: &mut Env, n: u64, m: u64) -> u64 {
    convert::to_fixed::<F>(e, n, m as u32, int::<F>(true), Round::Zero)
}

/// FABS, which raises nothing.
pub(crate) fn fabs<F: Format>(_: &mut Env, n: u64) -> u64 {
    fp::abs::<F>(n)
}

/// FNEG, which raises nothing.
pub(crate) fn fneg<F: Format>(_: &mut Env, n: u64) -> u64 {
    fp::neg::<F>(n)
}

/// FMOV between registers.
pub(crate) fn fmov<F: Format>(_: &mut Env, n: u64) -> u64 {
    n
}

/// FCVTL, FCVTL2: each element of a half to the next wider format.
pub(crate) fn fcvtl(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let n = u128::from(half(cpu, i.rn(), i));
    cpu.v[i.rd()] = with_env(cpu, |_, e| {
        let round = e.rounding();
        if i.bit(22) {
            (0..2).fold(0, |r, k| {
                let x = convert::convert::<Single, Double>(e, lane::<32>(n, k), round);
                r | u128::from(x) << (64 * k)
            })
        } else {
            (0..4).fold(0, |r, k| {
                let x = convert::convert::<Half, Single>(e, lane::<16>(n, k), round);
                r | u128::from(x) << (32 * k)
            })
        }
    });
    Ok(())
}

/// Each element of a register to the next narrower format.
fn narrowed(cpu: &mut Cpu, i: Insn, round: impl Fn(&Env) -> Round) -> Result<(), Trap> {
    let n = cpu.v[i.rn()];
    let r = with_env(cpu, |_, e| {
        let round = round(e);
        if i.bit(22) {
            (0..2).fold(0, |r, k| r | convert::convert::<Double, Single>(e, lane::<64>(n, k), round) << (32 * k))
        } else {
            (0..4).fold(0, |r, k| r | convert::convert::<Single, Half>(e, lane::<32>(n, k), round) << (16 * k))
        }
    });
    set_half(cpu, i, r);
    Ok(())
}

/// FCVTN, FCVTN2.
pub(crate) fn fcvtn(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    narrowed(cpu, i, Env::rounding)
}

/// FCVTXN, FCVTXN2.
pub(crate) fn fcvtxn(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    narrowed(cpu, i, |_| Round::Odd)
}

/// FCVTXN (scalar).
pub(crate) fn fcvtxn_scalar(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let n = cpu.v[i.rn()] as u64;
    cpu.v[i.rd()] = with_env(cpu, |_, e| convert::convert::<Double, Single>(e, n, Round::Odd)).into();
    Ok(())
}

/// ADDP (scalar).
pub(crate) fn addp_scalar(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let [a, b] = halves(cpu.v[i.rn()]);
    cpu.v[i.rd()] = join([a.wrapping_add(b), 0]);
    Ok(())
}
