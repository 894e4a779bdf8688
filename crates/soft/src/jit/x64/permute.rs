//! AdvSIMD moves: constants, elements from and to general registers, permutations, table look-up.

use dynasmrt::dynasm;

use super::vector::{HIGH_HALVES, LEFT, LOW_HALVES, RIGHT, SHUFFLE_WORDS, everywhere};
use super::vectors::RESULT;
use super::vex::{P66, Rm, Vex, v0f, v3a, v38};
use super::{Emitter, RAX};
use crate::jit::simd::{Lanes, Permute, Simd};

/// PINSRB, PINSRW, PINSRD, PINSRQ by log2 of the bytes.
const INSERT: [Vex; 4] = [v3a(0x20), v0f(P66, 0xc4), v3a(0x22), v3a(0x22).wide(true)];
/// PEXTRB, PEXTRW, PEXTRD, PEXTRQ.
const EXTRACT: [Vex; 4] = [v3a(0x14), v3a(0x15), v3a(0x16), v3a(0x16).wide(true)];
/// PUNPCKLBW and so on; PUNPCKHBW and so on.
const LOW: [u8; 4] = [0x60, 0x61, 0x62, 0x6c];
const HIGH: [u8; 4] = [0x68, 0x69, 0x6a, 0x6d];
/// VPBROADCASTB and so on.
const BROADCAST: [u8; 4] = [0x78, 0x79, 0x58, 0x59];

