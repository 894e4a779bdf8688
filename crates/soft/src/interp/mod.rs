//! The interpreter: predecoded operations, each with its handler, threaded by sibling calls.
//!
//! A code page holds one [`Op`] for each instruction word. A handler does its instruction and calls the handler of
//! the next operation as its last act, which an optimising build turns into a jump: the program counter, the flags
//! and the budget stay in host registers. Nothing in a handler may need a stack frame on its common path, so what is
//! rare (a TLB miss, a trap) is a cold handler of its own, reached by a sibling call too.
//!
//! Flags are lazy: a compare leaves its operands and what kind of operation it was ([`flags`]), and the condition is
//! computed by its reader. The budget falls by one with each taken branch; at zero the interpreter leaves, so that
//! interrupts, timers and requests of other CPUs are seen within a few hundred branches.

#![allow(unsafe_code)]

pub(crate) mod alu;
pub(crate) mod atomic;
pub(crate) mod bitfield;
pub(crate) mod branch;
pub(crate) mod call;
pub(crate) mod flags;
pub(crate) mod mem;
pub(crate) mod pair;
pub(crate) mod shift;
pub(crate) mod vector_mem;

use crate::cpu::Cpu;
use crate::trap::Trap;

/// What carries out an operation: CPU, operation, budget, and the lazy flags (see [`flags`]).
pub type Handler = extern "C" fn(&mut Cpu, OpPtr, u64, u64, u64, u64);

/// A predecoded instruction. The meaning of the operands is the handler's; `d`, `n`, `m`, `a` usually are register
/// numbers as [`Cpu::x`] numbers them.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Op {
    pub handler: Handler,
    pub d: u8,
    pub n: u8,
    pub m: u8,
    pub a: u8,
    pub imm: u32,
}

impl Op {
    /// An operation with no operands yet.
    pub fn new(handler: Handler) -> Self {
        Self { handler, d: 0, n: 0, m: 0, a: 0, imm: 0 }
    }

    /// With destination `d`.
    pub fn d(self, d: usize) -> Self {
        Self { d: d as u8, ..self }
    }

    /// With first source `n`.
    pub fn n(self, n: usize) -> Self {
        Self { n: n as u8, ..self }
    }

    /// With second source `m`.
    pub fn m(self, m: usize) -> Self {
        Self { m: m as u8, ..self }
    }

    /// With third operand `a`.
    pub fn a(self, a: usize) -> Self {
        Self { a: a as u8, ..self }
    }

    /// With an immediate.
    pub fn imm(self, imm: u32) -> Self {
        Self { imm, ..self }
    }
}

/// A pointer to an operation that is followed by at least one more in its code page.
///
/// Code pages live as long as the interpreter runs in them: they are freed only from inside
/// [`crate::code::CodeCache::page`], which every caller treats as the end of all pointers that it held.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct OpPtr(pub(crate) *const Op);

impl OpPtr {
    #[inline(always)]
    fn get(self) -> &'static Op {
        // SAFETY: an OpPtr points into a live code page (see the type). The reference does not outlive the handler
        // that asked for a field: every caller copies one field out at once.
        unsafe { &*self.0 }
    }

    /// The destination operand.
    #[inline(always)]
    pub fn d(self) -> usize {
        self.get().d as usize
    }

    /// The first source.
    #[inline(always)]
    pub fn n(self) -> usize {
        self.get().n as usize
    }

    /// The second source.
    #[inline(always)]
    pub fn m(self) -> usize {
        self.get().m as usize
    }

    /// The third operand.
    #[inline(always)]
    pub fn a(self) -> usize {
        self.get().a as usize
    }

    /// The immediate.
    #[inline(always)]
    pub fn imm(self) -> u32 {
        self.get().imm
    }

    /// The immediate as a signed number.
    #[inline(always)]
    pub fn simm(self) -> i64 {
        self.get().imm as i32 as i64
    }

    /// The handler.
    #[inline(always)]
    pub fn handler(self) -> Handler {
        self.get().handler
    }

    /// The operation `delta` instructions further in the same page.
    #[inline(always)]
    pub fn offset(self, delta: i64) -> Self {
        Self(self.0.wrapping_offset(delta as isize))
    }

    /// Carries out this operation. To be a handler's last act.
    #[inline(always)]
    pub fn go(self, cpu: &mut Cpu, budget: u64, fa: u64, fb: u64, fk: u64) {
        (self.get().handler)(cpu, self, budget, fa, fb, fk)
    }

    /// Carries out the operation after this one. To be a handler's last act.
    #[inline(always)]
    pub fn next(self, cpu: &mut Cpu, budget: u64, fa: u64, fb: u64, fk: u64) {
        self.offset(1).go(cpu, budget, fa, fb, fk)
    }
}

