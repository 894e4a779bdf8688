//! The ways out of a region: to an operation of its page, to any virtual address, to the run loop.
//!
//! The next code is translated as often as not, and then is entered where it loads its registers: the flags are where
//! it leaves them, and RBP and R15 are the same. The interpreter gets its arguments instead.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, flag_offset};
use crate::code::{ITLB_ENTRIES, Itlb, PAGE_SIZE};
use crate::cpu::Cpu;
use crate::interp::Handler;

/// Bytes from an entry by the handlers' convention to the entry from translated code.
pub(super) const WARM: usize = 6 + 3 * 7;

/// Bytes of an entry of the instruction TLB, as a shift.
const ITLB_SHIFT: u32 = 4;
const _: () = assert!(size_of::<Itlb>() == ITLB_ENTRIES << ITLB_SHIFT);

impl Emitter<'_> {
    /// Leaves to the operation of word `index` of the page.
    pub(super) fn leave_to_op(&mut self, index: usize) {
        self.store_written();
        let op = self.op_address(index);
        dynasm!(self.asm ; .arch x64 ; mov rsi, QWORD op);
        self.carry_out();
    }

    /// Leaves to the run loop, to go on with word `index` of the page.
    pub(super) fn pause_at_op(&mut self, index: usize) {
        self.store_written();
        let op = self.op_address(index);
        let pause = crate::interp::pause as Handler as usize as i64;
        dynasm!(self.asm ; .arch x64 ; mov rsi, QWORD op ; mov rax, QWORD pause);
        self.call_handler();
    }

    /// Leaves to the virtual address in RAX: through the instruction TLB, or by the interpreter's way when that does not
    /// know it or the budget is spent.
    pub(super) fn leave_to_address(&mut self) {
        let slow = self.asm.new_dynamic_label();
        self.store_written();
        let tag = (offset_of!(Cpu, itlb) + Itlb::TAG) as i32;
        let page = (offset_of!(Cpu, itlb) + Itlb::PAGE) as i32;
        dynasm!(self.asm
            ; .arch x64
            ; mov ecx, eax
            ; shr ecx, (12 - ITLB_SHIFT) as i8
            ; and ecx, ((ITLB_ENTRIES - 1) << ITLB_SHIFT) as i32
            ; mov rdx, QWORD [rbp + offset_of!(Cpu, tlb_context) as i32]
            ; shl rdx, 2
            ; mov rsi, rax
            ; and rsi, !(PAGE_SIZE as i32 - 4)
            ; or rdx, rsi
            ; cmp rdx, QWORD [rbp + rcx + tag]
            ; jne =>slow
            ; sub r15, 1
            ; jb =>slow
            ; mov rdx, QWORD [rbp + rcx + page]
            ; mov QWORD [rbp + offset_of!(Cpu, code_page) as i32], rdx
            ; mov rcx, rax
            ; and rcx, -(PAGE_SIZE as i32)
            ; mov QWORD [rbp + offset_of!(Cpu, code_va) as i32], rcx
            ; and eax, PAGE_SIZE as i32 - 1
            ; lea rsi, [rdx + rax * 4]
        );
        self.carry_out();
        let jump = crate::interp::branch::jump_to as extern "C" fn(&mut Cpu, u64, u64, u64, u64, u64) as usize as i64;
        dynasm!(self.asm ; .arch x64 ; =>slow ; mov rsi, rax ; xor edx, edx ; mov rax, QWORD jump);
        // Nothing of the budget is left to it: it would only look again.
        self.call_handler();
    }

    /// Carries out the operation at RSI.
    fn carry_out(&mut self) {
        let interpreted = self.asm.new_dynamic_label();
        let range = offset_of!(Cpu, jit_range) as i32;
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, QWORD [rsi]
            ; mov rcx, rax
            ; sub rcx, QWORD [rbp + range]
            ; cmp rcx, QWORD [rbp + range + 8]
            ; jae =>interpreted
            ; add rax, BYTE WARM as i8
            ; jmp rax
            ; =>interpreted
            ; mov rdx, r15
        );
        self.call_handler();
    }

    /// Jumps to the handler RAX with RSI, RDX, and the flags as the interpreter has them.
    fn call_handler(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; mov rdi, rbp
            ; mov r9, QWORD [rbp + flag_offset(2)]
            ; mov r10, QWORD [rbp + flag_offset(0)]
            ; mov r8, QWORD [rbp + flag_offset(1)]
            ; mov ecx, r9d
            ; shr ecx, 8
            ; shl r10, cl
            ; shl r8, cl
            ; mov rcx, r10
            ; movzx r9d, r9b
            ; jmp rax
        );
    }
}
