//! Arithmetic, logic and conditional data processing.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, Kind, RAX, RCX, flag_offset};
use crate::cpu::{Cpu, DISCARD, XZR};
use crate::interp::flags;
use crate::jit::inst::{Inst, Logic, Operand};

/// The second operand of an instruction of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rm {
    Reg(u8),
    /// Sign-extended to the width of the operation.
    Imm(i32),
}

/// Emits `$op $host, $rm` of 64 or 32 bits.
macro_rules! two {
    ($self:ident, $x:expr, $op:ident, $host:expr, $rm:expr) => {{
        let host = $host;
        match ($x, $rm) {
            (true, Rm::Reg(m)) => dynasm!($self.asm ; .arch x64 ; $op Rq(host), Rq(m)),
            (false, Rm::Reg(m)) => dynasm!($self.asm ; .arch x64 ; $op Rd(host), Rd(m)),
            (true, Rm::Imm(imm)) => match i8::try_from(imm) {
                Ok(imm) => dynasm!($self.asm ; .arch x64 ; $op Rq(host), BYTE imm),
                Err(_) => dynasm!($self.asm ; .arch x64 ; $op Rq(host), imm),
            },
            (false, Rm::Imm(imm)) => match i8::try_from(imm) {
                Ok(imm) => dynasm!($self.asm ; .arch x64 ; $op Rd(host), BYTE imm),
                Err(_) => dynasm!($self.asm ; .arch x64 ; $op Rd(host), imm),
            },
        }
    }};
}

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
            Inst::AddCarry { x, sub, flags, d, n, m } => return self.add_carry(x, sub, flags, d, n, m, keep),
            Inst::Nop | Inst::Barrier { full: false } => return,
            Inst::Barrier { full: true } => {
                // Only a store before a load may be seen in another order on this host.
                self.host_flags = None;
                return dynasm!(self.asm ; .arch x64 ; lock or DWORD [rsp - 8], 0);
            }
            Inst::Const { d, value } => {
                let host = self.dst(d);
                self.constant(host, value);
                return self.put(d, host);
            }
            Inst::PageRelative { d, offset } => return self.page_relative(d, offset),
            _ => {}
        }
        self.host_flags = None;
        match inst {
            Inst::AddSub { x, sub, d, n, operand, .. } => self.add_sub(x, sub, d, n, operand),
            Inst::Logical { x, op, invert, d, n, operand, .. } => self.logical(x, op, invert, d, n, operand),
            _ => self.bits(inst),
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

    fn page_relative(&mut self, d: u8, offset: i64) {
        let host = self.dst(d);
        dynasm!(self.asm ; .arch x64 ; mov Rq(host), QWORD [rbp + offset_of!(Cpu, code_va) as i32]);
        match i32::try_from(offset) {
            Ok(offset) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(host) + offset]),
            Err(_) => dynasm!(self.asm ; .arch x64 ; mov rcx, QWORD offset ; lea Rq(host), [Rq(host) + rcx]),
        }
        self.put(d, host);
    }

    /// The value of `operand`, in `scratch` unless it is a guest register as it stands or a short constant.
    fn operand(&mut self, x: bool, operand: Operand, scratch: u8) -> Rm {
        match operand {
            Operand::Imm(value) if !x => return Rm::Imm(value as i32),
            Operand::Imm(value) if value as i32 as u64 == value => return Rm::Imm(value as i32),
            Operand::Imm(value) => self.constant(scratch, value),
            Operand::Shifted { m, amount: 0, .. } => return Rm::Reg(self.src(m, scratch)),
            Operand::Shifted { m, kind: 3, amount } => {
                let m = self.src(m, scratch);
                self.rotate(x, scratch, m, amount);
            }
            Operand::Shifted { m, kind, amount } => {
                self.copy(m, scratch);
                self.shift_const(x, kind, scratch, amount);
            }
            Operand::Extended { m, option, shift } => {
                let m = self.src(m, scratch);
                self.extend(scratch, m, option, shift);
            }
        }
        Rm::Reg(scratch)
    }

    /// `host` = `source` extended as `option` says, then shifted left.
    pub(super) fn extend(&mut self, host: u8, source: u8, option: u8, shift: u8) {
        match option {
            0 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rb(source)),
            1 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rw(source)),
            2 => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(source)),
            4 => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rb(source)),
            5 => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), Rw(source)),
            6 => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), Rd(source)),
            _ if host != source => dynasm!(self.asm ; .arch x64 ; mov Rq(host), Rq(source)),
            _ => {}
        }
        if shift != 0 {
            dynasm!(self.asm ; .arch x64 ; shl Rq(host), shift as i8);
        }
    }

    /// `host` = `source`, of 64 or 32 bits. Leaves the flags alone.
    pub(super) fn move_to(&mut self, x: bool, host: u8, source: u8) {
        match x {
            true if host == source => {}
            true => dynasm!(self.asm ; .arch x64 ; mov Rq(host), Rq(source)),
            false => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(source)),
        }
    }

    fn add_sub(&mut self, x: bool, sub: bool, d: u8, n: u8, operand: Operand) {
        let host = self.dst(d);
        match operand {
            Operand::Imm(imm) => {
                let disp = if sub { -(imm as i64) as i32 } else { imm as i32 };
                let n = self.src(n, RAX);
                self.add_constant(x, host, n, disp);
            }
            Operand::Shifted { m, kind: 0, amount } if !sub && amount <= 3 => {
                let (n, m) = (self.src(n, RAX), self.src(m, RCX));
                self.add_scaled(x, host, n, m, amount);
            }
            Operand::Extended { m, option, shift } if !sub && shift <= 3 => {
                let m = self.src(m, RCX);
                self.extend(RCX, m, option, 0);
                let n = self.src(n, RAX);
                self.add_scaled(x, host, n, RCX, shift);
            }
            _ => {
                let m = self.operand(x, operand, RCX);
                if sub {
                    self.subtract(x, host, n, m);
                } else {
                    let n = self.src(n, RAX);
                    let Rm::Reg(m) = m else { unreachable!("constants are handled above") };
                    self.add_scaled(x, host, n, m, 0);
                }
            }
        }
        self.put(d, host);
    }

    /// `host` = `n` + `disp`.
    fn add_constant(&mut self, x: bool, host: u8, n: u8, disp: i32) {
        if host == n {
            return two!(self, x, add, host, Rm::Imm(disp));
        }
        match (x, i8::try_from(disp)) {
            (true, Ok(disp)) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [BYTE Rq(n) + disp]),
            (false, Ok(disp)) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [BYTE Rq(n) + disp]),
            (true, Err(_)) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + disp]),
            (false, Err(_)) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + disp]),
        }
    }

    /// `host` = `n` + `m` << `shift`, `shift` at most 3.
    fn add_scaled(&mut self, x: bool, host: u8, n: u8, m: u8, shift: u8) {
        match (x, shift) {
            (_, 0) if host == n => two!(self, x, add, host, Rm::Reg(m)),
            (_, 0) if host == m => two!(self, x, add, host, Rm::Reg(n)),
            (true, 0) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + Rq(m)]),
            (true, 1) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + Rq(m) * 2]),
            (true, 2) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + Rq(m) * 4]),
            (true, _) => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(n) + Rq(m) * 8]),
            (false, 0) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + Rq(m)]),
            (false, 1) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + Rq(m) * 2]),
            (false, 2) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + Rq(m) * 4]),
            (false, _) => dynasm!(self.asm ; .arch x64 ; lea Rd(host), [Rq(n) + Rq(m) * 8]),
        }
    }

    /// `host` = guest register `n` - `m`.
    fn subtract(&mut self, x: bool, host: u8, n: u8, m: Rm) {
        if n as usize == XZR
            && let Rm::Reg(m) = m
        {
            self.move_to(x, host, m);
            return match x {
                true => dynasm!(self.asm ; .arch x64 ; neg Rq(host)),
                false => dynasm!(self.asm ; .arch x64 ; neg Rd(host)),
            };
        }
        let n = self.src(n, RAX);
        if m == Rm::Reg(host) && host != n {
            match x {
                true => dynasm!(self.asm ; .arch x64 ; neg Rq(host)),
                false => dynasm!(self.asm ; .arch x64 ; neg Rd(host)),
            }
            return two!(self, x, add, host, Rm::Reg(n));
        }
        if host != n {
            self.move_to(x, host, n);
        }
        two!(self, x, sub, host, m);
    }

    /// Stores the lazy flags with operands `a` and `b`.
    fn store_operands(&mut self, x: bool, a: u8, b: Rm, kind: Kind) {
        dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(0)], Rq(a));
        match b {
            Rm::Reg(b) => dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(1)], Rq(b)),
            Rm::Imm(b) => dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(1)], b),
        }
        self.store_kind(x, kind);
    }

    fn store_kind(&mut self, x: bool, kind: Kind) {
        let number = |x: bool, kind: Kind| {
            let number = if kind == Kind::Sub { flags::SUB } else { flags::ADD };
            if x { number } else { flags::raised(number, 32) }
        };
        let stored = self.stored_flags.map(|(x, kind)| number(x, kind));
        if stored != Some(number(x, kind)) {
            let number = number(x, kind) as i32;
            dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + flag_offset(2)], number);
        }
        self.stored_flags = Some((x, kind));
    }

    fn add_sub_flags(&mut self, x: bool, sub: bool, d: u8, n: u8, operand: Operand, keep: bool) {
        self.host_flags = None;
        let kind = if sub { Kind::Sub } else { Kind::Add };
        let m = self.operand(x, operand, RCX);
        let n = self.src(n, RAX);
        if keep {
            self.store_operands(x, n, m, kind);
        }
        if sub && d as usize == DISCARD {
            self.compare(x, n, m);
        } else {
            let own = self.dst(d);
            let host = if m == Rm::Reg(own) { RAX } else { own };
            if host != n {
                self.move_to(x, host, n);
            }
            match sub {
                true => two!(self, x, sub, host, m),
                false => two!(self, x, add, host, m),
            }
            self.put(d, host);
        }
        self.host_flags = Some(kind);
    }

    fn and_flags(&mut self, x: bool, invert: bool, d: u8, n: u8, operand: Operand, keep: bool) {
        self.host_flags = None;
        let mut m = self.operand(x, operand, RCX);
        if invert {
            m = self.invert(m);
        }
        let n = self.src(n, RAX);
        if d as usize == DISCARD && (!keep || m == Rm::Reg(n)) {
            self.test(x, n, m);
            if keep {
                self.store_operands(x, n, Rm::Imm(0), Kind::Logic);
            }
        } else {
            if RAX != n {
                self.move_to(x, RAX, n);
            }
            two!(self, x, and, RAX, m);
            if keep {
                self.store_operands(x, RAX, Rm::Imm(0), Kind::Logic);
            }
            self.put(d, RAX);
        }
        self.host_flags = Some(Kind::Logic);
    }

    fn compare(&mut self, x: bool, n: u8, m: Rm) {
        match (x, m) {
            (true, Rm::Reg(m)) => dynasm!(self.asm ; .arch x64 ; cmp Rq(n), Rq(m)),
            (false, Rm::Reg(m)) => dynasm!(self.asm ; .arch x64 ; cmp Rd(n), Rd(m)),
            (true, Rm::Imm(0)) => dynasm!(self.asm ; .arch x64 ; test Rq(n), Rq(n)),
            (false, Rm::Imm(0)) => dynasm!(self.asm ; .arch x64 ; test Rd(n), Rd(n)),
            (true, Rm::Imm(m)) => dynasm!(self.asm ; .arch x64 ; cmp Rq(n), m),
            (false, Rm::Imm(m)) => dynasm!(self.asm ; .arch x64 ; cmp Rd(n), m),
        }
    }

    fn test(&mut self, x: bool, n: u8, m: Rm) {
        match (x, m) {
            (true, Rm::Reg(m)) => dynasm!(self.asm ; .arch x64 ; test Rq(n), Rq(m)),
            (false, Rm::Reg(m)) => dynasm!(self.asm ; .arch x64 ; test Rd(n), Rd(m)),
            (true, Rm::Imm(m)) => dynasm!(self.asm ; .arch x64 ; test Rq(n), m),
            (false, Rm::Imm(m)) => dynasm!(self.asm ; .arch x64 ; test Rd(n), m),
        }
    }

    /// RCX = NOT `m`. Leaves the flags alone.
    fn invert(&mut self, m: Rm) -> Rm {
        match m {
            Rm::Reg(m) => self.move_to(true, RCX, m),
            Rm::Imm(m) => self.constant(RCX, m as u64),
        }
        dynasm!(self.asm ; .arch x64 ; not rcx);
        Rm::Reg(RCX)
    }

    fn logical(&mut self, x: bool, op: Logic, invert: bool, d: u8, n: u8, operand: Operand) {
        let own = self.dst(d);
        if let (Operand::Imm(mask), Logic::And) = (operand, op)
            && u32::try_from(mask).is_ok()
        {
            return self.and_narrow(d, n, mask as u32);
        }
        let mut m = self.operand(x, operand, RCX);
        // MOV (register) and MVN.
        if n as usize == XZR && op == Logic::Orr {
            match m {
                Rm::Reg(m) => self.move_to(x, own, m),
                Rm::Imm(m) if x => self.constant(own, m as u64),
                Rm::Imm(m) => self.constant(own, u64::from(m as u32)),
            }
            match (invert, x) {
                (false, _) => {}
                (true, true) => dynasm!(self.asm ; .arch x64 ; not Rq(own)),
                (true, false) => dynasm!(self.asm ; .arch x64 ; not Rd(own)),
            }
            return self.put(d, own);
        }
        if invert {
            m = self.invert(m);
        }
        let mut n = self.src(n, RAX);
        if m == Rm::Reg(own) {
            (n, m) = (own, Rm::Reg(n));
        }
        if own != n {
            self.move_to(x, own, n);
        }
        match op {
            Logic::And => two!(self, x, and, own, m),
            Logic::Orr => two!(self, x, or, own, m),
            Logic::Eor => two!(self, x, xor, own, m),
        }
        self.put(d, own);
    }

    /// `d` = `n` AND `mask`, which leaves no upper half.
    fn and_narrow(&mut self, d: u8, n: u8, mask: u32) {
        let (n, host) = (self.src(n, RAX), self.dst(d));
        match mask {
            0xff => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rb(n)),
            0xffff => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), Rw(n)),
            u32::MAX => dynasm!(self.asm ; .arch x64 ; mov Rd(host), Rd(n)),
            _ => {
                if host != n {
                    self.move_to(false, host, n);
                }
                two!(self, false, and, host, Rm::Imm(mask as i32));
            }
        }
        self.put(d, host);
    }

    /// Makes the host's carry the one that an addition, or with `sub` a subtraction, with carry takes in.
    fn carry_in(&mut self, sub: bool) {
        // CS holds in a condition code that reads the carry alone.
        let cc = self.condition(2);
        match (cc, sub) {
            // The host's carry is the guest's, or its complement.
            (2, false) | (3, true) => {}
            (2, true) | (3, false) => dynasm!(self.asm ; .arch x64 ; cmc),
            // Not zero when it holds.
            (_, false) => dynasm!(self.asm ; .arch x64 ; neg al),
            (_, true) => dynasm!(self.asm ; .arch x64 ; cmp al, 1),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn add_carry(&mut self, x: bool, sub: bool, flags: bool, d: u8, n: u8, m: u8, keep: bool) {
        self.carry_in(sub);
        let (n, m) = (self.src(n, RAX), Rm::Reg(self.src(m, RCX)));
        let own = self.dst(d);
        let host = if m == Rm::Reg(own) { RAX } else { own };
        if host != n {
            self.move_to(x, host, n);
        }
        match sub {
            true => two!(self, x, sbb, host, m),
            false => two!(self, x, adc, host, m),
        }
        self.host_flags = None;
        if flags {
            let kind = if sub { Kind::Sub } else { Kind::Add };
            if keep {
                self.store_nzcv(kind);
            }
            self.host_flags = Some(kind);
        }
        self.put(d, host);
    }

    /// Stores NZCV of the host's flags, left by an operation of `kind` whose flags two operands cannot say, and leaves
    /// the host's flags as they were. Uses RCX and RDX.
    fn store_nzcv(&mut self, kind: Kind) {
        dynasm!(self.asm
            ; .arch x64
            ; sets dl
            ; setz cl
            ; movzx edx, dl
            ; movzx ecx, cl
            ; lea edx, [rcx + rdx * 2]
        );
        match kind {
            Kind::Sub => dynasm!(self.asm ; .arch x64 ; setnc cl),
            _ => dynasm!(self.asm ; .arch x64 ; setc cl),
        }
        let number = flags::raised(flags::NZCV, 28) as i32;
        dynasm!(self.asm
            ; .arch x64
            ; movzx ecx, cl
            ; lea edx, [rcx + rdx * 2]
            ; seto cl
            ; movzx ecx, cl
            ; lea edx, [rcx + rdx * 2]
            ; mov QWORD [rbp + flag_offset(0)], rdx
            ; mov QWORD [rbp + flag_offset(2)], number
        );
        self.stored_flags = None;
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
        let own = self.dst(d);
        if cond >= 14 {
            let n = self.src(n, RAX);
            self.move_to(x, own, n);
            return self.put(d, own);
        }
        let cc = self.condition(cond);
        if n as usize == XZR && m as usize == XZR && invert != increment {
            self.set_if(cc ^ 1, RAX);
            dynasm!(self.asm ; .arch x64 ; movzx eax, al);
            if invert {
                match x {
                    true => dynasm!(self.asm ; .arch x64 ; neg rax),
                    false => dynasm!(self.asm ; .arch x64 ; neg eax),
                }
                self.host_flags = None;
            }
            return self.put(d, RAX);
        }
        let mut m = self.src(m, RCX);
        if invert {
            self.move_to(true, RCX, m);
            dynasm!(self.asm ; .arch x64 ; not rcx);
            m = RCX;
        }
        if increment {
            dynasm!(self.asm ; .arch x64 ; lea rcx, [Rq(m) + 1]);
            m = RCX;
        }
        let host = if own == m { RAX } else { own };
        let n = self.src(n, RAX);
        if host != n {
            self.move_to(x, host, n);
        }
        self.move_if(x, cc ^ 1, host, m);
        self.put(d, host);
    }
}
