//! Branches, conditions, and the ways out of a region.

use std::mem::offset_of;

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, Kind, RAX, RCX, flag_offset};
use crate::cpu::Cpu;
use crate::jit::inst::Inst;
use crate::jit::region::{Slot, near_call, near_target};

/// x86 condition code for a guest condition on the host's flags; `None` where one code cannot say it.
fn host_condition(kind: Kind, cond: u8) -> Option<u8> {
    const SUB: [u8; 14] = [4, 5, 3, 2, 8, 9, 0, 1, 7, 6, 13, 12, 15, 14];
    match (kind, cond) {
        (Kind::Sub, _) => Some(SUB[cond as usize]),
        // The carry is not complemented here.
        (_, 2) => Some(2),
        (_, 3) => Some(3),
        (_, 8 | 9) => None,
        _ => Some(SUB[cond as usize]),
    }
}

/// Whether `reader` finds what it needs in the host's flags right after `setter`, not in the stored ones.
pub(super) fn reads_host_flags(setter: Inst, reader: Inst) -> bool {
    let kind = match setter {
        Inst::Logical { .. } => Kind::Logic,
        Inst::AddSub { sub, .. } | Inst::AddCarry { sub, .. } | Inst::CondCompare { sub, .. } if sub => Kind::Sub,
        _ => Kind::Add,
    };
    match reader {
        Inst::Select { cond, .. } | Inst::CondCompare { cond, .. } => {
            cond >= 14 || host_condition(kind, cond).is_some()
        }
        _ => true,
    }
}

