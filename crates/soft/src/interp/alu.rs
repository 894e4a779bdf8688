//! Arithmetic and logic on general registers (DDI 0487 C4.1, "Data Processing -- Immediate" and "-- Register").

use super::flags::{self, ADD, SUB};
use super::{Handler, Op, flag_handlers, handlers};
use crate::cpu::{DISCARD, XZR};
use crate::isa::Insn;

/// The width of an operation: the `sf` bit.
pub(crate) trait Width {
    /// 32 or 64.
    const BITS: u32;
    /// The value as the operation sees it, zero-extended.
    fn trim(v: u64) -> u64;
    /// The value as lazy flags keep it.
    fn up(v: u64) -> u64;
}

/// 32-bit operations: the upper half of the destination becomes zero.
pub(crate) struct W;
/// 64-bit operations.
pub(crate) struct X;

impl Width for W {
    const BITS: u32 = 32;
    #[inline(always)]
    fn trim(v: u64) -> u64 {
        v as u32 as u64
    }
    #[inline(always)]
    fn up(v: u64) -> u64 {
        v << 32
    }
}

impl Width for X {
    const BITS: u32 = 64;
    #[inline(always)]
    fn trim(v: u64) -> u64 {
        v
    }
    #[inline(always)]
    fn up(v: u64) -> u64 {
        v
    }
}

/// Source register where 31 is XZR.
pub(crate) const fn zr(n: usize) -> usize {
    if n == 31 { XZR } else { n }
}

/// Destination register where 31 is XZR.
pub(crate) const fn zd(n: usize) -> usize {
    if n == 31 { DISCARD } else { n }
}

/// One of two handlers by the `sf` bit.
macro_rules! by_sf {
    ($i:expr, $f:ident $(::<$($g:ty),*>)?) => {
        if $i.bit(31) { $f::<X $($(, $g)*)?> as Handler } else { $f::<W $($(, $g)*)?> as Handler }
    };
}
pub(crate) use by_sf;

// ---- ADD, SUB ----

handlers! {
    fn add_imm[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(op.imm() as u64)); }
    fn sub_imm[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_sub(op.imm() as u64)); }
    fn add_reg[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(cpu.x[op.m()])); }
    fn sub_reg[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_sub(cpu.x[op.m()])); }
    fn add_lsl[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(cpu.x[op.m()] << (op.a() & 63))); }
    fn add_shifted[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(shifted::<S>(cpu.x[op.m()], op.a())));
    }
    fn sub_shifted[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_sub(shifted::<S>(cpu.x[op.m()], op.a())));
    }
    fn add_extended[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(extended(cpu.x[op.m()], op.a())));
    }
    fn sub_extended[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_sub(extended(cpu.x[op.m()], op.a())));
    }
}

/// The result and flags of an addition.
#[inline(always)]
fn adds<S: Width>(d: &mut u64, n: u64, m: u64) -> (u64, u64, u64) {
    *d = S::trim(n.wrapping_add(m));
    (S::up(n), S::up(m), ADD)
}

/// The result and flags of a subtraction.
#[inline(always)]
fn subs<S: Width>(d: &mut u64, n: u64, m: u64) -> (u64, u64, u64) {
    *d = S::trim(n.wrapping_sub(m));
    (S::up(n), S::up(m), SUB)
}

flag_handlers! {
    fn adds_imm[S: Width](cpu, op) { let n = cpu.x[op.n()]; adds::<S>(&mut cpu.x[op.d()], n, op.imm() as u64) }
    fn subs_imm[S: Width](cpu, op) { let n = cpu.x[op.n()]; subs::<S>(&mut cpu.x[op.d()], n, op.imm() as u64) }
    fn adds_shifted[S: Width](cpu, op) {
        let (n, m) = (cpu.x[op.n()], shifted::<S>(cpu.x[op.m()], op.a()));
        adds::<S>(&mut cpu.x[op.d()], n, m)
    }
    fn subs_reg[S: Width](cpu, op) {
        let (n, m) = (cpu.x[op.n()], cpu.x[op.m()]);
        subs::<S>(&mut cpu.x[op.d()], n, m)
    }
    fn subs_shifted[S: Width](cpu, op) {
        let (n, m) = (cpu.x[op.n()], shifted::<S>(cpu.x[op.m()], op.a()));
        subs::<S>(&mut cpu.x[op.d()], n, m)
    }
    fn adds_extended[S: Width](cpu, op) {
        let (n, m) = (cpu.x[op.n()], extended(cpu.x[op.m()], op.a()));
        adds::<S>(&mut cpu.x[op.d()], n, m)
    }
    fn subs_extended[S: Width](cpu, op) {
        let (n, m) = (cpu.x[op.n()], extended(cpu.x[op.m()], op.a()));
        subs::<S>(&mut cpu.x[op.d()], n, m)
    }
}

