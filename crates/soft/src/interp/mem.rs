//! Loads and stores of one general register (DDI 0487 C4.1, "Loads and Stores").
//!
//! The fast handlers probe the first way of the TLB. What it does not answer goes to the cold form of the same
//! instruction, which repeats it with every check.

use std::marker::PhantomData;

use super::alu::{extended, zd, zr};
use super::{Handler, Op, OpPtr, stop_at};
use crate::cpu::{Cpu, SP};
use crate::isa::Insn;
use crate::mmu::{CONTEXT_EL0, STACK_ALIGNMENT};
use crate::ram::{HostPtr, Scalar};
use crate::trap::Trap;

/// What is loaded and how it is extended.
pub(crate) trait Load {
    /// What memory holds.
    type Memory: Scalar;
    /// What the register gets.
    fn extend(v: Self::Memory) -> u64;
}

macro_rules! loads {
    ($($name:ident $memory:ty, $($via:ty)|+;)*) => {$(
        pub(crate) struct $name;
        impl Load for $name {
            type Memory = $memory;
            #[inline(always)]
            fn extend(v: $memory) -> u64 {
                v $(as $via)+ as u64
            }
        }
    )*};
}

loads! {
    U8 u8, u64;
    U16 u16, u64;
    U32 u32, u64;
    U64 u64, u64;
    S8W u8, i8 | i32 | u32;
    S16W u16, i16 | i32 | u32;
    S8X u8, i8 | i64;
    S16X u16, i16 | i64;
    S32X u32, i32 | i64;
}

/// How the address is made.
pub(crate) trait Mode {
    /// Rn is written with the second address.
    const WRITE_BACK: bool = false;
    /// The access has the rights of EL0.
    const UNPRIVILEGED: bool = false;
    /// The base is the stack pointer.
    const STACK: bool = false;
    /// The address of the access, and the value for Rn.
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64);
}

/// Base plus immediate.
pub(crate) struct Offset;
/// Base, then base plus immediate written back.
pub(crate) struct Post;
/// Base plus immediate, written back.
pub(crate) struct Pre;
/// Base plus register, shifted left by `a`.
pub(crate) struct Shifted;
/// Base plus register, extended as `a` says.
pub(crate) struct Extended;
/// Relative to the program counter.
pub(crate) struct Literal;
/// Base plus immediate with the rights of EL0 (LDTR, STTR).
pub(crate) struct Unprivileged;

impl Mode for Offset {
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        (cpu.x[op.n()].wrapping_add(op.simm() as u64), 0)
    }
}

impl Mode for Post {
    const WRITE_BACK: bool = true;
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        let base = cpu.x[op.n()];
        (base, base.wrapping_add(op.simm() as u64))
    }
}

impl Mode for Pre {
    const WRITE_BACK: bool = true;
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        let address = cpu.x[op.n()].wrapping_add(op.simm() as u64);
        (address, address)
    }
}

impl Mode for Shifted {
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        (cpu.x[op.n()].wrapping_add(cpu.x[op.m()] << (op.a() & 63)), 0)
    }
}

impl Mode for Extended {
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        (cpu.x[op.n()].wrapping_add(extended(cpu.x[op.m()], op.a())), 0)
    }
}

impl Mode for Literal {
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        (cpu.code_va.wrapping_add(op.simm() as u64), 0)
    }
}

impl Mode for Unprivileged {
    const UNPRIVILEGED: bool = true;
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        Offset::address(cpu, op)
    }
}

/// The stack pointer as the base of mode `M`.
pub(crate) struct OnStack<M>(PhantomData<M>);

impl<M: Mode> Mode for OnStack<M> {
    const WRITE_BACK: bool = M::WRITE_BACK;
    const UNPRIVILEGED: bool = M::UNPRIVILEGED;
    const STACK: bool = true;
    #[inline(always)]
    fn address(cpu: &Cpu, op: OpPtr) -> (u64, u64) {
        M::address(cpu, op)
    }
}

/// Whether the base of an access in mode `M` needs no look at what [`may_access`] goes by.
#[inline(always)]
pub(crate) fn is_base_aligned<M: Mode>(cpu: &Cpu) -> bool {
    !M::STACK || cpu.x[SP].is_multiple_of(STACK_ALIGNMENT)
}

/// Whether the base may be used; `false` with the trap in [`Cpu::left`].
pub(crate) fn may_access<M: Mode>(cpu: &mut Cpu) -> bool {
    !M::STACK || {
        let checked = cpu.check_stack();
        keep_trap(cpu, checked)
    }
}

/// The translation context of an access in mode `M`.
#[inline(always)]
pub(crate) fn context<M: Mode>(cpu: &Cpu) -> u64 {
    if M::UNPRIVILEGED { CONTEXT_EL0 } else { cpu.tlb_context }
}

/// A load with every check: what was loaded is in [`Cpu::loaded`], or the trap in [`Cpu::left`] and the answer is
/// `false`. Not in line, so that the handlers have nothing on their stack and end in a jump.
#[inline(never)]
pub(crate) fn slow_load<T: Scalar>(cpu: &mut Cpu, va: u64, context: u64) -> bool {
    let loaded = cpu.load_slow::<T>(va, context).map(|v| cpu.loaded[0] = v.to_u128());
    keep_trap(cpu, loaded)
}

/// A store with every check, as [`slow_load`].
#[inline(never)]
pub(crate) fn slow_store<T: Scalar>(cpu: &mut Cpu, va: u64, value: T, context: u64) -> bool {
    let stored = cpu.store_slow(va, value, context);
    keep_trap(cpu, stored)
}

