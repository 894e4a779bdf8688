//! Arithmetic, logic, bit fields and selects.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, Kind, RAX, RCX, RDX, flag_offset};
use crate::cpu::{Cpu, DISCARD, XZR};
use crate::interp::flags;
use crate::jit::inst::{Inst, Logic, Operand};

impl Emitter<'_> {
    /// Emits an instruction that neither branches nor touches memory. `keep`: flags that it sets have to be stored.
    pub(super) fn compute(&mut self, inst: Inst, keep: bool) {
        match inst {
            Inst::AddSub { x, sub, flags: true, d, n, operand } => {
                return self.add_sub_flags(x, sub, d, n, operand, keep);
            }
            Inst::Logical { x, invert, flags: true, d, n, operand, .. } => {
                return self.and_flags(x, invert, d, n, operand, keep);
            }
            Inst::CondCompare { x, sub, n, operand, cond, nzcv } => {
                return self.cond_compare(x, sub, n, operand, cond, nzcv, keep);
            }
            Inst::Select { x, d, n, m, cond, invert, increment } => {
                return self.select(x, d, n, m, cond, invert, increment);
            }
            Inst::Nop => return,
            Inst::Const { d, value } => {
                let host = self.dst(d);
                self.constant(host, value);
                return self.put(d, host);
            }
            _ => {}
        }
        self.host_flags = None;
        match inst {
            Inst::AddSub { x, sub, d, n, operand, .. } => self.add_sub(x, sub, d, n, operand),
            Inst::Logical { x, op, invert, d, n, operand, .. } => self.logical(x, op, invert, d, n, operand),
            Inst::PageRelative { d, offset } => {
                dynasm!(self.asm ; .arch x64 ; mov rax, QWORD [rbp + offset_of!(Cpu, code_va) as i32]);
                match i32::try_from(offset) {
                    Ok(offset) => dynasm!(self.asm ; .arch x64 ; lea rax, [rax + offset]),
                    Err(_) => dynasm!(self.asm ; .arch x64 ; mov rcx, QWORD offset ; add rax, rcx),
                }
                self.put(d, RAX);
            }
            Inst::Movk { x, d, imm, shift } => self.movk(x, d, imm, shift),
            Inst::Extract { x, signed, d, n, lsb, len } => self.extract(x, signed, d, n, lsb, len),
            Inst::Deposit { x, signed, d, n, at, len } => self.deposit(x, signed, d, n, at, len),
            Inst::Insert { x, d, n, from, to, len } => self.insert(x, d, n, from, to, len),
            Inst::ExtractPair { x, d, n, m, lsb } => {
                self.copy(m, RAX);
                let n = self.src(n, RCX);
                if x {
                    dynasm!(self.asm ; .arch x64 ; shrd rax, Rq(n), lsb as i8);
                } else {
                    dynasm!(self.asm ; .arch x64 ; shrd eax, Rd(n), lsb as i8 ; mov eax, eax);
                }
                self.put(d, RAX);
            }
            Inst::MulAdd { x, sub, d, n, m, a } => {
                self.copy(n, RAX);
                let m = self.src(m, RCX);
                dynasm!(self.asm ; .arch x64 ; imul rax, Rq(m));
                self.accumulate(x, sub, d, a);
            }
            Inst::MulAddLong { signed, sub, d, n, m, a } => {
                let (n, m) = (self.src(n, RAX), self.src(m, RCX));
                if signed {
                    dynasm!(self.asm ; .arch x64 ; movsxd rax, Rd(n) ; movsxd rcx, Rd(m) ; imul rax, rcx);
                } else {
                    dynasm!(self.asm ; .arch x64 ; mov eax, Rd(n) ; mov ecx, Rd(m) ; imul rax, rcx);
                }
                self.accumulate(true, sub, d, a);
            }
            Inst::MulHigh { signed, d, n, m } => {
                self.copy(n, RAX);
                let m = self.src(m, RCX);
                if signed {
                    dynasm!(self.asm ; .arch x64 ; imul Rq(m));
                } else {
                    dynasm!(self.asm ; .arch x64 ; mul Rq(m));
                }
                self.put(d, RDX);
            }
            Inst::ShiftVar { x, kind, d, n, m } => self.shift_var(x, kind, d, n, m),
            Inst::Reverse { x, d, n } => {
                self.copy(n, RAX);
                if x {
                    dynasm!(self.asm ; .arch x64 ; bswap rax);
                } else {
                    dynasm!(self.asm ; .arch x64 ; bswap eax);
                }
                self.put(d, RAX);
            }
            _ => unreachable!("branches and accesses are emitted elsewhere"),
        }
    }

    /// `host` = `value`. Leaves the flags alone.
    pub(super) fn constant(&mut self, host: u8, value: u64) {
        if let Ok(small) = u32::try_from(value) {
            dynasm!(self.asm ; .arch x64 ; mov Rd(host), small as i32);
        } else if value as i32 as u64 == value {
            dynasm!(self.asm ; .arch x64 ; mov Rq(host), value as i32);
        } else {
            dynasm!(self.asm ; .arch x64 ; mov Rq(host), QWORD value as i64);
        }
    }

    /// A host register with the value of `operand`, in `scratch` unless it is a guest register as it stands.
    fn operand(&mut self, x: bool, operand: Operand, scratch: u8) -> u8 {
        match operand {
            Operand::Imm(value) => self.constant(scratch, value),
            Operand::Shifted { m, amount: 0, .. } => return self.src(m, scratch),
            Operand::Shifted { m, kind, amount } => {
                self.copy(m, scratch);
                self.shift_const(x, kind, scratch, amount);
            }
            Operand::Extended { m, option, shift } => {
                self.copy(m, scratch);
                self.extend(scratch, option, shift);
            }
        }
        scratch
    }

    /// Shifts `host` by a constant: kind 0 LSL, 1 LSR, 2 ASR, 3 ROR.
    fn shift_const(&mut self, x: bool, kind: u8, host: u8, amount: u8) {
        let amount = amount as i8;
        match (kind, x) {
            (0, true) => dynasm!(self.asm ; .arch x64 ; shl Rq(host), amount),
            (1, true) => dynasm!(self.asm ; .arch x64 ; shr Rq(host), amount),
            (2, true) => dynasm!(self.asm ; .arch x64 ; sar Rq(host), amount),
            (_, true) => dynasm!(self.asm ; .arch x64 ; ror Rq(host), amount),
            (0, false) => dynasm!(self.asm ; .arch x64 ; shl Rd(host), amount),
            (1, false) => dynasm!(self.asm ; .arch x64 ; shr Rd(host), amount),
            (2, false) => dynasm!(self.asm ; .arch x64 ; sar Rd(host), amount),
            (_, false) => dynasm!(self.asm ; .arch x64 ; ror Rd(host), amount),
        }
    }

    /// Extends `host` in place as `option` says, then shifts it left.
    pub(super) fn extend(&mut self, host: u8, option: u8, shift: u8) {
        match option {
            0 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rb(host)),
            1 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rw(host)),
            2 => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(host)),
            4 => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rb(host)),
            5 => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rw(host)),
            6 => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), Rd(host)),
            _ => {}
        }
        if shift != 0 {
            dynasm!(self.asm ; .arch x64 ; shl Rq(host), shift as i8);
        }
    }

    fn add_sub(&mut self, x: bool, sub: bool, d: u8, n: u8, operand: Operand) {
        if let Operand::Imm(imm) = operand {
            let disp = if sub { -(imm as i64) as i32 } else { imm as i32 };
            let (n, host) = (self.src(n, RAX), self.dst(d));
            if x {
                dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + disp]);
            } else {
                dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + disp]);
            }
            return self.put(d, host);
        }
        let m = self.operand(x, operand, RCX);
        if !sub {
            let (n, host) = (self.src(n, RAX), self.dst(d));
            if x {
                dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + Rq(m)]);
            } else {
                dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + Rq(m)]);
            }
            return self.put(d, host);
        }
        self.copy(n, RAX);
        if x {
            dynasm!(self.asm ; .arch x64 ; sub rax, Rq(m));
        } else {
            dynasm!(self.asm ; .arch x64 ; sub eax, Rd(m));
        }
        self.put(d, RAX);
    }

    /// Stores the lazy flags with operands RAX and `b`, a scratch register or a mapped one. Uses RDX.
    fn store_operands(&mut self, x: bool, b: u8, kind: Kind) {
        if x {
            dynasm!(self.asm
                ; .arch x64
                ; mov QWORD [rbp + flag_offset(0)], rax
                ; mov QWORD [rbp + flag_offset(1)], Rq(b)
            );
        } else {
            dynasm!(self.asm
                ; .arch x64
                ; mov rdx, rax
                ; shl rdx, 32
                ; mov QWORD [rbp + flag_offset(0)], rdx
                ; mov rdx, Rq(b)
                ; shl rdx, 32
                ; mov QWORD [rbp + flag_offset(1)], rdx
            );
        }
        self.store_kind(kind);
    }

    fn store_kind(&mut self, kind: Kind) {
        let number = if kind == Kind::Sub { flags::SUB } else { flags::ADD };
        let stored = self.stored_flags.map(|kind| if kind == Kind::Sub { flags::SUB } else { flags::ADD });
        if stored != Some(number) {
            dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(2)], number as i32);
        }
        self.stored_flags = Some(kind);
    }

    fn add_sub_flags(&mut self, x: bool, sub: bool, d: u8, n: u8, operand: Operand, keep: bool) {
        self.host_flags = None;
        let kind = if sub { Kind::Sub } else { Kind::Add };
        let m = self.operand(x, operand, RCX);
        self.copy(n, RAX);
        if keep {
            self.store_operands(x, m, kind);
        }
        match (x, sub) {
            (true, true) => dynasm!(self.asm ; .arch x64 ; sub rax, Rq(m)),
            (true, false) => dynasm!(self.asm ; .arch x64 ; add rax, Rq(m)),
            (false, true) => dynasm!(self.asm ; .arch x64 ; sub eax, Rd(m)),
            (false, false) => dynasm!(self.asm ; .arch x64 ; add eax, Rd(m)),
        }
        self.put(d, RAX);
        self.host_flags = Some(kind);
    }

    fn and_flags(&mut self, x: bool, invert: bool, d: u8, n: u8, operand: Operand, keep: bool) {
        self.host_flags = None;
        let m = self.operand(x, operand, RCX);
        self.copy(n, RAX);
        self.combine(x, Logic::And, invert, m);
        if keep {
            if x {
                dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(0)], rax);
            } else {
                dynasm!(self.asm ; .arch x64 ; mov rdx, rax ; shl rdx, 32 ; mov QWORD [rbp + flag_offset(0)], rdx);
            }
            dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(1)], 0);
            self.store_kind(Kind::Logic);
        }
        self.put(d, RAX);
        if x {
            dynasm!(self.asm ; .arch x64 ; test rax, rax);
        } else {
            dynasm!(self.asm ; .arch x64 ; test eax, eax);
        }
        self.host_flags = Some(Kind::Logic);
    }

    /// RAX = RAX `op` `m`. Uses RCX.
    fn combine(&mut self, x: bool, op: Logic, invert: bool, mut m: u8) {
        if invert {
            if m != RCX {
                dynasm!(self.asm ; .arch x64 ; mov rcx, Rq(m));
            }
            dynasm!(self.asm ; .arch x64 ; not rcx);
            m = RCX;
        }
        match (op, x) {
            (Logic::And, true) => dynasm!(self.asm ; .arch x64 ; and rax, Rq(m)),
            (Logic::Orr, true) => dynasm!(self.asm ; .arch x64 ; or rax, Rq(m)),
            (Logic::Eor, true) => dynasm!(self.asm ; .arch x64 ; xor rax, Rq(m)),
            (Logic::And, false) => dynasm!(self.asm ; .arch x64 ; and eax, Rd(m)),
            (Logic::Orr, false) => dynasm!(self.asm ; .arch x64 ; or eax, Rd(m)),
            (Logic::Eor, false) => dynasm!(self.asm ; .arch x64 ; xor eax, Rd(m)),
        }
    }

    fn logical(&mut self, x: bool, op: Logic, invert: bool, d: u8, n: u8, operand: Operand) {
        let m = self.operand(x, operand, RCX);
        // MOV (register).
        if n as usize == XZR && op == Logic::Orr && !invert {
            let host = self.dst(d);
            if x {
                dynasm!(self.asm ; .arch x64 ; mov Rq(host), Rq(m));
            } else {
                dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(m));
            }
            return self.put(d, host);
        }
        self.copy(n, RAX);
        self.combine(x, op, invert, m);
        self.put(d, RAX);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn cond_compare(&mut self, x: bool, sub: bool, n: u8, operand: Operand, cond: u8, nzcv: u8, keep: bool) {
        let kind = if sub { Kind::Sub } else { Kind::Add };
        let (failed, done) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        let always = cond >= 14;
        if !always {
            let cc = self.condition(cond);
            self.jump_if(cc ^ 1, failed);
        }
        // What is stored is of one of two kinds from here on.
        self.stored_flags = None;
        self.add_sub_flags(x, sub, DISCARD as u8, n, operand, keep);
        if !always {
            dynasm!(self.asm ; .arch x64 ; jmp =>done ; =>failed);
            if keep {
                let (value, number) = (i32::from(nzcv) << 28, flags::NZCV as i32);
                dynasm!(self.asm
                    ; .arch x64
                    ; mov eax, value
                    ; mov QWORD [rbp + flag_offset(0)], rax
                    ; mov QWORD [rbp + flag_offset(2)], number
                );
            }
            self.host_nzcv(kind, nzcv);
            dynasm!(self.asm ; .arch x64 ; =>done);
            self.stored_flags = None;
        }
        self.host_flags = Some(kind);
    }

    /// Sets the host's flags to `nzcv` as an operation of `kind` would leave them. Uses RAX.
    fn host_nzcv(&mut self, kind: Kind, nzcv: u8) {
        let (n, z, c, v) = (nzcv >> 3 & 1, nzcv >> 2 & 1, nzcv >> 1 & 1, nzcv & 1);
        let carry = if kind == Kind::Sub { 1 - c } else { c };
        // SAHF takes SF, ZF and CF from AH; adding 0x7f to AL overflows just when AL is 1.
        let ah = n << 7 | z << 6 | carry;
        dynasm!(self.asm ; .arch x64 ; mov eax, i32::from(ah) << 8 | i32::from(v) ; add al, 0x7f ; sahf);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn select(&mut self, x: bool, d: u8, n: u8, m: u8, cond: u8, invert: bool, increment: bool) {
        if cond >= 14 {
            self.copy(n, RAX);
        } else {
            let cc = self.condition(cond);
            self.copy(n, RAX);
            self.copy(m, RCX);
            if invert {
                dynasm!(self.asm ; .arch x64 ; not rcx);
            }
            if increment {
                dynasm!(self.asm ; .arch x64 ; lea rcx, [rcx + 1]);
            }
            self.move_if(cc ^ 1);
        }
        if !x {
            dynasm!(self.asm ; .arch x64 ; mov eax, eax);
        }
        self.put(d, RAX);
    }

    /// RAX = RCX if condition code `cc` holds.
    fn move_if(&mut self, cc: u8) {
        match cc {
            0 => dynasm!(self.asm ; .arch x64 ; cmovo rax, rcx),
            1 => dynasm!(self.asm ; .arch x64 ; cmovno rax, rcx),
            2 => dynasm!(self.asm ; .arch x64 ; cmovb rax, rcx),
            3 => dynasm!(self.asm ; .arch x64 ; cmovae rax, rcx),
            4 => dynasm!(self.asm ; .arch x64 ; cmove rax, rcx),
            5 => dynasm!(self.asm ; .arch x64 ; cmovne rax, rcx),
            6 => dynasm!(self.asm ; .arch x64 ; cmovbe rax, rcx),
            7 => dynasm!(self.asm ; .arch x64 ; cmova rax, rcx),
            8 => dynasm!(self.asm ; .arch x64 ; cmovs rax, rcx),
            9 => dynasm!(self.asm ; .arch x64 ; cmovns rax, rcx),
            12 => dynasm!(self.asm ; .arch x64 ; cmovl rax, rcx),
            13 => dynasm!(self.asm ; .arch x64 ; cmovge rax, rcx),
            14 => dynasm!(self.asm ; .arch x64 ; cmovle rax, rcx),
            _ => dynasm!(self.asm ; .arch x64 ; cmovg rax, rcx),
        }
    }

    fn movk(&mut self, x: bool, d: u8, imm: u16, shift: u8) {
        if d as usize == DISCARD {
            return;
        }
        self.copy(d, RAX);
        if x {
            self.constant(RCX, !(0xffff << shift));
            dynasm!(self.asm ; .arch x64 ; and rax, rcx);
            self.constant(RCX, u64::from(imm) << shift);
            dynasm!(self.asm ; .arch x64 ; or rax, rcx);
        } else {
            let (mask, value) = (!(0xffffu32 << shift), u32::from(imm) << shift);
            dynasm!(self.asm ; .arch x64 ; and eax, mask as i32 ; or eax, value as i32);
        }
        self.put(d, RAX);
    }

    fn extract(&mut self, x: bool, signed: bool, d: u8, n: u8, lsb: u8, len: u8) {
        let n = self.src(n, RAX);
        let host = self.dst(d);
        match (signed, lsb, len) {
            (false, 0, 8) => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rb(n)),
            (false, 0, 16) => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rw(n)),
            (false, 0, 32) => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(n)),
            (true, 0, 32) if x => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), Rd(n)),
            (true, 0, 8) if x => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rb(n)),
            (true, 0, 16) if x => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rw(n)),
            _ => {
                let width = if x { 64 } else { 32 };
                if n != RAX {
                    dynasm!(self.asm ; .arch x64 ; mov rax, Rq(n));
                }
                // Up against the top, then down: zero or sign bits come in above.
                if lsb + len != width {
                    self.shift_const(x, 0, RAX, width - lsb - len);
                }
                if len != width {
                    self.shift_const(x, if signed { 2 } else { 1 }, RAX, width - len);
                }
                if !x {
                    dynasm!(self.asm ; .arch x64 ; mov eax, eax);
                }
                return self.put(d, RAX);
            }
        }
        self.put(d, host);
    }

    fn deposit(&mut self, x: bool, signed: bool, d: u8, n: u8, at: u8, len: u8) {
        let width = if x { 64 } else { 32 };
        self.copy(n, RAX);
        if len != width {
            self.shift_const(x, 0, RAX, width - len);
        }
        if at + len != width {
            self.shift_const(x, if signed { 2 } else { 1 }, RAX, width - len - at);
        }
        if !x {
            dynasm!(self.asm ; .arch x64 ; mov eax, eax);
        }
        self.put(d, RAX);
    }

    fn insert(&mut self, x: bool, d: u8, n: u8, from: u8, to: u8, len: u8) {
        if d as usize == DISCARD {
            return;
        }
        let mask = u64::MAX >> (64 - len) << to;
        self.copy(n, RAX);
        if from > to {
            self.shift_const(true, 1, RAX, from - to);
        } else if to > from {
            self.shift_const(true, 0, RAX, to - from);
        }
        self.constant(RCX, mask);
        dynasm!(self.asm ; .arch x64 ; and rax, rcx);
        self.constant(RCX, !mask);
        self.copy(d, RDX);
        dynasm!(self.asm ; .arch x64 ; and rdx, rcx ; or rdx, rax);
        if !x {
            dynasm!(self.asm ; .arch x64 ; mov edx, edx);
        }
        self.put(d, RDX);
    }

    /// `d` = `a` plus or minus the product in RAX.
    fn accumulate(&mut self, x: bool, sub: bool, d: u8, a: u8) {
        if sub {
            self.copy(a, RCX);
            dynasm!(self.asm ; .arch x64 ; sub rcx, rax ; mov rax, rcx);
        } else if a as usize != XZR {
            let a = self.src(a, RCX);
            dynasm!(self.asm ; .arch x64 ; add rax, Rq(a));
        }
        if !x {
            dynasm!(self.asm ; .arch x64 ; mov eax, eax);
        }
        self.put(d, RAX);
    }

    fn shift_var(&mut self, x: bool, kind: u8, d: u8, n: u8, m: u8) {
        self.copy(n, RAX);
        self.copy(m, RCX);
        match (kind, x) {
            (0, true) => dynasm!(self.asm ; .arch x64 ; shl rax, cl),
            (1, true) => dynasm!(self.asm ; .arch x64 ; shr rax, cl),
            (2, true) => dynasm!(self.asm ; .arch x64 ; sar rax, cl),
            (_, true) => dynasm!(self.asm ; .arch x64 ; ror rax, cl),
            // A count of zero leaves the upper half of the register as it was.
            (0, false) => dynasm!(self.asm ; .arch x64 ; shl eax, cl ; mov eax, eax),
            (1, false) => dynasm!(self.asm ; .arch x64 ; shr eax, cl ; mov eax, eax),
            (2, false) => dynasm!(self.asm ; .arch x64 ; sar eax, cl ; mov eax, eax),
            (_, false) => dynasm!(self.asm ; .arch x64 ; ror eax, cl ; mov eax, eax),
        }
        self.put(d, RAX);
    }
}