/// `ShiftReg()`: `packed` is the shift type in bits 7:6 (LSL, LSR, ASR, ROR) and the amount in bits 5:0.
#[inline(always)]
pub(crate) fn shifted<S: Width>(v: u64, packed: usize) -> u64 {
    let amount = packed as u32 & 63;
    match (packed >> 6 & 3, S::BITS) {
        (0, _) => v << amount,
        (1, _) => S::trim(v) >> amount,
        (2, 32) => ((v as i32) >> (amount & 31)) as u64,
        (2, _) => ((v as i64) >> amount) as u64,
        (_, 32) => (v as u32).rotate_right(amount) as u64,
        _ => v.rotate_right(amount),
    }
}

/// `ExtendReg()`: `packed` is the option in bits 7:5 (UXTB..SXTX) and the left shift in bits 2:0.
#[inline(always)]
pub(crate) fn extended(v: u64, packed: usize) -> u64 {
    let v = match packed >> 5 & 7 {
        0 => v as u8 as u64,
        1 => v as u16 as u64,
        2 => v as u32 as u64,
        4 => v as i8 as u64,
        5 => v as i16 as u64,
        6 => v as i32 as u64,
        _ => v,
    };
    v << (packed & 7)
}

fn add_sub_imm(i: Insn, handler: Handler, d: usize) -> Option<Op> {
    Some(Op::new(handler).d(d).n(i.rn()).imm(i.bits(10, 12) << (12 * i.bits(22, 1))))
}

/// ADD (immediate). Registers 31 are SP.
pub(crate) fn lower_add_imm(i: Insn, _: u32) -> Option<Op> {
    add_sub_imm(i, by_sf!(i, add_imm), i.rd())
}

/// SUB (immediate).
pub(crate) fn lower_sub_imm(i: Insn, _: u32) -> Option<Op> {
    add_sub_imm(i, by_sf!(i, sub_imm), i.rd())
}

/// ADDS (immediate).
pub(crate) fn lower_adds_imm(i: Insn, _: u32) -> Option<Op> {
    add_sub_imm(i, by_sf!(i, adds_imm), zd(i.rd()))
}

/// SUBS (immediate).
pub(crate) fn lower_subs_imm(i: Insn, _: u32) -> Option<Op> {
    add_sub_imm(i, by_sf!(i, subs_imm), zd(i.rd()))
}

/// Whether the shift fields of a shifted-register operation are allocated: 32-bit forms shift by less than 32.
fn shift_ok(i: Insn) -> bool {
    i.bit(31) || i.bits(10, 6) < 32
}

/// The shift type and amount packed as [`shifted`] takes them.
fn shift_of(i: Insn) -> usize {
    (i.bits(22, 2) << 6 | i.bits(10, 6)) as usize
}

fn add_sub_shifted(i: Insn, handler: Handler) -> Option<Op> {
    (i.bits(22, 2) != 3 && shift_ok(i))
        .then(|| Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())).a(shift_of(i)))
}

/// ADD (shifted register).
pub(crate) fn lower_add_shifted(i: Insn, _: u32) -> Option<Op> {
    let handler = match (shift_of(i), i.bits(22, 2)) {
        (0, _) => by_sf!(i, add_reg),
        (_, 0) => by_sf!(i, add_lsl),
        _ => by_sf!(i, add_shifted),
    };
    add_sub_shifted(i, handler)
}