impl Emitter<'_> {
    /// Emits a move or permutation.
    pub(super) fn v_move(&mut self, simd: Simd) {
        match simd {
            Simd::Const { d, lo, hi } => {
                let to = self.v_dst(d);
                self.v_const(to, u128::from(hi) << 64 | u128::from(lo));
                self.v_put(d, to);
            }
            Simd::ConstMerge { clear, q, d, half } => {
                self.v_const(1, everywhere(3, half));
                let old = self.v_rm(d);
                self.vex(v0f(P66, if clear { 0xdf } else { 0xeb }), RESULT, 1, old);
                self.v_put_q(d, q, RESULT);
            }
            Simd::ElementToGeneral { size, index, signed, x, d, n } => {
                self.element_to_general(size, index, signed, x, d, n);
            }
            Simd::GeneralToScalar { x, d, n } => {
                let host = self.src(n, RAX);
                let to = self.v_dst(d);
                self.vex(v0f(P66, 0x6e).wide(x), to, 0, Rm::Reg(host));
                self.v_put(d, to);
            }
            Simd::InsertGeneral { size, index, d, n } => {
                let host = self.src(n, RAX);
                let (old, to) = (self.v_reg(d, 1), self.v_dst(d));
                self.vex_imm(INSERT[size as usize], to, old, Rm::Reg(host), index);
                self.v_put(d, to);
            }
            Simd::InsertElement { size, index, from, d, n } => {
                let n = self.v_reg(n, 1);
                let old = self.v_reg(d, 2);
                if size == 2 {
                    self.vex_imm(v3a(0x21), RESULT, old, Rm::Reg(n), from << 6 | index << 4);
                } else if size == 3 {
                    // SHUFPD takes the lower half of the second operand, then the upper of the third.
                    match index {
                        0 => self.vex_imm(v0f(P66, 0xc6), RESULT, n, Rm::Reg(old), from | 2),
                        _ => self.vex_imm(v0f(P66, 0xc6), RESULT, old, Rm::Reg(n), from << 1),
                    }
                } else {
                    self.vex_imm(EXTRACT[size as usize], n, 0, Rm::Reg(RAX), from);
                    self.vex_imm(INSERT[size as usize], RESULT, old, Rm::Reg(RAX), index);
                }
                self.v_put(d, RESULT);
            }
            Simd::DuplicateGeneral { size, q, d, n } => {
                let host = self.src(n, RAX);
                self.vex(v0f(P66, 0x6e).wide(true), RESULT, 0, Rm::Reg(host));
                self.vex(v38(BROADCAST[size as usize]), RESULT, 0, Rm::Reg(RESULT));
                self.v_put_q(d, q, RESULT);
            }
            Simd::DuplicateElement { size, index, lanes, d, n } => self.v_duplicate(size, index, lanes, d, n),
            Simd::Permute { op, second, size, q, d, n, m } => self.v_permute(op, second, size, q, d, n, m),
            Simd::Extract { q, at, d, n, m } => {
                let (a, b) = (self.v_reg(n, 1), self.v_rm(m));
                if q {
                    // PALIGNR has the upper part first.
                    let b = match b {
                        Rm::Reg(b) => b,
                        Rm::Cpu(_) => self.v_reg(m, 2),
                    };
                    self.vex_imm(v3a(0x0f), RESULT, b, Rm::Reg(a), at);
                } else {
                    self.vex(LOW_HALVES, RESULT, a, b);
                    self.v_shift_bytes(RESULT, RESULT, at);
                }
                self.v_put_q(d, q, RESULT);
            }
            Simd::Table { registers, q, d, n, m } => self.v_table(registers, q, d, n, m),
            _ => unreachable!("everything else is handled elsewhere"),
        }
    }

    fn element_to_general(&mut self, size: u8, index: u8, signed: bool, x: bool, d: u8, n: u8) {
        let n = self.v_reg(n, 1);
        if index == 0 && size >= 2 {
            self.vex(v0f(P66, 0x7e).wide(size == 3), n, 0, Rm::Reg(RAX));
        } else {
            self.vex_imm(EXTRACT[size as usize], n, 0, Rm::Reg(RAX), index);
        }
        if signed {
            match (size, x) {
                (0, true) => dynasm!(self.asm ; .arch x64 ; movsx rax, al),
                (1, true) => dynasm!(self.asm ; .arch x64 ; movsx rax, ax),
                (2, _) => dynasm!(self.asm ; .arch x64 ; movsxd rax, eax),
                (0, false) => dynasm!(self.asm ; .arch x64 ; movsx eax, al),
                _ => dynasm!(self.asm ; .arch x64 ; movsx eax, ax),
            }
        }
        self.put(d, RAX);
    }

    fn v_duplicate(&mut self, size: u8, index: u8, lanes: Lanes, d: u8, n: u8) {
        let from = self.v_reg(n, 1);
        if lanes == Lanes::Scalar {
            self.v_shift_bytes(RESULT, from, index << size);
            if size < 3 {
                self.v_const(2, (1 << (8 << size)) - 1);
                self.vex(v0f(P66, 0xdb), RESULT, RESULT, Rm::Reg(2));
            }
            return self.v_put_q(d, false, RESULT);
        }
        match size {
            2 => self.vex_imm(SHUFFLE_WORDS, RESULT, 0, Rm::Reg(from), index * 0x55),
            3 => self.vex_imm(SHUFFLE_WORDS, RESULT, 0, Rm::Reg(from), if index == 0 { 0x44 } else { 0xee }),
            _ => {
                let mut from = from;
                if index > 0 {
                    self.v_shift_bytes(RESULT, from, index << size);
                    from = RESULT;
                }
                self.vex(v38(BROADCAST[size as usize]), RESULT, 0, Rm::Reg(from));
            }
        }
        self.v_put_q(d, lanes == Lanes::Full, RESULT);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn v_permute(&mut self, op: Permute, second: bool, size: u8, q: bool, d: u8, n: u8, m: u8) {
        let (a, b) = (self.v_reg(n, 1), self.v_reg(m, 2));
        match op {
            Permute::Zip if q => self.v_zip(size, second, RESULT, a, b),
            Permute::Zip => {
                self.v_zip(size, false, RESULT, a, b);
                if second {
                    self.v_shift_bytes(RESULT, RESULT, 8);
                }
            }
            Permute::Unzip if q => self.v_unzip(size, second, RESULT, a, b),
            Permute::Unzip => {
                self.vex(LOW_HALVES, 1, a, Rm::Reg(b));
                self.v_unzip(size, second, RESULT, 1, 1);
            }
            Permute::Transpose if size == 3 => {
                self.vex(if second { HIGH_HALVES } else { LOW_HALVES }, RESULT, a, Rm::Reg(b));
            }
            Permute::Transpose => {
                // In containers of two elements: one stays, the other comes from its neighbour's place.
                let (wide, bits) = (size + 1, 8u8 << size);
                let low = everywhere(wide, u64::MAX >> (64 - u32::from(bits)));
                if second {
                    self.v_shift(RIGHT, wide, RESULT, a, bits);
                    self.v_const(3, !low);
                    self.vex(v0f(P66, 0xdb), 3, 3, Rm::Reg(b));
                } else {
                    self.v_shift(LEFT, wide, RESULT, b, bits);
                    self.v_const(3, low);
                    self.vex(v0f(P66, 0xdb), 3, 3, Rm::Reg(a));
                }
                self.vex(v0f(P66, 0xeb), RESULT, RESULT, Rm::Reg(3));
            }
        }
        self.v_put_q(d, q, RESULT);
    }

    /// `to` = the elements of the lower, or upper, halves of `a` and `b` in turn.
    pub(super) fn v_zip(&mut self, size: u8, upper: bool, to: u8, a: u8, b: u8) {
        let opcode = if upper { HIGH } else { LOW }[size as usize];
        self.vex(v0f(P66, opcode), to, a, Rm::Reg(b));
    }

    /// TBL. PSHUFB gives zero where an index has its top bit set: indices are moved so that those out of range do.
    fn v_table(&mut self, registers: u8, q: bool, d: u8, n: u8, m: u8) {
        for k in 0..registers {
            let table = self.v_reg((n + k) % 32, 1);
            let index = self.v_reg(m, 2);
            let mut from = index;
            if k > 0 {
                self.v_const(3, everywhere(0, u64::from(16 * k)));
                self.vex(v0f(P66, 0xf8), 2, index, Rm::Reg(3));
                from = 2;
            }
            // PADDUSB.
            self.v_const(3, everywhere(0, 0x70));
            self.vex(v0f(P66, 0xdc), 2, from, Rm::Reg(3));
            if k == 0 {
                self.vex(v38(0x00), RESULT, table, Rm::Reg(2));
            } else {
                self.vex(v38(0x00), 2, table, Rm::Reg(2));
                self.vex(v0f(P66, 0xeb), RESULT, RESULT, Rm::Reg(2));
            }
        }
        self.v_put_q(d, q, RESULT);
    }
}
