//! Operations that call a function of the table: everything without a handler of its own.

use super::{Handler, Op, OpPtr, flags, leave};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// An operation that calls the function of row `row` with `word`.
pub(crate) fn op(handler: Handler, row: usize, word: u32) -> Op {
    Op::new(handler).d(row & 0xff).n(row >> 8).imm(word)
}

/// Calls the function of `op`; on a trap it is in [`Cpu::left`] and the answer is `false`.
///
/// A function of its own, so that the handlers have nothing on their stack and end in a jump.
#[inline(never)]
fn invoke(cpu: &mut Cpu, op: OpPtr) -> bool {
    cpu.pc = cpu.pc_of(op);
    let f = cpu.decoder.called(op.d() | op.n() << 8);
    match f(cpu, Insn(op.imm())) {
        Ok(()) => true,
        Err(trap) => {
            cpu.left = Some(trap);
            false
        }
    }
}

/// Calls without flags.
pub(crate) extern "C" fn call(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if invoke(cpu, op) {
        op.next(cpu, budget, fa, fb, fk)
    } else {
        cpu.nzcv = flags::nzcv(fa, fb, fk);
    }
}

/// Calls with flags.
pub(crate) extern "C" fn call_flags(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    cpu.nzcv = flags::nzcv(fa, fb, fk);
    if invoke(cpu, op) {
        let (fa, fb, fk) = flags::explicit(cpu.nzcv);
        op.next(cpu, budget, fa, fb, fk)
    }
}

/// Calls without flags if FP and AdvSIMD are enabled.
pub(crate) extern "C" fn call_fp(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    call(cpu, op, budget, fa, fb, fk)
}

/// Calls with flags if FP and AdvSIMD are enabled.
pub(crate) extern "C" fn call_fp_flags(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if !cpu.fp_enabled {
        return fp_trap(cpu, op, fa, fb, fk);
    }
    call_flags(cpu, op, budget, fa, fb, fk)
}

/// Leaves with the trap that `CPACR_EL1.FPEN` asks for.
#[cold]
#[inline(never)]
pub(crate) fn fp_trap(cpu: &mut Cpu, op: OpPtr, fa: u64, fb: u64, fk: u64) {
    leave(cpu, op, Trap::Exception { esr: arm64::esr::fp_access(), far: None }, fa, fb, fk)
}