/// SUB (shifted register).
pub(crate) fn lower_sub_shifted(i: Insn, _: u32) -> Option<Op> {
    add_sub_shifted(i, if shift_of(i) == 0 { by_sf!(i, sub_reg) } else { by_sf!(i, sub_shifted) })
}

/// ADDS (shifted register).
pub(crate) fn lower_adds_shifted(i: Insn, _: u32) -> Option<Op> {
    add_sub_shifted(i, by_sf!(i, adds_shifted))
}

/// SUBS (shifted register).
pub(crate) fn lower_subs_shifted(i: Insn, _: u32) -> Option<Op> {
    add_sub_shifted(i, if shift_of(i) == 0 { by_sf!(i, subs_reg) } else { by_sf!(i, subs_shifted) })
}

fn add_sub_extended(i: Insn, handler: Handler, d: usize) -> Option<Op> {
    let (option, shift) = (i.bits(13, 3), i.bits(10, 3));
    (shift <= 4).then(|| Op::new(handler).d(d).n(i.rn()).m(zr(i.rm())).a((option << 5 | shift) as usize))
}

/// ADD (extended register). Registers Rn and Rd 31 are SP.
pub(crate) fn lower_add_extended(i: Insn, _: u32) -> Option<Op> {
    add_sub_extended(i, by_sf!(i, add_extended), i.rd())
}

/// SUB (extended register).
pub(crate) fn lower_sub_extended(i: Insn, _: u32) -> Option<Op> {
    add_sub_extended(i, by_sf!(i, sub_extended), i.rd())
}

/// ADDS (extended register).
pub(crate) fn lower_adds_extended(i: Insn, _: u32) -> Option<Op> {
    add_sub_extended(i, by_sf!(i, adds_extended), zd(i.rd()))
}

/// SUBS (extended register).
pub(crate) fn lower_subs_extended(i: Insn, _: u32) -> Option<Op> {
    add_sub_extended(i, by_sf!(i, subs_extended), zd(i.rd()))
}

// ---- ADC, SBC ----

/// `AddWithCarry()` with explicit flags.
#[inline(always)]
fn add_with_carry<S: Width>(n: u64, m: u64, carry: bool) -> (u64, u32) {
    let (n, m) = (S::trim(n), S::trim(m));
    let wide = n as u128 + m as u128 + carry as u128;
    let r = S::trim(wide as u64);
    let sign = |v: u64| v >> (S::BITS - 1) & 1 != 0;
    let c = wide >> S::BITS != 0;
    let v = sign(n) == sign(m) && sign(r) != sign(n);
    (r, u32::from(sign(r)) << 31 | u32::from(r == 0) << 30 | u32::from(c) << 29 | u32::from(v) << 28)
}

/// ADC and SBC: `INVERT` complements the second operand.
extern "C" fn adc<S: Width, const INVERT: bool>(
    cpu: &mut crate::cpu::Cpu,
    op: super::OpPtr,
    budget: u64,
    fa: u64,
    fb: u64,
    fk: u64,
) {
    let m = if INVERT { !cpu.x[op.m()] } else { cpu.x[op.m()] };
    let carry = flags::carry(fa, fb, fk) as u64;
    cpu.x[op.d()] = S::trim(cpu.x[op.n()].wrapping_add(m).wrapping_add(carry));
    op.next(cpu, budget, fa, fb, fk)
}

/// ADCS and SBCS.
extern "C" fn adcs<S: Width, const INVERT: bool>(
    cpu: &mut crate::cpu::Cpu,
    op: super::OpPtr,
    budget: u64,
    fa: u64,
    fb: u64,
    fk: u64,
) {
    let m = if INVERT { !cpu.x[op.m()] } else { cpu.x[op.m()] };
    let (r, nzcv) = add_with_carry::<S>(cpu.x[op.n()], m, flags::carry(fa, fb, fk));
    cpu.x[op.d()] = r;
    let (fa, fb, fk) = flags::explicit(nzcv);
    op.next(cpu, budget, fa, fb, fk)
}

fn with_carry(i: Insn, handler: Handler) -> Option<Op> {
    Some(Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())))
}

