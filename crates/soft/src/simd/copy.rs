//! DUP, INS, SMOV, UMOV, and the bitwise instructions on whole registers.

use super::lanes::{lane, set_lane, splat, sx};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// Defines `E` from the lowest set bit of imm5 and gives the index above it to `$body`.
macro_rules! by_imm5 {
    ($i:ident, |$index:ident| $body:expr) => {{
        let imm5 = $i.bits(16, 5) as usize;
        match imm5.trailing_zeros() {
            0 => by_imm5!(@8, 1, imm5, $index, $body),
            1 => by_imm5!(@16, 2, imm5, $index, $body),
            2 => by_imm5!(@32, 3, imm5, $index, $body),
            3 => by_imm5!(@64, 4, imm5, $index, $body),
            _ => return Err(Trap::Undefined),
        }
    }};
    (@$e:literal, $shift:literal, $imm5:ident, $index:ident, $body:expr) => {{
        const E: u32 = $e;
        let $index = $imm5 >> $shift;
        $body
    }};
}

/// A vector of copies, of 64 or 128 bits.
fn fill(cpu: &mut Cpu, i: Insn, half: u64) {
    let hi = if i.bit(30) { half } else { 0 };
    cpu.v[i.rd()] = u128::from(half) | u128::from(hi) << 64;
}

/// An element of 64 bits needs a whole register.
fn check_whole(i: Insn, width: u32) -> Result<(), Trap> {
    if width == 64 && !i.bit(30) { Err(Trap::Undefined) } else { Ok(()) }
}

/// DUP (element).
pub(crate) fn dup_element(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    by_imm5!(i, |index| {
        check_whole(i, E)?;
        let x = lane::<E>(cpu.v[i.rn()], index);
        fill(cpu, i, splat::<E>(x));
    });
    Ok(())
}

/// DUP (element), scalar.
pub(crate) fn dup_scalar(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    by_imm5!(i, |index| cpu.v[i.rd()] = lane::<E>(cpu.v[i.rn()], index).into());
    Ok(())
}

/// DUP (general).
pub(crate) fn dup_general(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let x = cpu.reg(i.rn());
    by_imm5!(i, |_index| {
        check_whole(i, E)?;
        fill(cpu, i, splat::<E>(x));
    });
    Ok(())
}

/// SMOV, to 32 bits (Q = 0) or 64.
pub(crate) fn smov(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let q = i.bit(30);
    let x = by_imm5!(i, |index| {
        if E == 64 || E == 32 && !q {
            return Err(Trap::Undefined);
        }
        sx::<E>(lane::<E>(cpu.v[i.rn()], index))
    });
    cpu.set_reg(i.rd(), if q { x as u64 } else { u64::from(x as u32) });
    Ok(())
}

/// UMOV, to 64 bits exactly for elements of 64.
pub(crate) fn umov(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let x = by_imm5!(i, |index| {
        if (E == 64) != i.bit(30) {
            return Err(Trap::Undefined);
        }
        lane::<E>(cpu.v[i.rn()], index)
    });
    cpu.set_reg(i.rd(), x);
    Ok(())
}

/// INS (general).
pub(crate) fn ins_general(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let x = cpu.reg(i.rn());
    by_imm5!(i, |index| cpu.v[i.rd()] = set_lane::<E>(cpu.v[i.rd()], index, x));
    Ok(())
}

/// INS (element).
pub(crate) fn ins_element(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let imm4 = i.bits(11, 4) as usize;
    by_imm5!(i, |index| {
        let x = lane::<E>(cpu.v[i.rn()], imm4 / (E as usize / 8));
        cpu.v[i.rd()] = set_lane::<E>(cpu.v[i.rd()], index, x);
    });
    Ok(())
}

/// A bitwise operation `f(d, n, m)` on registers of 64 or 128 bits.
#[inline(always)]
pub(crate) fn bitwise(cpu: &mut Cpu, i: Insn, f: impl Fn(u128, u128, u128) -> u128) -> Result<(), Trap> {
    let used = if i.bit(30) { u128::MAX } else { u64::MAX.into() };
    cpu.v[i.rd()] = f(cpu.v[i.rd()], cpu.v[i.rn()], cpu.v[i.rm()]) & used;
    Ok(())
}