/// Whether `result` is good; else its trap is kept.
pub(crate) fn keep_trap(cpu: &mut Cpu, result: Result<(), Trap>) -> bool {
    result.map_err(|trap| cpu.left = Some(trap)).is_ok()
}

extern "C" fn ldr<L: Load, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.read(va, L::Memory::SIZE, context::<M>(cpu)), is_base_aligned::<M>(cpu)) else {
        return ldr_slow::<L, M>(cpu, op, budget, fa, fb, fk);
    };
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    cpu.x[op.d()] = L::extend(HostPtr(host as *mut u8).load());
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn ldr_slow<L: Load, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !slow_load::<L::Memory>(cpu, va, context::<M>(cpu)) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    cpu.x[op.d()] = L::extend(L::Memory::from_u128(cpu.loaded[0]));
    op.next(cpu, budget, fa, fb, fk)
}

extern "C" fn str<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    let (Some(host), true) = (cpu.tlb.write(va, T::SIZE, context::<M>(cpu)), is_base_aligned::<M>(cpu)) else {
        return str_slow::<T, M>(cpu, op, budget, fa, fb, fk);
    };
    HostPtr(host as *mut u8).store(T::from_u64(cpu.x[op.d()]));
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

#[cold]
#[inline(never)]
extern "C" fn str_slow<T: Scalar, M: Mode>(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let (va, base) = M::address(cpu, op);
    if !may_access::<M>(cpu) || !slow_store(cpu, va, T::from_u64(cpu.x[op.d()]), context::<M>(cpu)) {
        return stop_at(cpu, op, fa, fb, fk);
    }
    if M::WRITE_BACK {
        cpu.x[op.n()] = base;
    }
    op.next(cpu, budget, fa, fb, fk)
}

/// Prefetches and other hints at this place do nothing.
extern "C" fn prefetch(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    op.next(cpu, budget, fa, fb, fk)
}

/// The handler in mode `M`; `prfm` where a prefetch is allocated.
fn handler<M: Mode>(i: Insn, prfm: bool) -> Option<Handler> {
    if i.rn() == SP { handler_of::<OnStack<M>>(i, prfm) } else { handler_of::<M>(i, prfm) }
}

/// The handler by `size` (bits 31:30) and `opc` (bits 23:22).
fn handler_of<M: Mode>(i: Insn, prfm: bool) -> Option<Handler> {
    Some(match (i.bits(30, 2), i.bits(22, 2)) {
        (0, 0) => str::<u8, M>,
        (1, 0) => str::<u16, M>,
        (2, 0) => str::<u32, M>,
        (3, 0) => str::<u64, M>,
        (0, 1) => ldr::<U8, M>,
        (1, 1) => ldr::<U16, M>,
        (2, 1) => ldr::<U32, M>,
        (3, 1) => ldr::<U64, M>,
        (0, 2) => ldr::<S8X, M>,
        (1, 2) => ldr::<S16X, M>,
        (2, 2) => ldr::<S32X, M>,
        (3, 2) if prfm => prefetch,
        (0, 3) => ldr::<S8W, M>,
        (1, 3) => ldr::<S16W, M>,
        _ => return None,
    })
}

/// The register: XZR as a source of stores, nowhere as a destination of loads.
fn register(i: Insn) -> usize {
    if i.bits(22, 2) == 0 { zr(i.rd()) } else { zd(i.rd()) }
}

fn op<M: Mode>(i: Insn, imm: i64, prfm: bool) -> Option<Op> {
    Some(Op::new(handler::<M>(i, prfm)?).d(register(i)).n(i.rn()).imm(imm as u32))
}

/// LDR, STR (immediate, unsigned offset) and their byte, halfword and signed forms; PRFM.
pub(crate) fn lower_unsigned_offset(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, (i.bits(10, 12) << i.bits(30, 2)) as i64, true)
}

/// LDUR, STUR; PRFUM.
pub(crate) fn lower_unscaled(i: Insn, _: u32) -> Option<Op> {
    op::<Offset>(i, i.sbits(12, 9), true)
}

/// LDR, STR (immediate, post-index).
pub(crate) fn lower_post(i: Insn, _: u32) -> Option<Op> {
    op::<Post>(i, i.sbits(12, 9), false)
}

/// LDR, STR (immediate, pre-index).
pub(crate) fn lower_pre(i: Insn, _: u32) -> Option<Op> {
    op::<Pre>(i, i.sbits(12, 9), false)
}

/// LDTR, STTR.
pub(crate) fn lower_unprivileged(i: Insn, _: u32) -> Option<Op> {
    op::<Unprivileged>(i, i.sbits(12, 9), false)
}

/// LDR, STR (register); PRFM (register).
pub(crate) fn lower_register_offset(i: Insn, _: u32) -> Option<Op> {
    let option = i.bits(13, 3);
    let shift = if i.bit(12) { i.bits(30, 2) } else { 0 };
    let (handler, a) = match option {
        3 | 7 => (handler::<Shifted>(i, true)?, shift),
        2 | 6 => (handler::<Extended>(i, true)?, option << 5 | shift),
        _ => return None,
    };
    Some(Op::new(handler).d(register(i)).n(i.rn()).m(zr(i.rm())).a(a as usize))
}

/// LDR, LDRSW (literal); PRFM (literal).
pub(crate) fn lower_literal(i: Insn, offset: u32) -> Option<Op> {
    let handler: Handler = match i.bits(30, 2) {
        0 => ldr::<U32, Literal>,
        1 => ldr::<U64, Literal>,
        2 => ldr::<S32X, Literal>,
        _ => prefetch,
    };
    Some(Op::new(handler).d(zd(i.rd())).imm(((i.sbits(5, 19) << 2) as u32).wrapping_add(offset)))
}