/// ADC.
pub(crate) fn lower_adc(i: Insn, _: u32) -> Option<Op> {
    with_carry(i, if i.bit(31) { adc::<X, false> } else { adc::<W, false> })
}

/// ADCS.
pub(crate) fn lower_adcs(i: Insn, _: u32) -> Option<Op> {
    with_carry(i, if i.bit(31) { adcs::<X, false> } else { adcs::<W, false> })
}

/// SBC.
pub(crate) fn lower_sbc(i: Insn, _: u32) -> Option<Op> {
    with_carry(i, if i.bit(31) { adc::<X, true> } else { adc::<W, true> })
}

/// SBCS.
pub(crate) fn lower_sbcs(i: Insn, _: u32) -> Option<Op> {
    with_carry(i, if i.bit(31) { adcs::<X, true> } else { adcs::<W, true> })
}

// ---- logical ----

handlers! {
    fn and_imm[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()] & op.simm() as u64); }
    fn orr_imm[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()] | op.simm() as u64); }
    fn eor_imm[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.n()] ^ op.simm() as u64); }
    fn and_mask(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] & BITMASKS[op.imm() as usize & 0x1fff]; }
    fn orr_mask(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] | BITMASKS[op.imm() as usize & 0x1fff]; }
    fn eor_mask(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] ^ BITMASKS[op.imm() as usize & 0x1fff]; }
    fn mov_reg[S: Width](cpu, op) { cpu.x[op.d()] = S::trim(cpu.x[op.m()]); }
    fn and_reg(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] & cpu.x[op.m()]; }
    fn orr_reg(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] | cpu.x[op.m()]; }
    fn eor_reg(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()] ^ cpu.x[op.m()]; }
    fn logical_shifted[S: Width, const OPC: u8, const N: bool](cpu, op) {
        cpu.x[op.d()] = logical::<S, OPC, N>(cpu.x[op.n()], shifted::<S>(cpu.x[op.m()], op.a()));
    }
}

flag_handlers! {
    fn ands_imm[S: Width](cpu, op) {
        let r = S::trim(cpu.x[op.n()] & op.simm() as u64);
        cpu.x[op.d()] = r;
        (S::up(r), 0, ADD)
    }
    fn ands_mask(cpu, op) {
        let r = cpu.x[op.n()] & BITMASKS[op.imm() as usize & 0x1fff];
        cpu.x[op.d()] = r;
        (r, 0, ADD)
    }
    fn ands_shifted[S: Width, const N: bool](cpu, op) {
        let r = logical::<S, 0, N>(cpu.x[op.n()], shifted::<S>(cpu.x[op.m()], op.a()));
        cpu.x[op.d()] = r;
        (S::up(r), 0, ADD)
    }
}

#[inline(always)]
fn logical<S: Width, const OPC: u8, const N: bool>(n: u64, m: u64) -> u64 {
    let m = if N { !m } else { m };
    S::trim(match OPC {
        0 => n & m,
        1 => n | m,
        _ => n ^ m,
    })
}

/// `DecodeBitMasks()` for logical immediates: the 64-bit mask of `N:immr:imms`, zero where reserved (a mask is never
/// zero).
const fn bitmask(n: u32, immr: u32, imms: u32) -> u64 {
    let combined = n << 6 | (!imms & 0x3f);
    if combined < 2 {
        return 0;
    }
    let len = 31 - combined.leading_zeros();
    let size = 1 << len;
    let levels = size - 1;
    let (s, r) = (imms & levels, immr & levels);
    if s == levels {
        return 0;
    }
    let ones = (1u64 << (s + 1)) - 1;
    let mask = if size == 64 { u64::MAX } else { (1u64 << size) - 1 };
    let mut element = if r == 0 { ones } else { (ones >> r | ones << (size - r)) & mask };
    let mut width = size;
    while width < 64 {
        element |= element << width;
        width *= 2;
    }
    element
}

