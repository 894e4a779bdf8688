//! AdvSIMD on integers.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::Emitter;
use super::vectors::RESULT;
use super::vex::{NP, P66, Rm, Vex, v0f, v38};
use crate::jit::region::Slot;
use crate::jit::simd::{Aes, Fold, Long, Shift, Simd, Three, Two};

const fn p(opcode: u8) -> Vex {
    v0f(P66, opcode)
}

/// Operations by log2 of the bytes of an element.
const ADD: [Vex; 4] = [p(0xfc), p(0xfd), p(0xfe), p(0xd4)];
const SUB: [Vex; 4] = [p(0xf8), p(0xf9), p(0xfa), p(0xfb)];
const EQUAL: [Vex; 4] = [p(0x74), p(0x75), p(0x76), v38(0x29)];
const GREATER: [Vex; 4] = [p(0x64), p(0x65), p(0x66), v38(0x37)];
const MIN_SIGNED: [Vex; 3] = [v38(0x38), p(0xea), v38(0x39)];
const MIN_UNSIGNED: [Vex; 3] = [p(0xda), v38(0x3a), v38(0x3b)];
const MAX_SIGNED: [Vex; 3] = [v38(0x3c), p(0xee), v38(0x3d)];
const MAX_UNSIGNED: [Vex; 3] = [p(0xde), v38(0x3e), v38(0x3f)];
const AND: Vex = p(0xdb);
const AND_NOT: Vex = p(0xdf);
const OR: Vex = p(0xeb);
const XOR: Vex = p(0xef);
/// PMULLW, PMULLD.
const MUL: [Vex; 3] = [p(0xd5), p(0xd5), v38(0x40)];
/// Shifts by an immediate: opcode, and the extension in ModRM.reg of left, right and arithmetic right.
const SHIFT: [u8; 4] = [0x71, 0x71, 0x72, 0x73];
pub(super) const LEFT: u8 = 6;
pub(super) const RIGHT: u8 = 2;
const RIGHT_SIGNED: u8 = 4;
/// Of the whole register, by bytes.
const RIGHT_BYTES: u8 = 3;
const SHUFFLE_BYTES: Vex = v38(0x00);
pub(super) const SHUFFLE_WORDS: Vex = p(0x70);
const PACK_BYTES: Vex = p(0x67);
const PACK_HALVES: Vex = v38(0x2b);
pub(super) const LOW_HALVES: Vex = p(0x6c);
pub(super) const HIGH_HALVES: Vex = p(0x6d);

/// The element `x` of 1 << `size` bytes everywhere.
pub(super) fn everywhere(size: u8, x: u64) -> u128 {
    let bits = 8 << size;
    (0..128 / bits).fold(0, |r, k| r | u128::from(x & (u64::MAX >> (64 - bits))) << (k * bits))
}

