//! Loads and stores of FP and AdvSIMD registers, one or two: LDR, STR, LDP, STP and their forms.

use super::alu::zr;
use super::call::fp_trap;
use super::mem::{
    Extended, Literal, Mode, Offset, OnStack, Post, Pre, Shifted, is_base_aligned, may_access, slow_load, slow_store,
};
use super::pair::{load_two, store_two};
use super::{Handler, Op, OpPtr, stop_at};
use crate::cpu::{Cpu, SP};
use crate::isa::Insn;
use crate::ram::{HostPtr, Scalar};

extern "C" fn ldr<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.read(va, T::SIZE, cpu.tlb_context), cpu.fp_enabled && is_base_aligned::<M>(cpu))
    else {
        return ldr_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    cpu.v[op.d() & 31] = HostPtr(host as *mut u8).load::<T>().to_u128();
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn ldr_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !slow_load::<T>(cpu, va, cpu.tlb_context) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    cpu.v[op.d() & 31] = cpu.loaded[0];
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

extern "C" fn str<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.write(va, T::SIZE, cpu.tlb_context), cpu.fp_enabled && is_base_aligned::<M>(cpu))
    else {
        return str_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    HostPtr(host as *mut u8).store(T::from_u128(cpu.v[op.d() & 31]));
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn str_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !slow_store(cpu, va, T::from_u128(cpu.v[op.d() & 31]), cpu.tlb_context) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

extern "C" fn ldp<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) =
        (cpu.tlb.read(va, T::SIZE * 2, cpu.tlb_context), cpu.fp_enabled && is_base_aligned::<M>(cpu))
    else {
        return ldp_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    cpu.v[op.d() & 31] = HostPtr(host as *mut u8).load::<T>().to_u128();
    cpu.v[op.a() & 31] = HostPtr((host + T::SIZE) as *mut u8).load::<T>().to_u128();
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn ldp_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !load_two::<T>(cpu, va) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    cpu.v[op.d() & 31] = cpu.loaded[0];
    cpu.v[op.a() & 31] = cpu.loaded[1];
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

extern "C" fn stp<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) =
        (cpu.tlb.write(va, T::SIZE * 2, cpu.tlb_context), cpu.fp_enabled && is_base_aligned::<M>(cpu))
    else {
        return stp_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    HostPtr(host as *mut u8).store(T::from_u128(cpu.v[op.d() & 31]));
    HostPtr((host + T::SIZE) as *mut u8).store(T::from_u128(cpu.v[op.a() & 31]));
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn stp_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    let (va, base) = M::address(cpu, op);
    let (first, second) = (T::from_u128(cpu.v[op.d() & 31]), T::from_u128(cpu.v[op.a() & 31]));
    if !may_access::<M>(cpu) || !store_two(cpu, va, first, second) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

/// log2 of the access size by `opc<1>` (bit 23) and `size` (bits 31:30).
fn scale(i: Insn) -> Option<u32> {
    match (i.bit(23), i.bits(30, 2)) {
        (false, size) => Some(size),
        (true, 0) => Some(4),
        _ => None,
    }
}

/// The handler of one register in mode `M`.
fn handler<M: Mode>(i: Insn) -> Option<Handler> {
    if i.rn() == SP { handler_of::<OnStack<M>>(i) } else { handler_of::<M>(i) }
}

fn handler_of<M: Mode>(i: Insn) -> Option<Handler> {
    Some(match (scale(i)?, i.bit(22)) {
        (0, false) => str::<u8, M>,
        (1, false) => str::<u16, M>,
        (2, false) => str::<u32, M>,
        (3, false) => str::<u64, M>,
        (_, false) => str::<u128, M>,
        (0, true) => ldr::<u8, M>,
        (1, true) => ldr::<u16, M>,
        (2, true) => ldr::<u32, M>,
        (3, true) => ldr::<u64, M>,
        (_, true) => ldr::<u128, M>,
    })
}

fn op<M: Mode>(i: Insn, imm: i64) -> Option<Op> {
    Some(Op::new(handler::<M>(i)?).d(i.rd()).n(i.rn()).imm(imm as u32))
}

/// LDR, STR (immediate, SIMD&FP, unsigned offset).
pub(crate) fn lower_unsigned_offset(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, (i.bits(10, 12) << scale(i)?) as i64)
}

/// LDUR, STUR (SIMD&FP).
pub(crate) fn lower_unscaled(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, i.sbits(12, 9))
}

/// LDR, STR (immediate, SIMD&FP, post-index).
pub(crate) fn lower_post(i: Insn, _: u32) -> Option<Op> {
    op::<Post>(i, i.sbits(12, 9))
}

/// LDR, STR (immediate, SIMD&FP, pre-index).
pub(crate) fn lower_pre(i: Insn, _: u32) -> Option<Op> {
    op::<Pre>(i, i.sbits(12, 9))
}

/// LDR, STR (register, SIMD&FP).
pub(crate) fn lower_register_offset(i: Insn, _: u32) -> Option<Op> {
    let option = i.bits(13, 3);
    let shift = if i.bit(12) { scale(i)? } else { 0 };
    let (handler, a) = match option {
        3 | 7 => (handler::<Shifted>(i)?, shift),
        2 | 6 => (handler::<Extended>(i)?, option << 5 | shift),
        _ => return None,
    };
    Some(Op::new(handler).d(i.rd()).n(i.rn()).m(zr(i.rm())).a(a as usize))
}

/// LDR (literal, SIMD&FP).
pub(crate) fn lower_literal(i: Insn, offset: u32) -> Option<Op> {
    let handler: Handler = match i.bits(30, 2) {
        0 => ldr::<u32, Literal>,
        1 => ldr::<u64, Literal>,
        2 => ldr::<u128, Literal>,
        _ => return None,
    };
    Some(Op::new(handler).d(i.rd()).imm(((i.sbits(5, 19) << 2) as u32).wrapping_add(offset)))
}

/// The handler of two registers.
fn pair_handler_of<M: Mode>(i: Insn) -> Option<Handler> {
    Some(match (i.bits(30, 2), i.bit(22)) {
        (0, false) => stp::<u32, M>,
        (1, false) => stp::<u64, M>,
        (2, false) => stp::<u128, M>,
        (0, true) => ldp::<u32, M>,
        (1, true) => ldp::<u64, M>,
        (2, true) => ldp::<u128, M>,
        _ => return None,
    })
}

fn pair<M: Mode>(i: Insn) -> Option<Op> {
    let handler = if i.rn() == SP { pair_handler_of::<OnStack<M>>(i)? } else { pair_handler_of::<M>(i)? };
    let imm = i.sbits(15, 7) << (2 + i.bits(30, 2));
    Some(Op::new(handler).d(i.rd()).a(i.ra()).n(i.rn()).imm(imm as u32))
}

/// LDP, STP, LDNP, STNP (SIMD&FP, signed offset).
pub(crate) fn lower_pair_offset(i: Insn, _: u32) -> Option<Op> {
    pair::<Offset>(i)
}

/// LDP, STP (SIMD&FP, post-index).
pub(crate) fn lower_pair_post(i: Insn, _: u32) -> Option<Op> {
    pair::<Post>(i)
}

/// LDP, STP (SIMD&FP, pre-index).
pub(crate) fn lower_pair_pre(i: Insn, _: u32) -> Option<Op> {
    pair::<Pre>(i)
}