/// Every logical immediate by its 13 bits `N:immr:imms`.
static BITMASKS: [u64; 8192] = {
    let mut table = [0; 8192];
    let mut at = 0;
    while at < 8192 {
        table[at as usize] = bitmask(at >> 12, at >> 6 & 63, at & 63);
        at += 1;
    }
    table
};

/// The logical immediate of `i`, repeated to 64 bits.
pub(crate) fn logical_immediate(i: Insn) -> u64 {
    BITMASKS[i.bits(10, 13) as usize]
}

/// Whether the 64-bit logical immediate of `i` is a sign-extended 32-bit number.
pub(crate) fn mask_is_short(i: Insn) -> bool {
    let value = BITMASKS[i.bits(10, 13) as usize];
    value as i32 as u64 == value
}

fn logical_imm(i: Insn, w: Handler, x: Handler, mask: Handler, d: usize) -> Option<Op> {
    let index = i.bits(10, 13);
    let value = BITMASKS[index as usize];
    if value == 0 || (!i.bit(31) && i.bit(22)) {
        return None;
    }
    let op = |handler| Op::new(handler).d(d).n(zr(i.rn()));
    if !i.bit(31) {
        Some(op(w).imm(value as u32))
    } else if mask_is_short(i) {
        Some(op(x).imm(value as u32))
    } else {
        Some(op(mask).imm(index))
    }
}

/// AND (immediate). Rd 31 is SP.
pub(crate) fn lower_and_imm(i: Insn, _: u32) -> Option<Op> {
    logical_imm(i, and_imm::<W>, and_imm::<X>, and_mask, i.rd())
}

/// ORR (immediate).
pub(crate) fn lower_orr_imm(i: Insn, _: u32) -> Option<Op> {
    logical_imm(i, orr_imm::<W>, orr_imm::<X>, orr_mask, i.rd())
}

/// EOR (immediate).
pub(crate) fn lower_eor_imm(i: Insn, _: u32) -> Option<Op> {
    logical_imm(i, eor_imm::<W>, eor_imm::<X>, eor_mask, i.rd())
}

/// ANDS (immediate).
pub(crate) fn lower_ands_imm(i: Insn, _: u32) -> Option<Op> {
    logical_imm(i, ands_imm::<W>, ands_imm::<X>, ands_mask, zd(i.rd()))
}

fn logical_shifted_op(i: Insn, handler: Handler) -> Option<Op> {
    shift_ok(i).then(|| Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())).a(shift_of(i)))
}

/// AND, BIC, ORR, ORN, EOR, EON (shifted register): `opc` in bits 30:29, `N` in bit 21.
pub(crate) fn lower_logical_shifted(i: Insn, _: u32) -> Option<Op> {
    let (x, not) = (i.bit(31), i.bit(21));
    let plain = shift_of(i) == 0 && !not;
    let handler: Handler = match (i.bits(29, 2), x, not) {
        (1, true, _) if plain && i.rn() == 31 => mov_reg::<X>,
        (1, false, _) if plain && i.rn() == 31 => mov_reg::<W>,
        (0, true, _) if plain => and_reg,
        (1, true, _) if plain => orr_reg,
        (2, true, _) if plain => eor_reg,
        (0, true, false) => logical_shifted::<X, 0, false>,
        (0, true, true) => logical_shifted::<X, 0, true>,
        (0, false, false) => logical_shifted::<W, 0, false>,
        (0, false, true) => logical_shifted::<W, 0, true>,
        (1, true, false) => logical_shifted::<X, 1, false>,
        (1, true, true) => logical_shifted::<X, 1, true>,
        (1, false, false) => logical_shifted::<W, 1, false>,
        (1, false, true) => logical_shifted::<W, 1, true>,
        (_, true, false) => logical_shifted::<X, 2, false>,
        (_, true, true) => logical_shifted::<X, 2, true>,
        (_, false, false) => logical_shifted::<W, 2, false>,
        (_, false, true) => logical_shifted::<W, 2, true>,
    };
    logical_shifted_op(i, handler)
}