/// Defines handlers that neither branch nor touch the flags.
macro_rules! handlers {
    ($($(#[$meta:meta])* fn $name:ident $([$($generics:tt)*])? ($cpu:ident, $op:ident) $body:block)*) => {$(
        $(#[$meta])*
        extern "C" fn $name $(<$($generics)*>)? (
            $cpu: &mut $crate::cpu::Cpu, $op: $crate::interp::OpPtr, budget: u64, fa: u64, fb: u64, fk: u64,
        ) {
            $body
            $op.next($cpu, budget, fa, fb, fk)
        }
    )*};
}
pub(crate) use handlers;

/// Defines handlers that set the flags: the body ends in the three lazy flag values.
macro_rules! flag_handlers {
    ($($(#[$meta:meta])* fn $name:ident $([$($generics:tt)*])? ($cpu:ident, $op:ident) $body:block)*) => {$(
        $(#[$meta])*
        extern "C" fn $name $(<$($generics)*>)? (
            $cpu: &mut $crate::cpu::Cpu, $op: $crate::interp::OpPtr, budget: u64, _: u64, _: u64, _: u64,
        ) {
            let (fa, fb, fk) = $body;
            $op.next($cpu, budget, fa, fb, fk)
        }
    )*};
}
pub(crate) use flag_handlers;

/// Leaves the interpreter with `trap` at the operation `op`.
#[cold]
#[inline(never)]
pub(crate) fn leave(cpu: &mut Cpu, op: OpPtr, trap: Trap, fa: u64, fb: u64, fk: u64) {
    cpu.left = Some(trap);
    stop_at(cpu, op, fa, fb, fk)
}

/// Leaves the interpreter at the operation `op` with the trap that is in [`Cpu::left`] already.
#[cold]
#[inline(never)]
pub(crate) fn stop_at(cpu: &mut Cpu, op: OpPtr, fa: u64, fb: u64, fk: u64) {
    cpu.pc = cpu.pc_of(op);
    cpu.nzcv = flags::nzcv(fa, fb, fk);
}

/// The operation of a word that has not been decoded yet: decodes it in place and carries it out.
pub(crate) extern "C" fn undecoded(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    cpu.decode_at(op);
    op.go(cpu, budget, fa, fb, fk)
}

/// The operation of an unallocated encoding.
pub(crate) extern "C" fn unallocated(cpu: &mut Cpu, op: OpPtr, _: u64, fa: u64, fb: u64, fk: u64) {
    leave(cpu, op, Trap::Undefined, fa, fb, fk)
}

/// The operation after the last word of a page.
pub(crate) extern "C" fn page_end(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let target = cpu.pc_of(op);
    branch::jump(cpu, target, budget, fa, fb, fk)
}

/// Leaves the interpreter with the program counter on `op`: the budget is spent, or a single step is done.
#[cold]
#[inline(never)]
pub(crate) extern "C" fn pause(cpu: &mut Cpu, op: OpPtr, _: u64, fa: u64, fb: u64, fk: u64) {
    leave(cpu, op, Trap::Resume, fa, fb, fk)
}
