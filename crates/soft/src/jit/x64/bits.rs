//! Bit fields, shifts, multiplication and division.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, RAX, RCX, RDX};
use crate::cpu::{DISCARD, XZR};
use crate::jit::inst::Inst;

impl Emitter<'_> {
    /// Emits an instruction of one of this file's kinds. The host's flags are lost.
    pub(super) fn bits(&mut self, inst: Inst) {
        match inst {
            Inst::Movk { x, d, imm, shift } => self.movk(x, d, imm, shift),
            Inst::Extract { x, signed, d, n, lsb, len } => self.extract(x, signed, d, n, lsb, len),
            Inst::Deposit { x, signed, d, n, at, len } => self.deposit(x, signed, d, n, at, len),
            Inst::Insert { x, d, n, from, to, len } => self.insert(x, d, n, from, to, len),
            Inst::ExtractPair { x, d, n, m, lsb } => self.extract_pair(x, d, n, m, lsb),
            Inst::MulAdd { x, sub: false, d, n, m, a } if a as usize == XZR => self.multiply(x, d, n, m),
            Inst::MulAdd { x, sub, d, n, m, a } => {
                self.copy(n, RAX);
                let m = self.src(m, RCX);
                match x {
                    true => dynasm!(self.asm ; .arch x64 ; imul rax, Rq(m)),
                    false => dynasm!(self.asm ; .arch x64 ; imul eax, Rd(m)),
                }
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
            Inst::MulHigh { signed: false, d, n, m } if self.features.bmi2 => {
                self.copy(n, RDX);
                let (m, host) = (self.src(m, RCX), self.dst(d));
                dynasm!(self.asm ; .arch x64 ; mulx Rq(host), rcx, Rq(m));
                self.put(d, host);
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
                let (n, host) = (self.src(n, RAX), self.dst(d));
                self.move_to(x, host, n);
                if x {
                    dynasm!(self.asm ; .arch x64 ; bswap Rq(host));
                } else {
                    dynasm!(self.asm ; .arch x64 ; bswap Rd(host));
                }
                self.put(d, host);
            }
            Inst::LeadingZeros { x, d, n } => self.leading_zeros(x, d, n),
            Inst::Divide { x, signed, d, n, m } => self.divide(x, signed, d, n, m),
            _ => unreachable!("other instructions are emitted elsewhere"),
        }
    }

    /// Shifts `host` by a constant: kind 0 LSL, 1 LSR, 2 ASR, 3 ROR.
    pub(super) fn shift_const(&mut self, x: bool, kind: u8, host: u8, amount: u8) {
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

    /// `host` = `source` rotated right.
    pub(super) fn rotate(&mut self, x: bool, host: u8, source: u8, amount: u8) {
        match (self.features.bmi2, x) {
            (true, true) => dynasm!(self.asm ; .arch x64 ; rorx Rq(host), Rq(source), amount as i8),
            (true, false) => dynasm!(self.asm ; .arch x64 ; rorx Rd(host), Rd(source), amount as i8),
            (false, _) => {
                self.move_to(x, host, source);
                self.shift_const(x, 3, host, amount);
            }
        }
    }

    /// `host` = RCX if condition code `cc` holds.
    pub(super) fn move_if(&mut self, x: bool, cc: u8, host: u8, source: u8) {
        macro_rules! cmov {
            ($($cc:literal $op:ident),* ; $last:ident) => {
                match (cc, x) {
                    $(
                        ($cc, true) => dynasm!(self.asm ; .arch x64 ; $op Rq(host), Rq(source)),
                        ($cc, false) => dynasm!(self.asm ; .arch x64 ; $op Rd(host), Rd(source)),
                    )*
                    (_, true) => dynasm!(self.asm ; .arch x64 ; $last Rq(host), Rq(source)),
                    (_, false) => dynasm!(self.asm ; .arch x64 ; $last Rd(host), Rd(source)),
                }
            };
        }
        cmov!(
            0 cmovo, 1 cmovno, 2 cmovb, 3 cmovae, 4 cmove, 5 cmovne, 6 cmovbe, 7 cmova, 8 cmovs, 9 cmovns,
            12 cmovl, 13 cmovge, 14 cmovle ; cmovg
        );
    }

    /// The lowest byte of `host` = whether condition code `cc` holds.
    pub(super) fn set_if(&mut self, cc: u8, host: u8) {
        macro_rules! set {
            ($($cc:literal $op:ident),* ; $last:ident) => {
                match cc {
                    $($cc => dynasm!(self.asm ; .arch x64 ; $op Rb(host)),)*
                    _ => dynasm!(self.asm ; .arch x64 ; $last Rb(host)),
                }
            };
        }
        set!(
            0 seto, 1 setno, 2 setb, 3 setae, 4 sete, 5 setne, 6 setbe, 7 seta, 8 sets, 9 setns, 12 setl, 13 setge,
            14 setle ; setg
        );
    }

    fn movk(&mut self, x: bool, d: u8, imm: u16, shift: u8) {
        if d as usize == DISCARD {
            return;
        }
        let host = self.dst(d);
        self.copy(d, host);
        if x {
            self.constant(RCX, !(0xffff << shift));
            dynasm!(self.asm ; .arch x64 ; and Rq(host), rcx);
            self.constant(RCX, u64::from(imm) << shift);
            dynasm!(self.asm ; .arch x64 ; or Rq(host), rcx);
        } else {
            let (mask, value) = (!(0xffffu32 << shift), u32::from(imm) << shift);
            dynasm!(self.asm ; .arch x64 ; and Rd(host), mask as i32 ; or Rd(host), value as i32);
        }
        self.put(d, host);
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
            // Two instructions where the field is neither the lowest nor the highest.
            (false, 1.., ..=31) if self.features.bmi2 && lsb + len != if x { 64 } else { 32 } => {
                self.rotate(x, host, n, lsb);
                dynasm!(self.asm ; .arch x64 ; and Rd(host), (1i32 << len).wrapping_sub(1));
            }
            _ => {
                let width = if x { 64 } else { 32 };
                self.move_to(x, host, n);
                // Up against the top, then down: zero or sign bits come in above.
                if lsb + len != width {
                    self.shift_const(x, 0, host, width - lsb - len);
                }
                if len != width {
                    self.shift_const(x, if signed { 2 } else { 1 }, host, width - len);
                }
            }
        }
        self.put(d, host);
    }

    fn deposit(&mut self, x: bool, signed: bool, d: u8, n: u8, at: u8, len: u8) {
        let width = if x { 64 } else { 32 };
        let n = self.src(n, RAX);
        let host = self.dst(d);
        match (signed, len) {
            (false, 8) => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rb(n)),
            (false, 16) => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rw(n)),
            (false, 32) => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(n)),
            (true, 32) if x => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), Rd(n)),
            (false, _) if self.features.bmi2 && at != 0 && at + len <= 31 => {
                self.rotate(false, host, n, 32 - at);
                dynasm!(self.asm ; .arch x64 ; and Rd(host), ((1i32 << len) - 1) << at);
                return self.put(d, host);
            }
            _ => {
                self.move_to(x, host, n);
                if len != width {
                    self.shift_const(x, 0, host, width - len);
                }
                if at + len != width {
                    self.shift_const(x, if signed { 2 } else { 1 }, host, width - len - at);
                }
                return self.put(d, host);
            }
        }
        self.shift_const(x, 0, host, at);
        self.put(d, host);
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

    fn extract_pair(&mut self, x: bool, d: u8, n: u8, m: u8, lsb: u8) {
        if n == m {
            let (n, host) = (self.src(n, RAX), self.dst(d));
            self.rotate(x, host, n, lsb);
            return self.put(d, host);
        }
        self.copy(m, RAX);
        let n = self.src(n, RCX);
        if x {
            dynasm!(self.asm ; .arch x64 ; shrd rax, Rq(n), lsb as i8);
        } else {
            dynasm!(self.asm ; .arch x64 ; mov eax, eax ; shrd eax, Rd(n), lsb as i8);
        }
        self.put(d, RAX);
    }

    /// `d` = `n` times `m`.
    fn multiply(&mut self, x: bool, d: u8, n: u8, m: u8) {
        let (mut n, mut m, host) = (self.src(n, RAX), self.src(m, RCX), self.dst(d));
        if host == m {
            (n, m) = (m, n);
        }
        if host != n {
            self.move_to(x, host, n);
        }
        match x {
            true => dynasm!(self.asm ; .arch x64 ; imul Rq(host), Rq(m)),
            false => dynasm!(self.asm ; .arch x64 ; imul Rd(host), Rd(m)),
        }
        self.put(d, host);
    }

    /// `d` = `a` plus or minus the product in RAX.
    fn accumulate(&mut self, x: bool, sub: bool, d: u8, a: u8) {
        if sub {
            self.copy(a, RCX);
            match x {
                true => dynasm!(self.asm ; .arch x64 ; sub rcx, rax),
                false => dynasm!(self.asm ; .arch x64 ; sub ecx, eax),
            }
            return self.put(d, RCX);
        }
        if a as usize == XZR {
            return self.put(d, RAX);
        }
        let (a, host) = (self.src(a, RCX), self.dst(d));
        match x {
            true => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [rax + Rq(a)]),
            false => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [rax + Rq(a)]),
        }
        self.put(d, host);
    }

    fn shift_var(&mut self, x: bool, kind: u8, d: u8, n: u8, m: u8) {
        if self.features.bmi2 && kind != 3 {
            let (n, m, host) = (self.src(n, RAX), self.src(m, RCX), self.dst(d));
            match (kind, x) {
                (0, true) => dynasm!(self.asm ; .arch x64 ; shlx Rq(host), Rq(n), Rq(m)),
                (1, true) => dynasm!(self.asm ; .arch x64 ; shrx Rq(host), Rq(n), Rq(m)),
                (_, true) => dynasm!(self.asm ; .arch x64 ; sarx Rq(host), Rq(n), Rq(m)),
                (0, false) => dynasm!(self.asm ; .arch x64 ; shlx Rd(host), Rd(n), Rd(m)),
                (1, false) => dynasm!(self.asm ; .arch x64 ; shrx Rd(host), Rd(n), Rd(m)),
                (_, false) => dynasm!(self.asm ; .arch x64 ; sarx Rd(host), Rd(n), Rd(m)),
            }
            return self.put(d, host);
        }
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

    /// CLZ without LZCNT: the place of the highest bit of twice the number plus one, from the top.
    fn leading_zeros(&mut self, x: bool, d: u8, n: u8) {
        self.copy(n, RAX);
        if x {
            // BSR of zero leaves the register as it was on every x86-64 there is, but no manual of Intel's says so.
            dynasm!(self.asm
                ; .arch x64
                ; mov ecx, 127
                ; bsr rax, rax
                ; cmovz rax, rcx
                ; xor eax, 63
            );
        } else {
            dynasm!(self.asm
                ; .arch x64
                ; mov eax, eax
                ; lea rax, [rax + rax + 1]
                ; bsr rax, rax
                ; xor eax, 63
                ; sub eax, 31
            );
        }
        self.put(d, RAX);
    }

    /// UDIV, SDIV: by zero is zero, and the one quotient that does not fit wraps (DDI 0487, C6.2).
    fn divide(&mut self, x: bool, signed: bool, d: u8, n: u8, m: u8) {
        let (by_zero, plain, done) =
            (self.asm.new_dynamic_label(), self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        self.copy(n, RAX);
        self.copy(m, RCX);
        match x {
            true => dynasm!(self.asm ; .arch x64 ; test rcx, rcx),
            false => dynasm!(self.asm ; .arch x64 ; test ecx, ecx),
        }
        dynasm!(self.asm ; .arch x64 ; jz =>by_zero);
        if signed {
            match x {
                true => dynasm!(self.asm ; .arch x64 ; cmp rcx, -1 ; jne =>plain ; neg rax ; jmp =>done),
                false => dynasm!(self.asm ; .arch x64 ; cmp ecx, -1 ; jne =>plain ; neg eax ; jmp =>done),
            }
            dynasm!(self.asm ; .arch x64 ; =>plain);
            match x {
                true => dynasm!(self.asm ; .arch x64 ; cqo ; idiv rcx),
                false => dynasm!(self.asm ; .arch x64 ; cdq ; idiv ecx),
            }
        } else {
            match x {
                true => dynasm!(self.asm ; .arch x64 ; =>plain ; xor edx, edx ; div rcx),
                false => dynasm!(self.asm ; .arch x64 ; =>plain ; xor edx, edx ; div ecx),
            }
        }
        dynasm!(self.asm ; .arch x64 ; jmp =>done ; =>by_zero ; xor eax, eax ; =>done);
        self.put(d, RAX);
    }
}
