//! Operations that call a function of the table: everything without a handler of its own.

use super::{Handler, Op, OpPtr, flags, leave};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// An operation that calls the function of row `row` with `word`.
pub(crate) fn op(handler: Handler, row: usize, word: u32) -> Op {
    Op::new(handler).d(row & 0xff).n(row >> 8).imm(word)
}

#[inline(always)]
fn invoke(cpu: &mut Cpu, op: OpPtr) -> Result<(), Trap> {
    cpu.pc = cpu.pc_of(op);
    let f = cpu.decoder.called(op.d() | op.n() << 8);
    f(cpu, Insn(op.imm()))
}

/// Calls without flags.
pub(crate) extern "C" fn call(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    match invoke(cpu, op) {
        Ok(()) => op.next(cpu, budget, fa, fb, fk),
        Err(trap) => stop(cpu, trap, flags::nzcv(fa, fb, fk)),
    }
}

/// Calls with flags.
pub(crate) extern "C" fn call_flags(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    cpu.nzcv = flags::nzcv(fa, fb, fk);
    match invoke(cpu, op) {
        Ok(()) => {
            let (fa, fb, fk) = flags::explicit(cpu.nzcv);
            op.next(cpu, budget, fa, fb, fk)
        }
        Err(trap) => stop(cpu, trap, cpu.nzcv),
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

/// Leaves after a call; the function has set the program counter where it is not this instruction.
#[cold]
#[inline(never)]
fn stop(cpu: &mut Cpu, trap: Trap, nzcv: u32) {
    cpu.nzcv = nzcv;
    cpu.left = Some(trap);
}