impl Emitter<'_> {
    /// Puts the host's flags into a state in which the condition code that it returns is guest condition `cond`
    /// (0 to 13). Uses RAX and RCX.
    pub(super) fn condition(&mut self, cond: u8) -> u8 {
        if let Some(cc) = self.host_flags.and_then(|kind| host_condition(kind, cond)) {
            return cc;
        }
        if let Some((x, kind, cc)) =
            self.stored_flags.and_then(|(x, kind)| Some((x, kind, host_condition(kind, cond)?)))
        {
            dynasm!(self.asm ; .arch x64 ; mov rax, QWORD [rbp + flag_offset(0)]);
            match (kind, x) {
                (Kind::Sub, true) => dynasm!(self.asm ; .arch x64 ; cmp rax, QWORD [rbp + flag_offset(1)]),
                (Kind::Add, true) => dynasm!(self.asm ; .arch x64 ; add rax, QWORD [rbp + flag_offset(1)]),
                (Kind::Logic, true) => dynasm!(self.asm ; .arch x64 ; test rax, rax),
                (Kind::Sub, false) => dynasm!(self.asm ; .arch x64 ; cmp eax, DWORD [rbp + flag_offset(1)]),
                (Kind::Add, false) => dynasm!(self.asm ; .arch x64 ; add eax, DWORD [rbp + flag_offset(1)]),
                (Kind::Logic, false) => dynasm!(self.asm ; .arch x64 ; test eax, eax),
            }
            self.host_flags = Some(kind);
            return cc;
        }
        self.store_written();
        let target = crate::jit::runtime::holds as *const () as usize as i64;
        dynasm!(self.asm
            ; .arch x64
            ; mov rdi, rbp
            ; mov esi, i32::from(cond)
            ; mov rax, QWORD target
            ; sub rsp, 8
            ; call rax
            ; add rsp, 8
        );
        self.load_mapped();
        dynasm!(self.asm ; .arch x64 ; test al, al);
        self.host_flags = None;
        5
    }

    /// Jumps to `label` if condition code `cc` holds.
    pub(super) fn jump_if(&mut self, cc: u8, label: DynamicLabel) {
        match cc {
            0 => dynasm!(self.asm ; .arch x64 ; jo =>label),
            1 => dynasm!(self.asm ; .arch x64 ; jno =>label),
            2 => dynasm!(self.asm ; .arch x64 ; jb =>label),
            3 => dynasm!(self.asm ; .arch x64 ; jae =>label),
            4 => dynasm!(self.asm ; .arch x64 ; je =>label),
            5 => dynasm!(self.asm ; .arch x64 ; jne =>label),
            6 => dynasm!(self.asm ; .arch x64 ; jbe =>label),
            7 => dynasm!(self.asm ; .arch x64 ; ja =>label),
            8 => dynasm!(self.asm ; .arch x64 ; js =>label),
            9 => dynasm!(self.asm ; .arch x64 ; jns =>label),
            12 => dynasm!(self.asm ; .arch x64 ; jl =>label),
            13 => dynasm!(self.asm ; .arch x64 ; jge =>label),
            14 => dynasm!(self.asm ; .arch x64 ; jle =>label),
            _ => dynasm!(self.asm ; .arch x64 ; jg =>label),
        }
    }

    /// Emits a branch; whether control may reach the next word.
    pub(super) fn branch(&mut self, slot: Slot) -> bool {
        match slot.inst {
            Inst::Branch { link: false, .. } => {
                self.take(slot);
                false
            }
            Inst::Branch { distance, .. } => {
                self.link(slot);
                match near_call(slot.index, slot.inst) {
                    Some(target) => self.take_near(slot, target),
                    None => self.far(slot, distance),
                }
                false
            }
            Inst::BranchRegister { n, link } => {
                self.copy(n, RAX);
                if link {
                    self.link(slot);
                } else if n == 30 {
                    self.return_inside();
                } else {
                    self.jump_inside();
                }
                self.leave_to_address();
                false
            }
            Inst::BranchCond { cond: 14 | 15, .. } => {
                self.take(slot);
                false
            }
            Inst::BranchCond { cond, .. } => {
                let cc = self.condition(cond);
                self.take_if(cc, slot);
                true
            }
            Inst::BranchZero { x, n, nonzero, .. } => {
                let n = self.src(n, RAX);
                if x {
                    dynasm!(self.asm ; .arch x64 ; test Rq(n), Rq(n));
                } else {
                    dynasm!(self.asm ; .arch x64 ; test Rd(n), Rd(n));
                }
                self.host_flags = None;
                self.take_if(if nonzero { 5 } else { 4 }, slot);
                true
            }
            Inst::BranchBit { n, bit, set, .. } => {
                let n = self.src(n, RAX);
                dynasm!(self.asm ; .arch x64 ; bt Rq(n), bit as i8);
                self.host_flags = None;
                self.take_if(if set { 2 } else { 3 }, slot);
                true
            }
            _ => unreachable!("only branches come here"),
        }
    }

    /// X30 = address of the next instruction. Leaves RAX alone.
    fn link(&mut self, slot: Slot) {
        dynasm!(self.asm
            ; .arch x64
            ; mov rcx, QWORD [rbp + offset_of!(Cpu, code_va) as i32]
            ; lea rcx, [rcx + (slot.index as i32 + 1) * 4]
        );
        self.put(30, RCX);
    }

    /// Goes on behind the call of this region that the address in RAX says, if it does.
    fn return_inside(&mut self) {
        if self.return_sites.is_empty() {
            return;
        }
        let none = self.asm.new_dynamic_label();
        dynasm!(self.asm
            ; .arch x64
            ; mov rcx, rax
            ; sub rcx, QWORD [rbp + offset_of!(Cpu, code_va) as i32]
            ; test r15, r15
            ; jz =>none
            ; sub r15, 1
        );
        for site in self.return_sites.clone() {
            let label = self.labels[&site];
            dynasm!(self.asm ; .arch x64 ; cmp rcx, (site * 4) as i32 ; je =>label);
        }
        dynasm!(self.asm ; .arch x64 ; =>none);
    }

    /// Goes on at the instruction of this region at the address in RAX, if there is one that is a target.
    fn jump_inside(&mut self) {
        let Some(cases) = &self.cases else { return };
        let (table, first, bytes) = (cases.table, cases.first, cases.bytes());
        let none = self.asm.new_dynamic_label();
        dynasm!(self.asm
            ; .arch x64
            ; mov rcx, rax
            ; sub rcx, QWORD [rbp + offset_of!(Cpu, code_va) as i32]
            ; sub rcx, (first * 4) as i32
            ; cmp rcx, bytes as i32
            ; jae =>none
            ; test cl, 3
            ; jnz =>none
            ; test r15, r15
            ; jz =>none
            ; sub r15, 1
            ; lea rdx, [=>table]
            ; movsxd rcx, DWORD [rdx + rcx]
            ; add rcx, rdx
            ; jmp rcx
            ; =>none
        );
    }

    /// Takes the branch of `slot`.
    fn take(&mut self, slot: Slot) {
        match near_target(slot.index, slot.inst) {
            Some(target) => self.take_near(slot, target),
            None => self.far(slot, distance_of(slot.inst)),
        }
    }

    /// Goes on from `slot` at word `target`.
    fn take_near(&mut self, slot: Slot, target: usize) {
        if target <= slot.index {
            self.spend(target);
        }
        let label = self.label_of(target);
        dynasm!(self.asm ; .arch x64 ; jmp =>label);
    }

    /// Takes the branch of `slot` if condition code `cc` holds.
    fn take_if(&mut self, cc: u8, slot: Slot) {
        if let Some(target) = near_target(slot.index, slot.inst).filter(|target| *target > slot.index) {
            let label = self.label_of(target);
            return self.jump_if(cc, label);
        }
        let not_taken = self.asm.new_dynamic_label();
        self.jump_if(cc ^ 1, not_taken);
        self.take(slot);
        dynasm!(self.asm ; .arch x64 ; =>not_taken);
    }

    /// Where word `target` is: in the region, or a way out.
    fn label_of(&mut self, target: usize) -> DynamicLabel {
        match self.labels.get(&target) {
            Some(label) => *label,
            None => self.exit(target),
        }
    }

    /// Pays for a branch backwards to `target`, or pauses there.
    fn spend(&mut self, target: usize) {
        let pause = self.pause(target);
        dynasm!(self.asm ; .arch x64 ; sub r15, 1 ; jb =>pause);
    }

    /// Leaves to the instruction `distance` bytes from `slot`, in another page.
    fn far(&mut self, slot: Slot, distance: i64) {
        let offset = slot.index as i64 * 4 + distance;
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, QWORD [rbp + offset_of!(Cpu, code_va) as i32]
            ; lea rax, [rax + offset as i32]
        );
        self.leave_to_address();
    }
}

fn distance_of(inst: Inst) -> i64 {
    match inst {
        Inst::Branch { distance, .. }
        | Inst::BranchCond { distance, .. }
        | Inst::BranchZero { distance, .. }
        | Inst::BranchBit { distance, .. } => distance,
        _ => unreachable!("only direct branches have a distance"),
    }
}
