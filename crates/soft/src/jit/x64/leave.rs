//! The ways out of a region: to an operation of its page, to any virtual address, to the run loop.
//!
//! The next code is translated as often as not, and then is entered where it loads its registers: the flags are where
//! it leaves them, and RBP and R15 are the same. The interpreter gets its arguments instead.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Assembler, Emitter, flag_offset};
use crate::code::{ITLB_ENTRIES, Itlb, PAGE_SIZE};
use crate::cpu::Cpu;
use crate::interp::Handler;

/// CALL and JMP with a distance of 32 bits (Intel SDM, volume 2).
const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;

/// Bytes from an entry by the handlers' convention to the entry from translated code.
pub(in crate::jit) const WARM: usize = 6 + 3 * 7;

/// Bytes of an entry of the instruction TLB, as a shift.
const ITLB_SHIFT: u32 = 4;
const _: () = assert!(size_of::<Itlb>() == ITLB_ENTRIES << ITLB_SHIFT);

/// Code that all regions share, at the start of the buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::jit) struct Thunks {
    /// Carries out the operation at RSI.
    carry_out: usize,
    /// Called with a virtual address in RAX: where to jump from there is in RAX.
    find: usize,
    /// Leaves to the run loop, to go on with the operation at RSI.
    pause: usize,
}

/// Emits [`Thunks`] for address `at`.
pub(in crate::jit) fn thunks(at: usize) -> (Vec<u8>, Thunks) {
    let mut asm = Assembler::new(0);
    let carry_out = at + asm.offset().0;
    emit_carry_out(&mut asm);
    let find = at + asm.offset().0;
    emit_find(&mut asm);
    let pause = at + asm.offset().0;
    let handler = crate::interp::pause as Handler as usize as i64;
    dynasm!(asm ; .arch x64 ; mov rax, QWORD handler);
    emit_handler_call(&mut asm);
    (asm.finalize().expect("every label is defined"), Thunks { carry_out, find, pause })
}

/// Finds the code for an address in the instruction TLB; it is the interpreter's way when that does not know the address
/// or the budget is spent. The jump itself is the caller's, so that the host predicts it by where it stands.
fn emit_find(asm: &mut Assembler) {
    let (slow, slowly) = (asm.new_dynamic_label(), asm.new_dynamic_label());
    let (interpreted, interpret) = (asm.new_dynamic_label(), asm.new_dynamic_label());
    let range = offset_of!(Cpu, jit_range) as i32;
    let tag = (offset_of!(Cpu, itlb) + Itlb::TAG) as i32;
    let page = (offset_of!(Cpu, itlb) + Itlb::PAGE) as i32;
    dynasm!(asm
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
    let jump = crate::interp::branch::jump_to as extern "C" fn(&mut Cpu, u64, u64, u64, u64, u64) as usize as i64;
    dynasm!(asm
        ; .arch x64
        ; mov rax, QWORD [rsi]
        ; mov rcx, rax
        ; sub rcx, QWORD [rbp + range]
        ; cmp rcx, QWORD [rbp + range + 8]
        ; jae =>interpreted
        ; add rax, BYTE WARM as i8
        ; ret
        ; =>interpreted
        ; lea rax, [=>interpret]
        ; ret
        ; =>slow
        ; mov rsi, rax
        ; lea rax, [=>slowly]
        ; ret
        ; =>interpret
        ; mov rax, QWORD [rsi]
        ; mov rdx, r15
    );
    emit_handler_call(asm);
    // Nothing of the budget is left to it: it would only look again.
    dynasm!(asm ; .arch x64 ; =>slowly ; xor edx, edx ; mov rax, QWORD jump);
    emit_handler_call(asm);
}

fn emit_carry_out(asm: &mut Assembler) {
    let interpreted = asm.new_dynamic_label();
    let range = offset_of!(Cpu, jit_range) as i32;
    dynasm!(asm
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
    emit_handler_call(asm);
}

/// Jumps to the handler RAX with RSI, RDX, and the flags as the interpreter has them.
fn emit_handler_call(asm: &mut Assembler) {
    dynasm!(asm
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

impl Emitter<'_> {
    /// Leaves to the operation of word `index` of the page. When that is translated, too, the jump goes there.
    pub(super) fn leave_to_op(&mut self, index: usize) {
        self.store_written();
        let op = self.op_address(index);
        dynasm!(self.asm ; .arch x64 ; mov rsi, QWORD op);
        self.jump_to(JMP, self.place.thunks.carry_out);
        self.links.push((index, self.asm.offset().0 - 4));
    }

    /// Leaves to the run loop, to go on with word `index` of the page.
    pub(super) fn pause_at_op(&mut self, index: usize) {
        self.store_written();
        let op = self.op_address(index);
        dynasm!(self.asm ; .arch x64 ; mov rsi, QWORD op);
        self.jump_to(JMP, self.place.thunks.pause);
    }

    /// Leaves to the virtual address in RAX.
    pub(super) fn leave_to_address(&mut self) {
        self.store_written();
        self.jump_to(CALL, self.place.thunks.find);
        dynasm!(self.asm ; .arch x64 ; jmp rax);
    }

    /// Jumps to or calls the address `target` in the buffer.
    fn jump_to(&mut self, code: u8, target: usize) {
        let behind = self.place.code + self.asm.offset().0 + 5;
        let distance = (target as i64 - behind as i64) as i32;
        self.asm.push(code);
        self.asm.extend(&distance.to_le_bytes());
    }
}
