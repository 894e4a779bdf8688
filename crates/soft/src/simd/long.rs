//! Lane functions with operands of `E` bits and results or other operands of twice that.

use super::int::{lanes, ssat};
use super::lanes::sx;
use super::shape::half;
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// The doubled product, saturated to twice `E` bits.
#[inline(always)]
fn doubled<const E: u32>(n: u64, m: u64, q: &mut bool) -> i128 {
    let product = 2 * i128::from(sx::<E>(n)) * i128::from(sx::<E>(m));
    wide_ssat::<E>(product, q)
}

/// Limits to twice `E` bits.
#[inline(always)]
fn wide_ssat<const E: u32>(x: i128, q: &mut bool) -> i128 {
    match E {
        16 => i128::from(ssat::<32>(x, q) as i64),
        _ => i128::from(ssat::<64>(x, q) as i64),
    }
}

/// A double-width element, signed.
#[inline(always)]
fn double_sx<const E: u32>(d: u64) -> i128 {
    ((d << (64 - 2 * E)) as i64 >> (64 - 2 * E)).into()
}

lanes! {
    /// SADDL
    saddl(n, m) = (sx::<E>(n) + sx::<E>(m)) as u64;
    /// UADDL
    uaddl(n, m) = n + m;
    /// SSUBL
    ssubl(n, m) = (sx::<E>(n) - sx::<E>(m)) as u64;
    /// USUBL
    usubl(n, m) = n.wrapping_sub(m);
    /// SADDW, where `n` is the double-width operand
    saddw(n, m) = n.wrapping_add(sx::<E>(m) as u64);
    /// UADDW
    uaddw(n, m) = n.wrapping_add(m);
    /// SSUBW
    ssubw(n, m) = n.wrapping_sub(sx::<E>(m) as u64);
    /// USUBW
    usubw(n, m) = n.wrapping_sub(m);
    /// ADDHN, from double-width operands
    addhn(n, m) = n.wrapping_add(m) >> E;
    /// RADDHN
    raddhn(n, m) = n.wrapping_add(m).wrapping_add(1 << (E - 1)) >> E;
    /// SUBHN
    subhn(n, m) = n.wrapping_sub(m) >> E;
    /// RSUBHN
    rsubhn(n, m) = n.wrapping_sub(m).wrapping_add(1 << (E - 1)) >> E;
    /// SABDL
    sabdl(n, m) = sx::<E>(n).abs_diff(sx::<E>(m));
    /// UABDL
    uabdl(n, m) = n.abs_diff(m);
    /// SABAL
    sabal(d, n, m) = d.wrapping_add(sx::<E>(n).abs_diff(sx::<E>(m)));
    /// UABAL
    uabal(d, n, m) = d.wrapping_add(n.abs_diff(m));
    /// SMULL
    smull(n, m) = (sx::<E>(n) * sx::<E>(m)) as u64;
    /// UMULL
    umull(n, m) = n * m;
    /// SMLAL
    smlal(d, n, m) = d.wrapping_add(smull::<E>(n, m));
    /// UMLAL
    umlal(d, n, m) = d.wrapping_add(n * m);
    /// SMLSL
    smlsl(d, n, m) = d.wrapping_sub(smull::<E>(n, m));
    /// UMLSL
    umlsl(d, n, m) = d.wrapping_sub(n * m);
    /// SQDMULL
    sqdmull(n, m; q) = doubled::<E>(n, m, q) as u64;
    /// SQDMLAL, whose product and sum saturate one after the other
    sqdmlal(d, n, m; q) = {
        let product = doubled::<E>(n, m, q);
        wide_ssat::<E>(double_sx::<E>(d) + product, q) as u64
    };
    /// SQDMLSL
    sqdmlsl(d, n, m; q) = {
        let product = doubled::<E>(n, m, q);
        wide_ssat::<E>(double_sx::<E>(d) - product, q) as u64
    };
}

/// The product of two polynomials over {0, 1} of up to 64 bits, four bits at a time.
fn carryless(n: u64, m: u64) -> u128 {
    let mut multiples = [0; 16];
    for k in 1..16 {
        multiples[k] = multiples[k / 2] << 1 ^ if k & 1 != 0 { u128::from(n) } else { 0 };
    }
    let mut r = 0;
    for at in (0..64).step_by(4).rev() {
        r = r << 4 ^ multiples[(m >> at & 15) as usize];
    }
    r
}

/// The product of two polynomials of 8 bits.
fn carryless8(n: u64, m: u64) -> u64 {
    (0..8).fold(0, |r, k| if m >> k & 1 != 0 { r ^ n << k } else { r })
}

/// PMULL, PMULL2 with elements of 8 or 64 bits.
pub(crate) fn pmull(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (n, m) = (half(cpu, i.rn(), i), half(cpu, i.rm(), i));
    cpu.v[i.rd()] = match i.bits(22, 2) {
        0 => (0..8).fold(0, |r, k| r | u128::from(carryless8(n >> (8 * k) & 0xff, m >> (8 * k) & 0xff)) << (16 * k)),
        3 => carryless(n, m),
        _ => return Err(Trap::Undefined),
    };
    Ok(())
}
