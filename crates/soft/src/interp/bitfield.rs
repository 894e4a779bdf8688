//! Bit-field moves and EXTR (DDI 0487 C6.2, SBFM, BFM, UBFM, EXTR), and with them every shift by a constant, sign and
//! zero extension.

use super::alu::{W, Width, X, by_sf, zd, zr};
use super::{Handler, Op, handlers};
use crate::isa::Insn;

handlers! {
    // UBFX, LSR, UXTB...: `m` bits down, then `a` bits kept.
    fn ubfx[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()]) >> (op.m() & 63) & low(op.a()); }
    // UBFIZ, LSL: the `a` lowest bits, `m` up.
    fn ubfiz(cpu, op) { cpu.x[op.d()] = (cpu.x[op.n()] & low(op.a())) << (op.m() & 63); }
    // LSR of 64 bits keeps everything.
    fn lsr_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] >> (op.m() & 63); }
    fn lsl_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] << (op.m() & 63); }
    // SBFX, ASR, SXTB...: the field's top bit to bit 63 by `m`, then down by `a`.
    fn sbfx[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim((((cpu.x[op.n()] << (op.m() & 63)) as i64) >> (op.a() & 63)) as u64);
    }
    // SBFIZ: as SBFX, then up by `imm`.
    fn sbfiz[S: Width](cpu, op) {
        let field = ((cpu.x[op.n()] << (op.m() & 63)) as i64) >> (op.a() & 63);
        cpu.x[op.d()] = S::trim((field << (op.imm() & 63)) as u64);
    }
    // BFXIL: `a` bits from position `m` to the bottom of the destination.
    fn bfxil[S: Width](cpu, op) {
        let mask = low(op.a());
        cpu.x[op.d()] = S::trim(cpu.x[op.d()] & !mask | cpu.x[op.n()] >> (op.m() & 63) & mask);
    }
    // BFI: the `a` lowest bits to position `m` of the destination.
    fn bfi[S: Width](cpu, op) {
        let (mask, at) = (low(op.a()), op.m() & 63);
        cpu.x[op.d()] = S::trim(cpu.x[op.d()] & !(mask << at) | (cpu.x[op.n()] & mask) << at);
    }
    fn extr_x(cpu, op) {
        let pair = (cpu.x[op.n()] as u128) << 64 | cpu.x[op.m()] as u128;
        cpu.x[op.d()] = (pair >> (op.a() & 63)) as u64;
    }
    fn extr_w(cpu, op) {
        let pair = cpu.x[op.n()] << 32 | cpu.x[op.m()] & 0xffff_ffff;
        cpu.x[op.d()] = (pair >> (op.a() & 31)) as u32 as u64;
    }
}

/// A mask of the lowest `len` bits, 1 to 64 of them.
#[inline(always)]
fn low(len: usize) -> u64 {
    u64::MAX >> ((64 - len) & 63)
}

/// `immr` and `imms`, when they are allocated: `N` equals `sf`, and 32-bit forms stay below 32.
fn fields(i: Insn) -> Option<(u32, u32)> {
    let (immr, imms) = (i.bits(16, 6), i.bits(10, 6));
    (i.bit(22) == i.bit(31) && (i.bit(31) || (immr < 32 && imms < 32))).then_some((immr, imms))
}

fn op(i: Insn, handler: Handler) -> Op {
    Op::new(handler).d(zd(i.rd())).n(zr(i.rn()))
}

fn width(i: Insn) -> u32 {
    if i.bit(31) { 64 } else { 32 }
}

/// UBFM.
pub(crate) fn lower_ubfm(i: Insn, _: u32) -> Option<Op> {
    let (r, s) = fields(i)?;
    let bits = width(i);
    Some(match (s >= r, i.bit(31)) {
        (true, true) if s == 63 => op(i, lsr_x).m(r as usize),
        (true, _) => op(i, by_sf!(i, ubfx)).m(r as usize).a((s - r + 1) as usize),
        (false, true) if s + 1 == r => op(i, lsl_x).m((64 - r) as usize),
        (false, _) => op(i, ubfiz).m((bits - r) as usize).a((s + 1) as usize),
    })
}

/// SBFM.
pub(crate) fn lower_sbfm(i: Insn, _: u32) -> Option<Op> {
    let (r, s) = fields(i)?;
    let up = 63 - s;
    Some(if s >= r {
        op(i, by_sf!(i, sbfx)).m(up as usize).a((up + r) as usize)
    } else {
        op(i, by_sf!(i, sbfiz)).m(up as usize).a(up as usize).imm(width(i) - r)
    })
}

/// BFM.
pub(crate) fn lower_bfm(i: Insn, _: u32) -> Option<Op> {
    let (r, s) = fields(i)?;
    Some(if s >= r {
        op(i, by_sf!(i, bfxil)).m(r as usize).a((s - r + 1) as usize)
    } else {
        op(i, by_sf!(i, bfi)).m((width(i) - r) as usize).a((s + 1) as usize)
    })
}

/// EXTR, and with equal sources ROR by a constant.
pub(crate) fn lower_extr(i: Insn, _: u32) -> Option<Op> {
    let lsb = i.bits(10, 6);
    if i.bit(22) != i.bit(31) || (!i.bit(31) && lsb >= 32) {
        return None;
    }
    Some(op(i, if i.bit(31) { extr_x } else { extr_w }).m(zr(i.rm())).a(lsb as usize))
}
