//! Loads and stores of two general registers: LDP, STP, LDPSW, LDNP, STNP.

use super::alu::{zd, zr};
use super::mem::{Load, Mode, Offset, OnStack, Post, Pre, S32X, U32, U64, is_base_aligned, keep_trap, may_access};
use super::{Handler, Op, OpPtr, stop_at};
use crate::cpu::{Cpu, SP};
use crate::isa::Insn;
use crate::ram::{HostPtr, Scalar};

extern "C" fn ldp<L: Load, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.read(va, L::Memory::SIZE * 2, cpu.tlb_context), is_base_aligned::<M>(cpu)) else {
        return ldp_slow::<L, M>(cpu, op, budget, fa, fb, fk);
    };
    let first = HostPtr(host as *mut u8).load();
    let second = HostPtr((host + L::Memory::SIZE) as *mut u8).load();
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    cpu.x[op.d()] = L::extend(first);
    cpu.x[op.a()] = L::extend(second);
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn ldp_slow<L: Load, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !load_two::<L::Memory>(cpu, va) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    cpu.x[op.d()] = L::extend(L::Memory::from_u128(cpu.loaded[0]));
    cpu.x[op.a()] = L::extend(L::Memory::from_u128(cpu.loaded[1]));
    op.next(cpu, budget, fa, fb, fk)
}

/// Loads two neighbours into [`Cpu::loaded`]; `false` with the trap in [`Cpu::left`].
#[inline(never)]
pub(crate) fn load_two<T: Scalar>(cpu: &mut Cpu, va: u64) -> bool {
    let first = cpu.load::<T>(va);
    let both = first.and_then(|first| Ok((first, cpu.load::<T>(va.wrapping_add(T::SIZE))?)));
    let loaded = both.map(|(first, second)| cpu.loaded = [first.to_u128(), second.to_u128()]);
    keep_trap(cpu, loaded)
}

/// Stores two neighbours; when the second faults, the first may have been stored, as the architecture allows.
#[inline(never)]
pub(crate) fn store_two<T: Scalar>(cpu: &mut Cpu, va: u64, first: T, second: T) -> bool {
    let stored = cpu.store(va, first).and_then(|()| cpu.store(va.wrapping_add(T::SIZE), second));
    keep_trap(cpu, stored)
}

extern "C" fn stp<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.write(va, T::SIZE * 2, cpu.tlb_context), is_base_aligned::<M>(cpu)) else {
        return stp_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    HostPtr(host as *mut u8).store(T::from_u64(cpu.x[op.d()]));
    HostPtr((host + T::SIZE) as *mut u8).store(T::from_u64(cpu.x[op.a()]));
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn stp_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (first, second) = (T::from_u64(cpu.x[op.d()]), T::from_u64(cpu.x[op.a()]));
    if !may_access::<M>(cpu) || !store_two(cpu, va, first, second) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

/// The handler in mode `M`.
fn handler<M: Mode>(i: Insn, signed: bool) -> Option<Handler> {
    if i.rn() == SP { handler_of::<OnStack<M>>(i, signed) } else { handler_of::<M>(i, signed) }
}

/// The handler by `opc` (bits 31:30) and L (bit 22).
fn handler_of<M: Mode>(i: Insn, signed: bool) -> Option<Handler> {
    Some(match (i.bits(30, 2), i.bit(22)) {
        (0, false) => stp::<u32, M>,
        (2, false) => stp::<u64, M>,
        (0, true) => ldp::<U32, M>,
        (1, true) if signed => ldp::<S32X, M>,
        (2, true) => ldp::<U64, M>,
        _ => return None,
    })
}

fn op<M: Mode>(i: Insn, signed: bool) -> Option<Op> {
    let scale = if i.bit(31) { 3 } else { 2 };
    let register = |n| if i.bit(22) { zd(n) } else { zr(n) };
    let op = Op::new(handler::<M>(i, signed)?).d(register(i.rd())).a(register(i.ra()));
    Some(op.n(i.rn()).imm((i.sbits(15, 7) << scale) as u32))
}

/// LDP, STP, LDPSW (signed offset).
pub(crate) fn lower_offset(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, true)
}

/// LDNP, STNP.
pub(crate) fn lower_no_allocate(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, false)
}

/// LDP, STP, LDPSW (post-index).
pub(crate) fn lower_post(i: Insn, _: u32) -> Option<Op> {
    op::<Post>(i, true)
}

/// LDP, STP, LDPSW (pre-index).
pub(crate) fn lower_pre(i: Insn, _: u32) -> Option<Op> {
    op::<Pre>(i, true)
}
