//! MOVI, MVNI, ORR, BIC and FMOV with an immediate (`AdvSIMDExpandImm`), and the immediates of scalar FMOV.

use crate::cpu::Cpu;
use crate::fp::{Double, Format, Single};
use crate::isa::Insn;
use crate::trap::Trap;

/// `VFPExpandImm`: sign, three bits of exponent and four of fraction as a number of format `F`.
pub(crate) fn expand_fp<F: Format>(imm8: u64) -> u64 {
    let sign = if imm8 & 0x80 != 0 { F::SIGN } else { 0 };
    // NOT(b6):Replicate(b6):imm8<5:4> is the exponent, less its bias, plus one, in -3..=4.
    let b6 = imm8 >> 6 & 1;
    let width = F::BITS - 1 - F::FRAC;
    let replicated = if b6 != 0 { (1 << (width - 3)) - 1 } else { 0 };
    let exponent = (b6 ^ 1) << (width - 1) | replicated << 2 | imm8 >> 4 & 3;
    sign | exponent << F::FRAC | (imm8 & 15) << (F::FRAC - 4)
}

fn imm8(i: Insn) -> u64 {
    u64::from(i.bits(16, 3) << 5 | i.bits(5, 5))
}

/// The immediate of a vector instruction by cmode and op, for half a register.
pub(crate) fn expand(i: Insn) -> u64 {
    let imm8 = imm8(i);
    let cmode = i.bits(12, 4);
    let words = |x: u64| x << 32 | x;
    match cmode {
        0..8 => words(imm8 << (8 * (cmode >> 1))),
        8..12 => (imm8 << (8 * (cmode >> 1 & 1))) * 0x0001_0001_0001_0001,
        12 => words(imm8 << 8 | 0xff),
        13 => words(imm8 << 16 | 0xffff),
        14 if !i.bit(29) => imm8 * 0x0101_0101_0101_0101,
        // Each bit fills a byte.
        14 => (0..8).fold(0, |r, k| if imm8 >> k & 1 != 0 { r | 0xff << (8 * k) } else { r }),
        _ if i.bit(29) => expand_fp::<Double>(imm8),
        _ => words(expand_fp::<Single>(imm8)),
    }
}

/// Sets a register of 64 or 128 bits by `f(old, immediate)`, a half at a time.
fn apply(cpu: &mut Cpu, i: Insn, f: impl Fn(u64, u64) -> u64) -> Result<(), Trap> {
    let x = expand(i);
    let d = cpu.v[i.rd()];
    let hi = if i.bit(30) { f((d >> 64) as u64, x) } else { 0 };
    cpu.v[i.rd()] = u128::from(f(d as u64, x)) | u128::from(hi) << 64;
    Ok(())
}

/// MOVI, and FMOV (vector, immediate).
pub(crate) fn movi(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    apply(cpu, i, |_, x| x)
}

/// MVNI
pub(crate) fn mvni(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    apply(cpu, i, |_, x| !x)
}

/// ORR (vector, immediate).
pub(crate) fn orr(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    apply(cpu, i, |d, x| d | x)
}

/// BIC (vector, immediate).
pub(crate) fn bic(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    apply(cpu, i, |d, x| d & !x)
}
