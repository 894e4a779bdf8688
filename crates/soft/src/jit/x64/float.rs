//! Floating-point arithmetic, scalars and vectors alike. See [`super::vectors`] for why the results are exact.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::vectors::RESULT;
use super::vex::{F2, F3, NP, P66, Rm, Vex, v0f, v3a, v38};
use super::{Emitter, Kind, RAX, flag_offset};
use crate::interp::flags;
use crate::jit::region::Slot;
use crate::jit::simd::{FloatBinary, FloatMask, FloatUnary, Lanes, Simd};

/// A result that is zero or tiny without underflow if one of its factors is zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    double: bool,
    lanes: Lanes,
    n: u8,
    m: u8,
    element: Option<u8>,
}

/// What a result is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// NaNs and infinities.
    Finite,
    /// These, and what may be the result of an underflow.
    Normal,
}

/// The sign of each element.
fn signs(double: bool) -> u128 {
    everywhere(double, if double { 1 << 63 } else { 1 << 31 })
}

/// The smallest normal number in each element.
fn min_normal(double: bool) -> u128 {
    everywhere(double, if double { 1 << 52 } else { 1 << 23 })
}

fn everywhere(double: bool, x: u64) -> u128 {
    u128::from(if double { x } else { x << 32 | x }) * (1 << 64 | 1)
}

/// An operation of map 0F in the form for these lanes.
fn form(opcode: u8, double: bool, lanes: Lanes) -> Vex {
    let prefix = match (lanes, double) {
        (Lanes::Scalar, false) => F3,
        (Lanes::Scalar, true) => F2,
        (_, false) => NP,
        (_, true) => P66,
    };
    v0f(prefix, opcode)
}

/// ANDPS, ANDPD and the like, which have no scalar form.
const AND: Vex = v0f(NP, 0x54);
const AND_NOT: Vex = v0f(NP, 0x55);
const OR: Vex = v0f(NP, 0x56);
const XOR: Vex = v0f(NP, 0x57);
const PTEST: Vex = v38(0x17);
/// CMPPS predicates (SDM volume 2, CMPPD).
const EQ: u8 = 0x00;
const UNORDERED: u8 = 0x03;
const LESS: u8 = 0x11;
const NOT_GREATER: u8 = 0x1a;
const GREATER_EQUAL: u8 = 0x1d;
const GREATER: u8 = 0x1e;