/// ANDS, BICS (shifted register).
pub(crate) fn lower_ands_shifted(i: Insn, _: u32) -> Option<Op> {
    let handler = match (i.bit(31), i.bit(21)) {
        (true, false) => ands_shifted::<X, false>,
        (true, true) => ands_shifted::<X, true>,
        (false, false) => ands_shifted::<W, false>,
        (false, true) => ands_shifted::<W, true>,
    };
    logical_shifted_op(i, handler)
}

// ---- moves and addresses ----

handlers! {
    fn mov_imm(cpu, op) { cpu.x[op.d()] = op.imm() as u64; }
    fn mov_simm(cpu, op) { cpu.x[op.d()] = op.simm() as u64; }
    fn mov_lsl(cpu, op) { cpu.x[op.d()] = (op.imm() as u64) << (op.a() & 63); }
    fn mov_not_lsl(cpu, op) { cpu.x[op.d()] = !((op.imm() as u64) << (op.a() & 63)); }
    fn movk[S: Width](cpu, op) {
        let shift = op.a() & 63;
        cpu.x[op.d()] = S::trim(cpu.x[op.d()] & !(0xffff << shift) | (op.imm() as u64) << shift);
    }
    fn adr(cpu, op) { cpu.x[op.d()] = cpu.code_va.wrapping_add(op.simm() as u64); }
    fn adrp(cpu, op) { cpu.x[op.d()] = cpu.code_va.wrapping_add((op.simm() << 12) as u64); }
}

/// `hw`, the position of a wide immediate; 32-bit forms have two positions.
fn wide_shift(i: Insn) -> Option<u32> {
    (i.bit(31) || !i.bit(22)).then(|| i.bits(21, 2) * 16)
}

/// MOVZ.
pub(crate) fn lower_movz(i: Insn, _: u32) -> Option<Op> {
    let (shift, imm) = (wide_shift(i)?, i.bits(5, 16));
    Some(match shift {
        0 | 16 => Op::new(mov_imm).d(zd(i.rd())).imm(imm << shift),
        _ => Op::new(mov_lsl).d(zd(i.rd())).imm(imm).a(shift as usize),
    })
}

/// MOVN.
pub(crate) fn lower_movn(i: Insn, _: u32) -> Option<Op> {
    let (shift, imm) = (wide_shift(i)?, i.bits(5, 16));
    let d = zd(i.rd());
    Some(match (i.bit(31), shift) {
        (false, _) => Op::new(mov_imm).d(d).imm(!(imm << shift)),
        (true, 0) => Op::new(mov_simm).d(d).imm(!imm),
        _ => Op::new(mov_not_lsl).d(d).imm(imm).a(shift as usize),
    })
}

/// MOVK.
pub(crate) fn lower_movk(i: Insn, _: u32) -> Option<Op> {
    let shift = wide_shift(i)?;
    Some(Op::new(by_sf!(i, movk)).d(zd(i.rd())).imm(i.bits(5, 16)).a(shift as usize))
}

fn adr_imm(i: Insn) -> u32 {
    (i.sbits(5, 19) << 2 | i.bits(29, 2) as i64) as u32
}

/// ADR: the immediate is made relative to the page.
pub(crate) fn lower_adr(i: Insn, offset: u32) -> Option<Op> {
    Some(Op::new(adr).d(zd(i.rd())).imm(adr_imm(i).wrapping_add(offset)))
}

/// ADRP.
pub(crate) fn lower_adrp(i: Insn, _: u32) -> Option<Op> {
    Some(Op::new(adrp).d(zd(i.rd())).imm(adr_imm(i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_immediates_are_those_of_the_manual() {
        assert_eq!(bitmask(1, 0, 0), 1);
        assert_eq!(bitmask(1, 0, 62), u64::MAX >> 1);
        assert_eq!(bitmask(0, 0, 0b111100), 0x5555_5555_5555_5555);
        assert_eq!(bitmask(0, 1, 0b111100), 0xaaaa_aaaa_aaaa_aaaa);
        assert_eq!(bitmask(1, 0, 63), 0);
        assert_eq!(bitmask(0, 0, 63), 0);
        let distinct: std::collections::BTreeSet<_> = BITMASKS.iter().filter(|m| **m != 0).collect();
        assert_eq!(distinct.len(), 5334);
    }
}