impl Emitter<'_> {
    /// Emits an instruction of FP and AdvSIMD registers.
    pub(super) fn simd(&mut self, slot: Slot, simd: Simd) {
        match simd {
            Simd::FloatUnary { .. }
            | Simd::FloatBinary { .. }
            | Simd::FloatFused { .. }
            | Simd::FloatMask { .. }
            | Simd::FloatCompare { .. }
            | Simd::FloatSelect { .. }
            | Simd::FloatConvert { .. }
            | Simd::FromInt { .. }
            | Simd::ToInt { .. } => self.float(slot, simd),
            Simd::Multiple { .. } | Simd::LoadReplicate { .. } => self.structure(slot, simd),
            _ => {
                let back = self.asm.new_dynamic_label();
                let slow = self.slow_simd(slot, back);
                self.need_vectors(slow);
                self.v_integer(simd);
                dynasm!(self.asm ; .arch x64 ; =>back);
            }
        }
        self.host_flags = None;
    }

    fn v_integer(&mut self, simd: Simd) {
        match simd {
            Simd::Three { op, size, q, d, n, m, element } => self.v_three(op, size, q, d, n, m, element),
            Simd::Two { op, size, q, d, n } => self.v_two(op, size, q, d, n),
            Simd::Fold { op, size, q, d, n } => self.v_fold(op, size, q, d, n),
            Simd::Shift { op, size, q, amount, d, n } => self.v_shift_by(op, size, q, amount, d, n),
            Simd::ShiftLong { signed, size, upper, amount, d, n } => {
                let n = self.v_rm(n);
                self.v_widen(signed, size, upper, RESULT, n);
                self.v_shift(LEFT, size + 1, RESULT, RESULT, amount);
                self.v_put(d, RESULT);
            }
            Simd::ShiftNarrow { size, upper, amount, d, n } => self.v_narrow(size, upper, amount, d, n),
            Simd::Long { op, signed, size, upper, d, n, m, element } => {
                self.v_long(op, signed, size, upper, d, n, m, element);
            }
            Simd::Aes { op, d, n } => self.v_aes(op, d, n),
            _ => self.v_move(simd),
        }
    }

    /// `to` = `from` shifted by an immediate, `way` one of the extensions.
    pub(super) fn v_shift(&mut self, way: u8, size: u8, to: u8, from: u8, amount: u8) {
        if amount == 0 {
            return self.vex(v0f(NP, 0x28), to, 0, Rm::Reg(from));
        }
        // The destination is the second operand here.
        self.vex_imm(p(SHIFT[size as usize]), way, to, Rm::Reg(from), amount);
    }

    /// `to` = `from` moved down by bytes.
    pub(super) fn v_shift_bytes(&mut self, to: u8, from: u8, amount: u8) {
        self.vex_imm(p(0x73), RIGHT_BYTES, to, Rm::Reg(from), amount);
    }

    fn v_not(&mut self, host: u8, scratch: u8) {
        self.v_const(scratch, u128::MAX);
        self.vex(XOR, host, host, Rm::Reg(scratch));
    }

    /// Element `element` of `m` everywhere in `host`.
    fn v_splat(&mut self, size: u8, element: u8, m: u8, host: u8) {
        let m = self.v_rm(m);
        match size {
            2 => self.vex_imm(SHUFFLE_WORDS, host, 0, m, element * 0x55),
            3 => self.vex_imm(SHUFFLE_WORDS, host, 0, m, if element == 0 { 0x44 } else { 0xee }),
            _ => {
                self.vex(v0f(NP, 0x10), host, 0, m);
                let first = u64::from(element) << size;
                let order = match size {
                    0 => everywhere(0, first),
                    _ => everywhere(1, first | (first + 1) << 8),
                };
                self.v_const(3, order);
                self.vex(SHUFFLE_BYTES, host, host, Rm::Reg(3));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn v_three(&mut self, op: Three, size: u8, q: bool, d: u8, n: u8, m: u8, element: Option<u8>) {
        let s = size as usize;
        let direct = match op {
            Three::Add => Some(ADD[s]),
            Three::Sub => Some(SUB[s]),
            Three::And => Some(AND),
            Three::Orr => Some(OR),
            Three::Eor => Some(XOR),
            Three::Equal => Some(EQUAL[s]),
            Three::Greater => Some(GREATER[s]),
            Three::MinSigned => Some(MIN_SIGNED[s]),
            Three::MinUnsigned => Some(MIN_UNSIGNED[s]),
            Three::MaxSigned => Some(MAX_SIGNED[s]),
            Three::MaxUnsigned => Some(MAX_UNSIGNED[s]),
            Three::Mul if size > 0 && element.is_none() => Some(MUL[s]),
            Three::RoundedHalf => Some([p(0xe0), p(0xe3)][s]),
            _ => None,
        };
        if let Some(direct) = direct {
            // ORR of a register with itself is a move.
            if op == Three::Orr && n == m && q {
                let n = self.v_reg(n, RESULT);
                return self.v_put(d, n);
            }
            let a = self.v_reg(n, 1);
            let b = self.v_rm(m);
            let to = if q { self.v_dst(d) } else { RESULT };
            self.vex(direct, to, a, b);
            return self.v_put_q(d, q, to);
        }
        let b = match element {
            Some(element) => {
                self.v_splat(size, element, m, 2);
                2
            }
            None => self.v_reg(m, 2),
        };
        let a = self.v_reg(n, 1);
        match op {
            Three::Bic => self.vex(AND_NOT, RESULT, b, Rm::Reg(a)),
            Three::Orn => {
                self.v_const(RESULT, u128::MAX);
                self.vex(XOR, RESULT, RESULT, Rm::Reg(b));
                self.vex(OR, RESULT, RESULT, Rm::Reg(a));
            }
            Three::Bsl => self.v_select(a, b, d),
            Three::Bit => self.v_merge(d, a, b, false),
            Three::Bif => self.v_merge(d, a, b, true),
            Three::Test => {
                self.vex(AND, RESULT, a, Rm::Reg(b));
                self.v_const(3, 0);
                self.vex(EQUAL[s], RESULT, RESULT, Rm::Reg(3));
                self.v_not(RESULT, 3);
            }
            Three::GreaterEqual => {
                self.vex(GREATER[s], RESULT, b, Rm::Reg(a));
                self.v_not(RESULT, 3);
            }
            Three::Higher | Three::HigherSame if size < 3 => {
                let same = op == Three::HigherSame;
                self.vex(if same { MAX_UNSIGNED[s] } else { MIN_UNSIGNED[s] }, RESULT, a, Rm::Reg(b));
                self.vex(EQUAL[s], RESULT, RESULT, Rm::Reg(a));
                if !same {
                    self.v_not(RESULT, 3);
                }
            }
            Three::Higher | Three::HigherSame => {
                self.v_const(3, everywhere(3, 1 << 63));
                self.vex(XOR, 1, a, Rm::Reg(3));
                self.vex(XOR, 2, b, Rm::Reg(3));
                if op == Three::Higher {
                    self.vex(GREATER[3], RESULT, 1, Rm::Reg(2));
                } else {
                    self.vex(GREATER[3], RESULT, 2, Rm::Reg(1));
                    self.v_not(RESULT, 3);
                }
            }
            Three::Mul => self.v_multiply(size, RESULT, a, b),
            Three::MulAdd | Three::MulSub => {
                self.v_multiply(size, RESULT, a, b);
                let old = self.v_reg(d, 3);
                let op = if op == Three::MulAdd { ADD[s] } else { SUB[s] };
                self.vex(op, RESULT, old, Rm::Reg(RESULT));
            }
            Three::DistanceSigned | Three::DistanceUnsigned => {
                let signed = op == Three::DistanceSigned;
                let (max, min) =
                    if signed { (MAX_SIGNED[s], MIN_SIGNED[s]) } else { (MAX_UNSIGNED[s], MIN_UNSIGNED[s]) };
                self.vex(max, RESULT, a, Rm::Reg(b));
                self.vex(min, 3, a, Rm::Reg(b));
                self.vex(SUB[s], RESULT, RESULT, Rm::Reg(3));
            }
            Three::AddPairs => return self.v_pairs(ADD[s], size, q, d, a, b),
            Three::MinUnsignedPairs => return self.v_pairs(MIN_UNSIGNED[s], size, q, d, a, b),
            Three::MaxUnsignedPairs => return self.v_pairs(MAX_UNSIGNED[s], size, q, d, a, b),
            _ => unreachable!("these have one instruction of the host"),
        }
        self.v_put_q(d, q, RESULT);
    }

    /// RESULT = `a` where the old `mask` register has ones, else `b`.
    fn v_select(&mut self, a: u8, b: u8, mask: u8) {
        let mask = self.v_reg(mask, 3);
        self.vex(XOR, RESULT, a, Rm::Reg(b));
        self.vex(AND, RESULT, RESULT, Rm::Reg(mask));
        self.vex(XOR, RESULT, RESULT, Rm::Reg(b));
    }

    /// RESULT = `a` where `mask` has ones, or with `invert` zeroes, else the old `d`.
    fn v_merge(&mut self, d: u8, a: u8, mask: u8, invert: bool) {
        let old = self.v_reg(d, 3);
        self.vex(XOR, RESULT, a, Rm::Reg(old));
        self.vex(if invert { AND_NOT } else { AND }, RESULT, mask, Rm::Reg(RESULT));
        self.vex(XOR, RESULT, RESULT, Rm::Reg(old));
    }

    /// `to`, not an operand, = `a` * `b`. Uses XMM3; of bytes also XMM1 and XMM2.
    fn v_multiply(&mut self, size: u8, to: u8, a: u8, b: u8) {
        if size > 0 {
            return self.vex(MUL[size as usize], to, a, Rm::Reg(b));
        }
        // Even bytes and odd bytes.
        self.vex(MUL[1], to, a, Rm::Reg(b));
        self.v_shift(RIGHT, 1, 1, a, 8);
        self.v_shift(RIGHT, 1, 2, b, 8);
        self.vex(MUL[1], 1, 1, Rm::Reg(2));
        self.v_shift(LEFT, 1, 1, 1, 8);
        self.v_const(3, everywhere(1, 0xff));
        self.vex(AND, to, to, Rm::Reg(3));
        self.vex(OR, to, to, Rm::Reg(1));
    }

    /// `d` = `op` of neighbours in `a`, then in `b`.
    fn v_pairs(&mut self, op: Vex, size: u8, q: bool, d: u8, a: u8, b: u8) {
        let (mut a, mut b) = (a, b);
        if !q && size < 3 {
            // Half registers side by side; what is computed twice is cut off.
            self.vex(LOW_HALVES, 1, a, Rm::Reg(b));
            (a, b) = (1, 1);
        }
        self.v_unzip(size, false, RESULT, a, b);
        self.v_unzip(size, true, 3, a, b);
        self.vex(op, RESULT, RESULT, Rm::Reg(3));
        self.v_put_q(d, q, RESULT);
    }

    /// `to` = every other element of `a`, then of `b`, from the first or the second on. Uses `to` and XMM2 if `to` is 0,
    /// else `to` and XMM1, XMM2, which may be the operands then.
    pub(super) fn v_unzip(&mut self, size: u8, second: bool, to: u8, a: u8, b: u8) {
        match size {
            3 => self.vex(if second { HIGH_HALVES } else { LOW_HALVES }, to, a, Rm::Reg(b)),
            2 => self.vex_imm(v0f(NP, 0xc6), to, a, Rm::Reg(b), if second { 0xdd } else { 0x88 }),
            _ => {
                // Each half of the result by a shuffle of bytes, then side by side.
                let step = 1u64 << size;
                let order = (0..8).fold(0, |r, k| {
                    let (element, byte) = (k / step, k % step);
                    r | u128::from((2 * element + u64::from(second)) * step + byte) << (8 * k)
                });
                let order = order | 0x8080_8080_8080_8080 << 64;
                let swapped = order.rotate_left(64);
                let (label, other) = (self.v_label(order), self.v_label(swapped));
                dynasm!(self.asm ; .arch x64 ; vpshufb Rx(to), Rx(a), [=>label]);
                // What is left of the other operand is not needed again when it is scratch.
                let spare = if to == RESULT { 3 } else { 2 };
                dynasm!(self.asm ; .arch x64 ; vpshufb Rx(spare), Rx(b), [=>other]);
                self.vex(OR, to, to, Rm::Reg(spare));
            }
        }
    }

    fn v_two(&mut self, op: Two, size: u8, q: bool, d: u8, n: u8) {
        let s = size as usize;
        let n = self.v_reg(n, 1);
        let rm = Rm::Reg(n);
        match op {
            Two::Not => {
                self.v_const(RESULT, u128::MAX);
                self.vex(XOR, RESULT, RESULT, rm);
            }
            Two::Neg => {
                self.v_const(RESULT, 0);
                self.vex(SUB[s], RESULT, RESULT, rm);
            }
            Two::Abs => self.vex(v38(0x1c + size), RESULT, 0, rm),
            Two::Count => self.v_count(n),
            Two::Reverse { container } => {
                let step = 1u128 << size;
                let order = (0..16u128).fold(0, |r, k| {
                    let first = k / u128::from(container) * u128::from(container);
                    let from = first + (u128::from(container) - step - (k - first) / step * step) + k % step;
                    r | from << (8 * k)
                });
                self.v_const(2, order);
                self.vex(SHUFFLE_BYTES, RESULT, n, Rm::Reg(2));
            }
            Two::EqualZero => {
                self.v_const(RESULT, 0);
                self.vex(EQUAL[s], RESULT, RESULT, rm);
            }
            Two::GreaterZero | Two::LessEqualZero => {
                self.v_const(2, 0);
                self.vex(GREATER[s], RESULT, n, Rm::Reg(2));
                if op == Two::LessEqualZero {
                    self.v_not(RESULT, 2);
                }
            }
            Two::LessZero | Two::GreaterEqualZero => {
                self.v_const(2, 0);
                self.vex(GREATER[s], RESULT, 2, rm);
                if op == Two::GreaterEqualZero {
                    self.v_not(RESULT, 2);
                }
            }
            Two::AddLongPairs { signed, accumulate } => {
                self.v_add_long_pairs(signed, size, n);
                if accumulate {
                    let old = self.v_rm(d);
                    self.vex(ADD[s + 1], RESULT, RESULT, old);
                }
            }
        }
        self.v_put_q(d, q, RESULT);
    }

    /// RESULT = the number of ones in each byte of `n`, by nibbles.
    fn v_count(&mut self, n: u8) {
        let counts = (0..16u128).fold(0, |r, k| r | u128::from(k.count_ones()) << (8 * k));
        self.v_const(2, everywhere(0, 15));
        self.v_const(3, counts);
        self.vex(AND, RESULT, n, Rm::Reg(2));
        self.vex(SHUFFLE_BYTES, RESULT, 3, Rm::Reg(RESULT));
        self.v_shift(RIGHT, 1, 1, n, 4);
        self.vex(AND, 1, 1, Rm::Reg(2));
        self.vex(SHUFFLE_BYTES, 1, 3, Rm::Reg(1));
        self.vex(ADD[0], RESULT, RESULT, Rm::Reg(1));
    }

    /// RESULT = the sums of neighbours of `n`, twice as wide.
    fn v_add_long_pairs(&mut self, signed: bool, size: u8, n: u8) {
        match (size, signed) {
            // PMADDUBSW multiplies unsigned bytes of its second operand with signed ones of its last.
            (0, true) => {
                self.v_const(2, everywhere(0, 1));
                self.vex(v38(0x04), RESULT, 2, Rm::Reg(n));
            }
            (0, false) => {
                self.v_const(2, everywhere(0, 1));
                self.vex(v38(0x04), RESULT, n, Rm::Reg(2));
            }
            // PMADDWD.
            (1, true) => {
                self.v_const(2, everywhere(1, 1));
                self.vex(p(0xf5), RESULT, n, Rm::Reg(2));
            }
            _ => {
                let wide = size + 1;
                self.v_const(2, everywhere(wide, u64::MAX >> (64 - (8 << size))));
                self.vex(AND, 2, 2, Rm::Reg(n));
                self.v_shift(RIGHT, wide, RESULT, n, 8 << size);
                self.vex(ADD[wide as usize], RESULT, RESULT, Rm::Reg(2));
            }
        }
    }

    fn v_fold(&mut self, op: Fold, size: u8, q: bool, d: u8, n: u8) {
        let s = size as usize;
        let n = self.v_reg(n, 1);
        if op == Fold::AddLong || op == Fold::Add && size == 0 {
            // PSADBW against zero adds the bytes of each half.
            self.v_const(2, 0);
            self.vex(p(0xf6), RESULT, n, Rm::Reg(2));
            if q {
                self.v_shift_bytes(1, RESULT, 8);
                self.vex(ADD[3], RESULT, RESULT, Rm::Reg(1));
            }
            let bits = if op == Fold::Add { 8 } else { 16 };
            return self.v_put_lowest(d, bits);
        }
        let op = match op {
            Fold::Add | Fold::AddLong => ADD[s],
            Fold::MaxUnsigned => MAX_UNSIGNED[s],
            Fold::MinUnsigned => MIN_UNSIGNED[s],
            Fold::MaxSigned => MAX_SIGNED[s],
            Fold::MinSigned => MIN_SIGNED[s],
        };
        let mut from = n;
        let mut bytes = if q { 8 } else { 4 };
        while bytes >= 1 << size {
            self.v_shift_bytes(2, from, bytes);
            self.vex(op, RESULT, from, Rm::Reg(2));
            from = RESULT;
            bytes /= 2;
        }
        self.v_put_lowest(d, 8 << size);
    }

    /// `d` = the lowest bits of RESULT.
    fn v_put_lowest(&mut self, d: u8, bits: u32) {
        self.v_const(2, (1 << bits) - 1);
        self.vex(AND, RESULT, RESULT, Rm::Reg(2));
        self.v_put(d, RESULT);
    }

    /// `to` = `from` shifted by an immediate, with the sizes that the host does not have. Uses XMM3.
    fn v_shift_any(&mut self, op: Shift, size: u8, to: u8, from: u8, amount: u8) {
        let bits = 8u8 << size;
        let ones = u64::MAX >> (64 - u32::from(bits));
        match op {
            Shift::Left | Shift::LeftInsert => {
                self.v_shift(LEFT, size, to, from, amount);
                if size == 0 {
                    self.v_const(3, everywhere(0, ones << amount));
                    self.vex(AND, to, to, Rm::Reg(3));
                }
            }
            Shift::Right | Shift::RightAdd | Shift::RightInsert => {
                self.v_shift(RIGHT, size, to, from, amount);
                if size == 0 {
                    self.v_const(3, everywhere(0, ones >> amount.min(8)));
                    self.vex(AND, to, to, Rm::Reg(3));
                }
            }
            Shift::RightSigned | Shift::RightSignedAdd => match size {
                0 => {
                    // The sign moves by exclusive or and subtraction.
                    let amount = amount.min(7);
                    self.v_shift(RIGHT, 1, to, from, amount);
                    self.v_const(3, everywhere(0, 0xff >> amount));
                    self.vex(AND, to, to, Rm::Reg(3));
                    self.v_const(3, everywhere(0, 0x80 >> amount));
                    self.vex(XOR, to, to, Rm::Reg(3));
                    self.vex(SUB[0], to, to, Rm::Reg(3));
                }
                3 => {
                    self.v_const(3, 0);
                    self.vex(GREATER[3], 3, 3, Rm::Reg(from));
                    let amount = amount.min(63);
                    self.v_shift(RIGHT, 3, to, from, amount);
                    self.v_shift(LEFT, 3, 3, 3, 64 - amount);
                    self.vex(OR, to, to, Rm::Reg(3));
                }
                _ => self.v_shift(RIGHT_SIGNED, size, to, from, amount),
            },
        }
    }

    fn v_shift_by(&mut self, op: Shift, size: u8, q: bool, amount: u8, d: u8, n: u8) {
        let n = self.v_reg(n, 1);
        self.v_shift_any(op, size, RESULT, n, amount);
        let bits = 8u32 << size;
        let ones = u64::MAX >> (64 - bits);
        match op {
            Shift::RightAdd | Shift::RightSignedAdd => {
                let old = self.v_rm(d);
                self.vex(ADD[size as usize], RESULT, RESULT, old);
            }
            Shift::LeftInsert | Shift::RightInsert => {
                let kept = match op {
                    Shift::LeftInsert => !(ones << amount),
                    _ => !ones.checked_shr(amount.into()).unwrap_or(0),
                };
                self.v_const(3, everywhere(size, kept));
                let old = self.v_rm(d);
                self.vex(AND, 3, 3, old);
                self.vex(OR, RESULT, RESULT, Rm::Reg(3));
            }
            _ => {}
        }
        self.v_put_q(d, q, RESULT);
    }

    /// `to` = the elements of one half of `n`, twice as wide.
    fn v_widen(&mut self, signed: bool, size: u8, upper: bool, to: u8, n: Rm) {
        let op = v38([0x20, 0x23, 0x25][size as usize] + if signed { 0 } else { 0x10 });
        if upper {
            // PSHUFD: the upper half below.
            self.vex_imm(SHUFFLE_WORDS, to, 0, n, 0xee);
            self.vex(op, to, 0, Rm::Reg(to));
        } else {
            self.vex(op, to, 0, n);
        }
    }

    fn v_narrow(&mut self, size: u8, upper: bool, amount: u8, d: u8, n: u8) {
        let n = self.v_reg(n, 1);
        if amount > 0 {
            self.v_shift(RIGHT, size + 1, RESULT, n, amount);
        }
        let from = if amount > 0 { RESULT } else { n };
        if size == 2 {
            self.vex_imm(SHUFFLE_WORDS, RESULT, 0, Rm::Reg(from), 0x88);
        } else {
            self.v_const(2, everywhere(size + 1, u64::MAX >> (64 - (8 << size))));
            self.vex(AND, RESULT, from, Rm::Reg(2));
            let pack = if size == 0 { PACK_BYTES } else { PACK_HALVES };
            self.vex(pack, RESULT, RESULT, Rm::Reg(RESULT));
        }
        if upper {
            let old = self.v_reg(d, 1);
            self.vex(LOW_HALVES, RESULT, old, Rm::Reg(RESULT));
        }
        self.v_put_q(d, upper, RESULT);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn v_long(&mut self, op: Long, signed: bool, size: u8, upper: bool, d: u8, n: u8, m: u8, element: Option<u8>) {
        let wide = size as usize + 1;
        match element {
            Some(element) => {
                self.v_splat(size, element, m, 2);
                self.v_widen(signed, size, false, 2, Rm::Reg(2));
            }
            None => {
                let m = self.v_rm(m);
                self.v_widen(signed, size, upper, 2, m);
            }
        }
        if matches!(op, Long::AddWide | Long::SubWide) {
            let n = self.v_reg(n, 1);
            let op = if op == Long::AddWide { ADD[wide] } else { SUB[wide] };
            self.vex(op, RESULT, n, Rm::Reg(2));
            return self.v_put(d, RESULT);
        }
        let n = self.v_rm(n);
        self.v_widen(signed, size, upper, 1, n);
        // PMULLW, PMULLD, and PMULDQ or PMULUDQ of the lower words of doublewords.
        let multiply = match (size, signed) {
            (0, _) => MUL[1],
            (1, _) => MUL[2],
            (_, true) => v38(0x28),
            _ => p(0xf4),
        };
        match op {
            Long::Add => self.vex(ADD[wide], RESULT, 1, Rm::Reg(2)),
            Long::Sub => self.vex(SUB[wide], RESULT, 1, Rm::Reg(2)),
            _ => self.vex(multiply, RESULT, 1, Rm::Reg(2)),
        }
        if matches!(op, Long::MulAdd | Long::MulSub) {
            let old = self.v_reg(d, 1);
            let op = if op == Long::MulAdd { ADD[wide] } else { SUB[wide] };
            self.vex(op, RESULT, old, Rm::Reg(RESULT));
        }
        self.v_put(d, RESULT);
    }

    /// AESE, AESD, AESMC, AESIMC.
    fn v_aes(&mut self, op: Aes, d: u8, n: u8) {
        let rm = self.v_rm(n);
        match op {
            Aes::Encrypt | Aes::Decrypt => {
                let old = self.v_reg(d, 1);
                self.vex(XOR, RESULT, old, rm);
                self.v_const(2, 0);
                // The last round of either way, with a key of zeroes.
                self.vex(v38(if op == Aes::Encrypt { 0xdd } else { 0xdf }), RESULT, RESULT, Rm::Reg(2));
            }
            Aes::Mix => {
                // A whole round behind the inverse of what else is in it.
                let n = self.v_reg(n, 1);
                self.v_const(2, 0);
                self.vex(v38(0xdf), RESULT, n, Rm::Reg(2));
                self.vex(v38(0xdc), RESULT, RESULT, Rm::Reg(2));
            }
            Aes::InverseMix => self.vex(v38(0xdb), RESULT, 0, rm),
        }
        self.v_put(d, RESULT);
    }
}