impl Emitter<'_> {
    /// Emits a floating-point instruction.
    pub(super) fn float(&mut self, slot: Slot, simd: Simd) {
        let back = self.asm.new_dynamic_label();
        let slow = self.slow_simd(slot, back);
        self.need_vectors(slow);
        match simd {
            Simd::FloatUnary { op: FloatUnary::Mov, double, lanes, d, n } => {
                let n = self.v_reg(n, 0);
                self.vex(v0f(NP, 0x28), RESULT, 0, Rm::Reg(n));
                self.v_put_lanes(d, double, lanes, RESULT);
            }
            Simd::FloatUnary { op: op @ (FloatUnary::Abs | FloatUnary::Neg), double, lanes, d, n } => {
                self.v_const(1, signs(double));
                let n = self.v_rm(n);
                self.vex(if op == FloatUnary::Abs { AND_NOT } else { XOR }, RESULT, 1, n);
                self.v_put_lanes(d, double, lanes, RESULT);
            }
            Simd::FloatSelect { double, cond, d, n, m } => self.float_select(double, cond, d, n, m),
            _ => {
                self.need_plain_mode(slot, slow);
                self.compute_float(slot, simd, slow, back);
            }
        }
        dynasm!(self.asm ; .arch x64 ; =>back);
    }

    fn compute_float(&mut self, slot: Slot, simd: Simd, slow: DynamicLabel, back: DynamicLabel) {
        match simd {
            Simd::FloatUnary { op, double, lanes, d, n } => self.float_unary(op, double, lanes, d, n, slow),
            Simd::FloatBinary { op: op @ (FloatBinary::Min | FloatBinary::Max), double, lanes, d, n, m, .. } => {
                self.float_extreme(op == FloatBinary::Max, double, lanes, d, n, m, slow);
            }
            Simd::FloatBinary { op: FloatBinary::AddPairs, double, lanes, d, n, m, .. } => {
                self.add_pairs(double, lanes, d, n, m, slow);
            }
            Simd::FloatBinary { op, double, lanes, d, n, m, element } => {
                let product = Product { double, lanes, n, m, element };
                let opcode = match op {
                    FloatBinary::Add => 0x58,
                    FloatBinary::Sub | FloatBinary::Distance => 0x5c,
                    FloatBinary::Div => 0x5e,
                    _ => 0x59,
                };
                let (a, b) = self.float_factors(product);
                self.vex(form(opcode, double, lanes), RESULT, a, b);
                if matches!(opcode, 0x59 | 0x5e) {
                    self.check_product(slot, product, back);
                } else {
                    self.check_float(Check::Finite, double, lanes, slow);
                }
                let flip = match op {
                    FloatBinary::Distance => AND_NOT,
                    FloatBinary::NegMul => XOR,
                    _ => return self.v_put_lanes(d, double, lanes, RESULT),
                };
                self.v_const(1, signs(double));
                self.vex(flip, RESULT, 1, Rm::Reg(RESULT));
                self.v_put_lanes(d, double, lanes, RESULT);
            }
            Simd::FloatFused { negate_product, negate_addend, double, lanes, d, n, m, a, element } => {
                let product = Product { double, lanes, n, m, element };
                if lanes == Lanes::Half {
                    self.v_low(a, RESULT);
                } else {
                    let a = self.v_rm(a);
                    self.vex(v0f(NP, 0x10), RESULT, 0, a);
                }
                let (n, m) = self.float_factors(product);
                // VFMADD231 and its relatives: first = +-(second * third) +- first.
                let base = match (negate_product, negate_addend) {
                    (false, false) => 0xb8,
                    (false, true) => 0xba,
                    (true, false) => 0xbc,
                    (true, true) => 0xbe,
                };
                let scalar = u8::from(lanes == Lanes::Scalar);
                self.vex(v38(base + scalar).wide(double), RESULT, n, m);
                self.check_product(slot, product, back);
                self.v_put_lanes(d, double, lanes, RESULT);
            }
            Simd::FloatMask { op, double, lanes, swap, d, n, m } => {
                self.float_mask(op, double, lanes, swap, d, n, m, slow);
            }
            Simd::FloatCompare { double, n, m } => self.float_compare(double, n, m, slow),
            Simd::FloatConvert { double, d, n } => {
                let n = self.v_reg(n, 1);
                self.vex(form(0x5a, !double, Lanes::Scalar), RESULT, n, Rm::Reg(n));
                self.check_float(if double { Check::Finite } else { Check::Normal }, double, Lanes::Scalar, slow);
                self.v_put_lanes(d, double, Lanes::Scalar, RESULT);
            }
            Simd::FromInt { signed, x, double, d, n } => self.float_from_int(signed, x, double, d, n, slow),
            Simd::ToInt { signed, x, double, mode, d, n } => self.float_to_int(signed, x, double, mode, d, n, slow),
            _ => unreachable!("only floating point comes here"),
        }
    }

    /// The factors in XMM1, or a register's own, and XMM2, memory or a register's own. Lanes that are not used are
    /// zeroes in vectors.
    fn float_factors(&mut self, product: Product) -> (u8, Rm) {
        let Product { double, lanes, n, m, element } = product;
        let half = lanes == Lanes::Half;
        let a = if half {
            self.v_low(n, 1);
            1
        } else {
            self.v_reg(n, 1)
        };
        let b = match element {
            Some(0) if lanes == Lanes::Scalar => self.v_rm(m),
            Some(element) => {
                let m = self.v_rm(m);
                // PSHUFD.
                let order = if double { [0x44, 0xee][usize::from(element)] } else { element * 0x55 };
                self.vex_imm(v0f(P66, 0x70), 2, 0, m, order);
                if half {
                    self.vex(v0f(F3, 0x7e), 2, 0, Rm::Reg(2));
                }
                Rm::Reg(2)
            }
            None if half => {
                self.v_low(m, 2);
                Rm::Reg(2)
            }
            None => self.v_rm(m),
        };
        (a, b)
    }

    /// Goes to `slow` if the result is not what `check` lets pass. Uses RAX, XMM1 and XMM2.
    fn check_float(&mut self, check: Check, double: bool, lanes: Lanes, slow: DynamicLabel) {
        if lanes == Lanes::Scalar {
            return self.check_float_scalar(check, double, slow);
        }
        let minus = form(0x5c, double, lanes);
        if check == Check::Finite {
            // What is finite minus itself is +0.
            self.vex(minus, 1, RESULT, Rm::Reg(RESULT));
        } else {
            self.v_const(2, signs(double));
            self.vex(AND_NOT, 1, 2, Rm::Reg(RESULT));
            self.v_const(2, min_normal(double));
            self.vex_imm(form(0xc2, double, lanes), 1, 1, Rm::Reg(2), NOT_GREATER);
            self.vex(minus, 2, RESULT, Rm::Reg(RESULT));
            self.vex(OR, 1, 1, Rm::Reg(2));
        }
        if lanes == Lanes::Half {
            self.vex(v0f(F3, 0x7e), 1, 0, Rm::Reg(1));
        }
        self.vex(PTEST, 1, 0, Rm::Reg(1));
        dynasm!(self.asm ; .arch x64 ; jnz =>slow);
    }

    /// As [`Emitter::check_float`] by the exponent, which the general registers' side of the host looks at.
    fn check_float_scalar(&mut self, check: Check, double: bool, slow: DynamicLabel) {
        // EAX = exponent in the highest bits, fraction below.
        if double {
            dynasm!(self.asm ; .arch x64 ; vmovq rax, xmm0 ; shr rax, 31);
        } else {
            dynasm!(self.asm ; .arch x64 ; vmovd eax, xmm0 ; add eax, eax);
        }
        let one: u32 = if double { 1 << 21 } else { 1 << 24 };
        let infinite = one.wrapping_neg();
        match check {
            Check::Finite => dynasm!(self.asm ; .arch x64 ; cmp eax, infinite as i32 ; jae =>slow),
            Check::Normal => dynasm!(self.asm
                ; .arch x64
                ; sub eax, 2 * one as i32
                ; cmp eax, (infinite - 2 * one) as i32
                ; jae =>slow
            ),
        }
    }

    /// Looks at a product, a quotient or a fused product.
    fn check_product(&mut self, slot: Slot, product: Product, back: DynamicLabel) {
        let keep = self.asm.new_dynamic_label();
        let slow = self.slow_product(slot, back, product, keep);
        self.check_float(Check::Normal, product.double, product.lanes, slow);
        dynasm!(self.asm ; .arch x64 ; =>keep);
    }

    /// Goes to `keep` if all lanes are finite, and normal or made of a factor that is zero.
    pub(super) fn look_again(&mut self, product: Product, keep: DynamicLabel) {
        let Product { double, lanes, .. } = product;
        let packed = Lanes::Full;
        let compare = form(0xc2, double, packed);
        let (a, b) = self.float_factors(product);
        self.v_const(3, 0);
        self.vex_imm(compare, 1, 3, Rm::Reg(a), EQ);
        // The other factor may be in memory, of which a scalar's upper lanes do not count.
        self.vex_imm(compare, 2, 3, b, EQ);
        self.vex(OR, 1, 1, Rm::Reg(2));
        self.v_const(2, signs(double));
        self.vex(AND_NOT, 2, 2, Rm::Reg(RESULT));
        self.v_const(3, min_normal(double));
        self.vex_imm(compare, 3, 3, Rm::Reg(2), LESS);
        self.vex(OR, 1, 1, Rm::Reg(3));
        self.v_const(2, 0);
        self.vex(form(0x5c, double, packed), 3, RESULT, Rm::Reg(RESULT));
        self.vex_imm(compare, 3, 3, Rm::Reg(2), EQ);
        self.vex(AND, 1, 1, Rm::Reg(3));
        // MOVMSKPS, MOVMSKPD.
        self.vex(form(0x50, double, packed), RAX, 0, Rm::Reg(1));
        let all = match (lanes, double) {
            (Lanes::Scalar, _) => 1,
            (Lanes::Full, false) => 15,
            _ => 3,
        };
        dynasm!(self.asm ; .arch x64 ; and eax, all ; cmp eax, all ; je =>keep);
    }

    fn float_unary(&mut self, op: FloatUnary, double: bool, lanes: Lanes, d: u8, n: u8, slow: DynamicLabel) {
        let scalar = lanes == Lanes::Scalar;
        match op {
            FloatUnary::Sqrt => {
                let n = self.float_source(lanes, n);
                let second = if scalar { n } else { 0 };
                self.vex(form(0x51, double, lanes), RESULT, second, Rm::Reg(n));
                self.check_float(Check::Finite, double, lanes, slow);
            }
            FloatUnary::Round { mode, inexact } => {
                let n = self.float_source(lanes, n);
                // ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD.
                let op = v3a(8 + u8::from(double) + 2 * u8::from(scalar));
                let imm = mode | if inexact { 0 } else { 8 };
                self.vex_imm(op, RESULT, if scalar { n } else { 0 }, Rm::Reg(n), imm);
                self.check_float(Check::Finite, double, lanes, slow);
            }
            FloatUnary::FromSigned if scalar => {
                let n = self.v_reg(n, 1);
                self.vex(v0f(P66, 0x7e).wide(double), n, 0, Rm::Reg(RAX));
                self.v_const(RESULT, 0);
                self.vex(form(0x2a, double, lanes).wide(double), RESULT, RESULT, Rm::Reg(RAX));
            }
            FloatUnary::FromSigned => {
                let n = self.float_source(lanes, n);
                self.vex(v0f(NP, 0x5b), RESULT, 0, Rm::Reg(n));
            }
            FloatUnary::ToSigned if scalar => {
                let n = self.v_rm(n);
                self.vex(form(0x2c, double, lanes).wide(double), RAX, 0, n);
                // The host's answer to what is out of range.
                if double {
                    dynasm!(self.asm ; .arch x64 ; cmp rax, 1 ; jo =>slow);
                } else {
                    dynasm!(self.asm ; .arch x64 ; cmp eax, 1 ; jo =>slow);
                }
                self.vex(v0f(P66, 0x6e).wide(double), RESULT, 0, Rm::Reg(RAX));
            }
            FloatUnary::ToSigned => {
                let n = self.float_source(lanes, n);
                self.vex(v0f(F3, 0x5b), RESULT, 0, Rm::Reg(n));
                self.v_const(1, signs(false));
                self.vex(v0f(P66, 0x76), 1, 1, Rm::Reg(RESULT));
                self.vex(PTEST, 1, 0, Rm::Reg(1));
                dynasm!(self.asm ; .arch x64 ; jnz =>slow);
            }
            FloatUnary::Mov | FloatUnary::Abs | FloatUnary::Neg => unreachable!("these compute nothing"),
        }
        self.v_put_lanes(d, double, lanes, RESULT);
    }

    /// Register `n`, zero in lanes of a vector that are not used.
    fn float_source(&mut self, lanes: Lanes, n: u8) -> u8 {
        if lanes == Lanes::Half {
            self.v_low(n, 1);
            1
        } else {
            self.v_reg(n, 1)
        }
    }

    /// FMIN, FMAX and their NM forms, which are the same without NaNs. The host's gives its second operand when both
    /// are zeroes; both ways together have the right sign.
    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn float_extreme(&mut self, greater: bool, double: bool, lanes: Lanes, d: u8, n: u8, m: u8, slow: DynamicLabel) {
        let (a, b) = (self.v_reg(n, 1), self.v_reg(m, 2));
        self.unordered(double, lanes, a, b, slow);
        let op = form(if greater { 0x5f } else { 0x5d }, double, Lanes::Full);
        self.vex(op, RESULT, a, Rm::Reg(b));
        self.vex(op, 3, b, Rm::Reg(a));
        self.vex(if greater { AND } else { OR }, RESULT, RESULT, Rm::Reg(3));
        self.v_put_lanes(d, double, lanes, RESULT);
    }

    /// Goes to `slow` if a lane of `a` or `b` is a NaN. Uses XMM3.
    fn unordered(&mut self, double: bool, lanes: Lanes, a: u8, b: u8, slow: DynamicLabel) {
        if lanes == Lanes::Scalar {
            self.vex(v0f(if double { P66 } else { NP }, 0x2e), a, 0, Rm::Reg(b));
            return dynasm!(self.asm ; .arch x64 ; jp =>slow);
        }
        self.vex_imm(form(0xc2, double, lanes), 3, a, Rm::Reg(b), UNORDERED);
        if lanes == Lanes::Half {
            self.vex(v0f(F3, 0x7e), 3, 0, Rm::Reg(3));
        }
        self.vex(PTEST, 3, 0, Rm::Reg(3));
        dynasm!(self.asm ; .arch x64 ; jnz =>slow);
    }

    /// FADDP by HADDPS and HADDPD.
    fn add_pairs(&mut self, double: bool, lanes: Lanes, d: u8, n: u8, m: u8, slow: DynamicLabel) {
        let op = v0f(if double { P66 } else { F2 }, 0x7c);
        if lanes == Lanes::Full {
            let n = self.v_reg(n, 1);
            let m = self.v_rm(m);
            self.vex(op, RESULT, n, m);
        } else if double {
            let n = self.v_reg(n, 1);
            self.vex(op, RESULT, n, Rm::Reg(n));
        } else {
            // The lower halves of both, twice.
            let n = self.v_reg(n, 1);
            let m = self.v_rm(m);
            self.vex(v0f(P66, 0x14), 1, n, m);
            self.vex(op, RESULT, 1, Rm::Reg(1));
        }
        self.check_float(Check::Finite, double, lanes, slow);
        self.v_put_lanes(d, double, lanes, RESULT);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn float_mask(
        &mut self,
        op: FloatMask,
        double: bool,
        lanes: Lanes,
        swap: bool,
        d: u8,
        n: u8,
        m: Option<u8>,
        slow: DynamicLabel,
    ) {
        let mut a = self.v_reg(n, 1);
        let mut b = match m {
            Some(m) => self.v_reg(m, 2),
            None => {
                self.v_const(2, 0);
                2
            }
        };
        self.unordered(double, lanes, a, b, slow);
        if matches!(op, FloatMask::AbsGe | FloatMask::AbsGt) {
            self.v_const(3, signs(double));
            self.vex(AND_NOT, 1, 3, Rm::Reg(a));
            self.vex(AND_NOT, 2, 3, Rm::Reg(b));
            (a, b) = (1, 2);
        }
        if swap {
            (a, b) = (b, a);
        }
        let predicate = match op {
            FloatMask::Eq => EQ,
            FloatMask::Ge | FloatMask::AbsGe => GREATER_EQUAL,
            FloatMask::Gt | FloatMask::AbsGt => GREATER,
        };
        self.vex_imm(form(0xc2, double, Lanes::Full), RESULT, a, Rm::Reg(b), predicate);
        self.v_put_lanes(d, double, lanes, RESULT);
    }

    /// FCMP, FCMPE: the flags become those of a subtraction of integers that stand in the same order. NaNs go to
    /// `slow`, which leaves flags in the same form.
    fn float_compare(&mut self, double: bool, n: u8, m: Option<u8>, slow: DynamicLabel) {
        let a = self.v_reg(n, 1);
        let b = match m {
            Some(m) => self.v_rm(m),
            None => {
                self.v_const(2, 0);
                Rm::Reg(2)
            }
        };
        dynasm!(self.asm ; .arch x64 ; xor eax, eax ; xor ecx, ecx);
        self.vex(v0f(if double { P66 } else { NP }, 0x2e), a, 0, b);
        dynasm!(self.asm
            ; .arch x64
            ; jp =>slow
            ; seta al
            ; setb cl
            ; mov QWORD [rbp + flag_offset(0)], rax
            ; mov QWORD [rbp + flag_offset(1)], rcx
            ; mov QWORD [rbp + flag_offset(2)], flags::SUB as i32
        );
        self.stored_flags = Some((true, Kind::Sub));
    }

    /// FCSEL.
    fn float_select(&mut self, double: bool, cond: u8, d: u8, n: u8, m: u8) {
        if cond >= 14 {
            let n = self.v_reg(n, RESULT);
            self.vex(v0f(NP, 0x28), RESULT, 0, Rm::Reg(n));
            return self.v_put_lanes(d, double, Lanes::Scalar, RESULT);
        }
        let cc = self.condition(cond);
        dynasm!(self.asm ; .arch x64 ; mov eax, 0);
        // SETcc AL.
        dynasm!(self.asm ; .arch x64 ; .bytes [0x0f, 0x90 | cc, 0xc0] ; neg rax ; vmovq xmm3, rax);
        let m = self.v_reg(m, 1);
        let n = self.v_rm(n);
        // VBLENDVPD takes the lanes of its third operand where the fourth, in the immediate, is negative.
        self.vex_imm(v3a(0x4b), RESULT, m, n, 3 << 4);
        self.v_put_lanes(d, double, Lanes::Scalar, RESULT);
    }

    fn float_from_int(&mut self, signed: bool, x: bool, double: bool, d: u8, n: u8, slow: DynamicLabel) {
        let host = self.src(n, RAX);
        let (source, wide) = match (signed, x) {
            (true, _) => (host, x),
            (false, true) => {
                dynasm!(self.asm ; .arch x64 ; test Rq(host), Rq(host) ; js =>slow);
                (host, true)
            }
            (false, false) => {
                dynasm!(self.asm ; .arch x64 ; mov eax, Rd(host));
                (RAX, true)
            }
        };
        self.v_const(RESULT, 0);
        self.vex(form(0x2a, double, Lanes::Scalar).wide(wide), RESULT, RESULT, Rm::Reg(source));
        self.v_put(d, RESULT);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one instruction")]
    fn float_to_int(&mut self, signed: bool, x: bool, double: bool, mode: u8, d: u8, n: u8, slow: DynamicLabel) {
        // What is out of range is not inexact. The host's conversion knows that of signed integers that are truncated;
        // else the number is rounded before, silently, and once more behind all checks.
        let direct = mode == 3 && signed;
        let round = v3a(0x0a + u8::from(double));
        let mut source = self.v_rm(n);
        if !direct {
            let n = self.v_reg(n, 1);
            self.vex_imm(round, RESULT, n, Rm::Reg(n), mode | 8);
            source = Rm::Reg(RESULT);
        }
        // Unsigned words are converted as doublewords.
        let wide = x || !signed;
        self.vex(form(0x2c, double, Lanes::Scalar).wide(wide), RAX, 0, source);
        match (signed, x) {
            (true, true) => dynasm!(self.asm ; .arch x64 ; cmp rax, 1 ; jo =>slow),
            (true, false) => dynasm!(self.asm ; .arch x64 ; cmp eax, 1 ; jo =>slow),
            (false, true) => dynasm!(self.asm ; .arch x64 ; test rax, rax ; js =>slow),
            (false, false) => dynasm!(self.asm ; .arch x64 ; mov ecx, eax ; cmp rcx, rax ; jne =>slow),
        }
        if !direct {
            let n = self.v_reg(n, 1);
            self.vex_imm(round, RESULT, n, Rm::Reg(n), mode);
        }
        self.put(d, RAX);
    }
}
