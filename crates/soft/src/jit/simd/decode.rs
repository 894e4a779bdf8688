//! Words to [`Simd`]; the groups of DDI 0487 C4.1, "Data Processing -- Scalar Floating-Point and Advanced SIMD".

use super::{Aes, FloatBinary, FloatMask, FloatUnary, Fold, Lanes, Long, Permute, Shift, Simd, Three, Two};
use crate::fp::{Double, Single};
use crate::isa::Insn;
use crate::jit::inst::{zd, zr};
use crate::simd::imm;

/// Decodes an instruction of FP and AdvSIMD registers that is no plain load or store.
pub fn decode(word: u32) -> Option<Simd> {
    let i = Insn(word);
    let opcode = i.bits(24, 5);
    match (i.bit(31), i.bit(30), i.bit(29)) {
        (_, false, false) if opcode == 0b11110 => scalar_float(i),
        (false, false, false) if opcode == 0b11111 => Some(fused(i)?),
        (false, true, _) if opcode == 0b11110 => scalar(i),
        (false, true, _) if opcode == 0b11111 => by_element(i, Lanes::Scalar),
        (false, _, _) if opcode == 0b01110 => vector(i),
        (false, q, _) if opcode == 0b01111 => {
            if !i.bit(10) {
                by_element(i, if q { Lanes::Full } else { Lanes::Half })
            } else if i.bits(19, 5) == 0 {
                constant(i)
            } else if !i.bit(23) {
                shift(i, false)
            } else {
                None
            }
        }
        (false, _, false) if opcode == 0b01100 || opcode == 0b01101 => structure(i),
        _ => None,
    }
}

fn vreg(i: Insn, at: u32) -> u8 {
    i.bits(at, 5) as u8
}

/// Whether ftype says double; `None` where it says neither double nor single.
fn ftype(i: Insn) -> Option<bool> {
    match i.bits(22, 2) {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Data processing of one, two and no source; conversions.
fn scalar_float(i: Insn) -> Option<Simd> {
    let (d, n, m) = (vreg(i, 0), vreg(i, 5), vreg(i, 16));
    if !i.bit(21) {
        return None;
    }
    if i.bits(10, 6) == 0 {
        return converted(i);
    }
    let double = ftype(i)?;
    if i.bit(31) {
        return None;
    }
    let lanes = Lanes::Scalar;
    if i.bits(10, 5) == 0b10000 {
        let round = |mode, inexact| FloatUnary::Round { mode, inexact };
        let op = match i.bits(15, 6) {
            0 => FloatUnary::Mov,
            1 => FloatUnary::Abs,
            2 => FloatUnary::Neg,
            3 => FloatUnary::Sqrt,
            4 | 5 => return Some(Simd::FloatConvert { double: i.bit(15), d, n }),
            8 => round(0, false),
            9 => round(2, false),
            10 => round(1, false),
            11 => round(3, false),
            14 => round(4, true),
            15 => round(4, false),
            _ => return None,
        };
        return Some(Simd::FloatUnary { op, double, lanes, d, n });
    }
    if i.bits(10, 4) == 0b1000 {
        return Some(Simd::FloatCompare { double, n, m: (!i.bit(3)).then_some(m) });
    }
    if i.bits(10, 3) == 0b100 {
        let imm8 = i.bits(13, 8).into();
        let lo = if double { imm::expand_fp::<Double>(imm8) } else { imm::expand_fp::<Single>(imm8) };
        return Some(Simd::Const { d, lo, hi: 0 });
    }
    match i.bits(10, 2) {
        0b11 => Some(Simd::FloatSelect { double, cond: i.bits(12, 4) as u8, d, n, m }),
        0b10 => {
            let op = match i.bits(12, 4) {
                0 => FloatBinary::Mul,
                1 => FloatBinary::Div,
                2 => FloatBinary::Add,
                3 => FloatBinary::Sub,
                4 | 6 => FloatBinary::Max,
                5 | 7 => FloatBinary::Min,
                8 => FloatBinary::NegMul,
                _ => return None,
            };
            Some(Simd::FloatBinary { op, double, lanes, d, n, m, element: None })
        }
        _ => None,
    }
}

/// Conversions from and to general registers.
fn converted(i: Insn) -> Option<Simd> {
    let (x, d, n) = (i.bit(31), i.bits(0, 5), i.bits(5, 5));
    let (rmode, opcode) = (i.bits(19, 2), i.bits(16, 3));
    if i.bits(22, 2) == 2 && rmode == 1 && x {
        return match opcode {
            6 => Some(Simd::ElementToGeneral { size: 3, index: 1, signed: false, x, d: zd(d), n: n as u8 }),
            7 => Some(Simd::InsertGeneral { size: 3, index: 1, d: d as u8, n: zr(n) }),
            _ => None,
        };
    }
    let double = ftype(i)?;
    match (opcode, rmode) {
        (0 | 1, _) => {
            let mode = [0, 2, 1, 3][rmode as usize];
            Some(Simd::ToInt { signed: opcode == 0, x, double, mode, d: zd(d), n: n as u8 })
        }
        (2 | 3, 0) => Some(Simd::FromInt { signed: opcode == 2, x, double, d: d as u8, n: zr(n) }),
        (6, 0) if x == double => {
            Some(Simd::ElementToGeneral { size: 2 + u8::from(x), index: 0, signed: false, x, d: zd(d), n: n as u8 })
        }
        (7, 0) if x == double => Some(Simd::GeneralToScalar { x, d: d as u8, n: zr(n) }),
        _ => None,
    }
}

fn fused(i: Insn) -> Option<Simd> {
    let double = ftype(i)?;
    let (o1, o0) = (i.bit(21), i.bit(15));
    Some(Simd::FloatFused {
        negate_product: o1 != o0,
        negate_addend: o1,
        double,
        lanes: Lanes::Scalar,
        d: vreg(i, 0),
        n: vreg(i, 5),
        m: vreg(i, 16),
        a: vreg(i, 10),
        element: None,
    })
}

/// AdvSIMD scalars.
fn scalar(i: Insn) -> Option<Simd> {
    let (u, d, n) = (i.bit(29), vreg(i, 0), vreg(i, 5));
    if i.bits(21, 3) == 0 && !i.bit(15) && i.bits(10, 5) == 1 && !u {
        let (size, index) = element_of(i.bits(16, 5))?;
        return Some(Simd::DuplicateElement { size, index, lanes: Lanes::Scalar, d, n });
    }
    if i.bit(21) && i.bit(10) {
        if i.bits(11, 5) >= 0b11000 {
            return float_three(i, Lanes::Scalar);
        }
        return three(i, i.bits(22, 2) == 3);
    }
    if i.bits(17, 5) == 0b10000 && i.bits(10, 2) == 0b10 {
        return two(i, Lanes::Scalar);
    }
    if i.bits(17, 5) == 0b11000 && i.bits(10, 2) == 0b10 {
        let double = i.bit(22);
        return match (u, i.bits(12, 5), i.bits(22, 2)) {
            (false, 0b11011, 3) => {
                let op = Three::AddPairs;
                Some(Simd::Three { op, size: 3, q: false, d, n, m: n, element: None })
            }
            (true, 0b01101, 0 | 1) => Some(Simd::FloatBinary {
                op: FloatBinary::AddPairs,
                double,
                lanes: Lanes::Scalar,
                d,
                n,
                m: n,
                element: None,
            }),
            _ => None,
        };
    }
    None
}

fn vector(i: Insn) -> Option<Simd> {
    let (q, u, size) = (i.bit(30), i.bit(29), i.bits(22, 2) as u8);
    let (d, n, m) = (vreg(i, 0), vreg(i, 5), vreg(i, 16));
    let lanes = if q { Lanes::Full } else { Lanes::Half };
    if !i.bit(21) {
        if i.bit(15) {
            return None;
        }
        if size == 0 && i.bit(10) {
            return copy(i);
        }
        if u {
            let at = i.bits(11, 4) as u8;
            return (size == 0 && !i.bit(10) && (q || at < 8)).then_some(Simd::Extract { q, at, d, n, m });
        }
        if i.bits(10, 2) == 0 {
            let table = Simd::Table { registers: i.bits(13, 2) as u8 + 1, q, d, n, m };
            return (size == 0 && !i.bit(12)).then_some(table);
        }
        if i.bits(10, 2) != 2 || (size == 3 && !q) {
            return None;
        }
        let op = match i.bits(12, 2) {
            1 => Permute::Unzip,
            2 => Permute::Transpose,
            3 => Permute::Zip,
            _ => return None,
        };
        return Some(Simd::Permute { op, second: i.bit(14), size, q, d, n, m });
    }
    if i.bit(10) {
        if i.bits(11, 5) >= 0b11000 {
            return float_three(i, lanes);
        }
        return three(i, false);
    }
    if i.bits(10, 2) == 0 {
        let op = match i.bits(12, 4) {
            0b0000 => Long::Add,
            0b0001 => Long::AddWide,
            0b0010 => Long::Sub,
            0b0011 => Long::SubWide,
            0b1000 => Long::MulAdd,
            0b1010 => Long::MulSub,
            0b1100 => Long::Mul,
            _ => return None,
        };
        return (size != 3).then_some(Simd::Long { op, signed: !u, size, upper: q, d, n, m, element: None });
    }
    match i.bits(17, 5) {
        0b10000 => two(i, lanes),
        0b11000 if size != 3 && (size != 2 || q) => {
            let op = match (i.bits(12, 5), u) {
                (0b11011, false) => Fold::Add,
                (0b01010, true) => Fold::MaxUnsigned,
                (0b11010, true) => Fold::MinUnsigned,
                (0b01010, false) => Fold::MaxSigned,
                (0b11010, false) => Fold::MinSigned,
                (0b00011, true) if size == 0 => Fold::AddLong,
                _ => return None,
            };
            Some(Simd::Fold { op, size, q, d, n })
        }
        0b10100 if q && !u && size == 0 => {
            let op = match i.bits(12, 5) {
                0b00100 => Aes::Encrypt,
                0b00101 => Aes::Decrypt,
                0b00110 => Aes::Mix,
                0b00111 => Aes::InverseMix,
                _ => return None,
            };
            Some(Simd::Aes { op, d, n })
        }
        _ => None,
    }
}

/// Three registers of integers; a scalar of 64 bits is half a register.
fn three(i: Insn, scalar: bool) -> Option<Simd> {
    let (u, size) = (i.bit(29), i.bits(22, 2) as u8);
    let q = i.bit(30) && !i.bit(28);
    let single = i.bit(28);
    if single && !scalar {
        return None;
    }
    if size == 3 && !q && !single && i.bits(11, 5) != 0b00011 {
        return None;
    }
    let narrow = size != 3;
    let op = match (i.bits(11, 5), u) {
        (0b00011, false) if !single => [Three::And, Three::Bic, Three::Orr, Three::Orn][size as usize],
        (0b00011, true) if !single => [Three::Eor, Three::Bsl, Three::Bit, Three::Bif][size as usize],
        (0b00010, true) if size < 2 && !single => Three::RoundedHalf,
        (0b00110, false) => Three::Greater,
        (0b00110, true) => Three::Higher,
        (0b00111, false) => Three::GreaterEqual,
        (0b00111, true) => Three::HigherSame,
        (0b01100, false) if narrow => Three::MaxSigned,
        (0b01100, true) if narrow => Three::MaxUnsigned,
        (0b01101, false) if narrow => Three::MinSigned,
        (0b01101, true) if narrow => Three::MinUnsigned,
        (0b01110, false) if narrow => Three::DistanceSigned,
        (0b01110, true) if narrow => Three::DistanceUnsigned,
        (0b10000, false) => Three::Add,
        (0b10000, true) => Three::Sub,
        (0b10001, false) => Three::Test,
        (0b10001, true) => Three::Equal,
        (0b10010, false) if narrow => Three::MulAdd,
        (0b10010, true) if narrow => Three::MulSub,
        (0b10011, false) if narrow => Three::Mul,
        (0b10111, false) if !single => Three::AddPairs,
        (0b10100, true) if narrow => Three::MaxUnsignedPairs,
        (0b10101, true) if narrow => Three::MinUnsignedPairs,
        _ => return None,
    };
    Some(Simd::Three { op, size, q, d: vreg(i, 0), n: vreg(i, 5), m: vreg(i, 16), element: None })
}

/// Three registers of floating point.
fn float_three(i: Insn, lanes: Lanes) -> Option<Simd> {
    let (u, double, high) = (i.bit(29), i.bit(22), i.bit(23));
    let (d, n, m) = (vreg(i, 0), vreg(i, 5), vreg(i, 16));
    if double && lanes == Lanes::Half {
        return None;
    }
    let scalar = lanes == Lanes::Scalar;
    let mask = |op| Some(Simd::FloatMask { op, double, lanes, swap: false, d, n, m: Some(m) });
    let op = match (i.bits(11, 5), u, high) {
        (0b11001, false, minus) if !scalar => {
            return Some(Simd::FloatFused {
                negate_product: minus,
                negate_addend: false,
                double,
                lanes,
                d,
                n,
                m,
                a: d,
                element: None,
            });
        }
        (0b11100, false, false) => return mask(FloatMask::Eq),
        (0b11100, true, false) => return mask(FloatMask::Ge),
        (0b11100, true, true) => return mask(FloatMask::Gt),
        (0b11101, true, false) => return mask(FloatMask::AbsGe),
        (0b11101, true, true) => return mask(FloatMask::AbsGt),
        (0b11010, true, true) => FloatBinary::Distance,
        (0b11010, false, false) if !scalar => FloatBinary::Add,
        (0b11010, false, true) if !scalar => FloatBinary::Sub,
        (0b11010, true, false) if !scalar => FloatBinary::AddPairs,
        (0b11011, true, false) if !scalar => FloatBinary::Mul,
        (0b11111, true, false) if !scalar => FloatBinary::Div,
        (0b11000 | 0b11110, false, false) if !scalar => FloatBinary::Max,
        (0b11000 | 0b11110, false, true) if !scalar => FloatBinary::Min,
        _ => return None,
    };
    Some(Simd::FloatBinary { op, double, lanes, d, n, m, element: None })
}

/// Two registers.
fn two(i: Insn, lanes: Lanes) -> Option<Simd> {
    let (u, size) = (i.bit(29), i.bits(22, 2) as u8);
    let (d, n) = (vreg(i, 0), vreg(i, 5));
    let scalar = lanes == Lanes::Scalar;
    let q = lanes == Lanes::Full;
    let double = size & 1 != 0;
    let opcode = i.bits(12, 5);
    if let 0b01100..=0b01111 | 0b11000..=0b11111 = opcode {
        if double && lanes == Lanes::Half {
            return None;
        }
        let mask = |op, swap| Some(Simd::FloatMask { op, double, lanes, swap, d, n, m: None });
        let round = |mode, inexact| FloatUnary::Round { mode, inexact };
        let op = match (opcode, u, size & 2 != 0) {
            (0b01100, false, true) => return mask(FloatMask::Gt, false),
            (0b01100, true, true) => return mask(FloatMask::Ge, false),
            (0b01101, false, true) => return mask(FloatMask::Eq, false),
            (0b01101, true, true) => return mask(FloatMask::Ge, true),
            (0b01110, false, true) => return mask(FloatMask::Gt, true),
            (0b01111, false, true) if !scalar => FloatUnary::Abs,
            (0b01111, true, true) if !scalar => FloatUnary::Neg,
            (0b11000, false, false) if !scalar => round(0, false),
            (0b11001, false, false) if !scalar => round(1, false),
            (0b11000, false, true) if !scalar => round(2, false),
            (0b11001, false, true) if !scalar => round(3, false),
            (0b11001, true, false) if !scalar => round(4, true),
            (0b11001, true, true) if !scalar => round(4, false),
            (0b11101, false, false) => FloatUnary::FromSigned,
            (0b11011, false, true) => FloatUnary::ToSigned,
            (0b11111, true, true) if !scalar => FloatUnary::Sqrt,
            _ => return None,
        };
        // The host converts vectors of 32 bits only.
        if double && !scalar && matches!(op, FloatUnary::FromSigned | FloatUnary::ToSigned) {
            return None;
        }
        return Some(Simd::FloatUnary { op, double, lanes, d, n });
    }
    if scalar && size != 3 || size == 3 && lanes == Lanes::Half {
        return None;
    }
    let op = match (opcode, u) {
        (0b00000, false) if size < 3 => Two::Reverse { container: 8 },
        (0b00000, true) if size < 2 => Two::Reverse { container: 4 },
        (0b00001, false) if size == 0 => Two::Reverse { container: 2 },
        (0b00010 | 0b00110, _) if size < 2 || (size == 2 && u) => {
            Two::AddLongPairs { signed: !u, accumulate: opcode == 0b00110 }
        }
        (0b00101, false) if size == 0 => Two::Count,
        (0b00101, true) if size == 0 => Two::Not,
        (0b01000, false) => Two::GreaterZero,
        (0b01000, true) => Two::GreaterEqualZero,
        (0b01001, false) => Two::EqualZero,
        (0b01001, true) => Two::LessEqualZero,
        (0b01010, false) => Two::LessZero,
        (0b01011, false) if size < 3 => Two::Abs,
        (0b01011, true) => Two::Neg,
        (0b10010, false) if size < 3 => return Some(Simd::ShiftNarrow { size, upper: q, amount: 0, d, n }),
        (0b10011, true) if size < 3 => {
            return Some(Simd::ShiftLong { signed: false, size, upper: q, amount: 8 << size, d, n });
        }
        _ => return None,
    };
    Some(Simd::Two { op, size, q, d, n })
}

/// Size and index by imm5.
fn element_of(imm5: u32) -> Option<(u8, u8)> {
    let size = imm5.trailing_zeros() as u8;
    (size <= 3).then(|| (size, (imm5 >> (size + 1)) as u8))
}

fn copy(i: Insn) -> Option<Simd> {
    let (q, op, imm4) = (i.bit(30), i.bit(29), i.bits(11, 4));
    let (d, n) = (i.bits(0, 5), i.bits(5, 5));
    let (size, index) = element_of(i.bits(16, 5))?;
    let lanes = if q { Lanes::Full } else { Lanes::Half };
    if op {
        let from = (imm4 >> size) as u8;
        return q.then_some(Simd::InsertElement { size, index, from, d: d as u8, n: n as u8 });
    }
    match imm4 {
        0b0000 if size < 3 || q => Some(Simd::DuplicateElement { size, index, lanes, d: d as u8, n: n as u8 }),
        0b0001 if size < 3 || q => Some(Simd::DuplicateGeneral { size, q, d: d as u8, n: zr(n) }),
        0b0011 if q => Some(Simd::InsertGeneral { size, index, d: d as u8, n: zr(n) }),
        0b0101 if size < 2 || (size == 2 && q) => {
            Some(Simd::ElementToGeneral { size, index, signed: true, x: q, d: zd(d), n: n as u8 })
        }
        0b0111 if (size == 3) == q => {
            Some(Simd::ElementToGeneral { size, index, signed: false, x: q, d: zd(d), n: n as u8 })
        }
        _ => None,
    }
}

/// Operations with an indexed element.
fn by_element(i: Insn, lanes: Lanes) -> Option<Simd> {
    if lanes == Lanes::Scalar && i.bit(10) {
        return if i.bit(23) { None } else { shift(i, true) };
    }
    if i.bit(10) {
        return None;
    }
    let (u, size) = (i.bit(29), i.bits(22, 2) as u8);
    let (h, l) = (i.bits(11, 1) as u8, i.bits(21, 1) as u8);
    let (d, n, m) = (vreg(i, 0), vreg(i, 5), vreg(i, 16));
    let opcode = i.bits(12, 4);
    if opcode & 3 == 1 {
        let double = size == 3;
        if u || size < 2 || double && (l != 0 || lanes == Lanes::Half) {
            return None;
        }
        let element = Some(if double { h } else { h << 1 | l });
        return match opcode {
            0b0001 | 0b0101 => Some(Simd::FloatFused {
                negate_product: opcode == 0b0101,
                negate_addend: false,
                double,
                lanes,
                d,
                n,
                m,
                a: d,
                element,
            }),
            0b1001 => Some(Simd::FloatBinary { op: FloatBinary::Mul, double, lanes, d, n, m, element }),
            _ => None,
        };
    }
    let (m, element) = match size {
        1 => (m & 15, h << 2 | l << 1 | m >> 4),
        2 => (m, h << 1 | l),
        _ => return None,
    };
    if lanes == Lanes::Scalar {
        return None;
    }
    let (q, element) = (lanes == Lanes::Full, Some(element));
    let long = |op| Some(Simd::Long { op, signed: !u, size, upper: q, d, n, m, element });
    let op = match (opcode, u) {
        (0b1000, false) => Three::Mul,
        (0b0000, true) => Three::MulAdd,
        (0b0100, true) => Three::MulSub,
        (0b1010, _) => return long(Long::Mul),
        (0b0010, _) => return long(Long::MulAdd),
        (0b0110, _) => return long(Long::MulSub),
        _ => return None,
    };
    Some(Simd::Three { op, size, q, d, n, m, element })
}

/// MOVI, MVNI, FMOV, ORR, BIC with an immediate.
fn constant(i: Insn) -> Option<Simd> {
    let (q, u, cmode) = (i.bit(30), i.bit(29), i.bits(12, 4));
    if i.bit(11) {
        return None;
    }
    let half = imm::expand(i);
    let d = vreg(i, 0);
    if cmode < 12 && cmode & 1 != 0 {
        return Some(Simd::ConstMerge { clear: u, q, d, half });
    }
    if cmode == 15 && u && !q {
        return None;
    }
    let lo = if u && cmode < 14 { !half } else { half };
    Some(Simd::Const { d, lo, hi: if q { lo } else { 0 } })
}

/// Shifts by an immediate.
fn shift(i: Insn, scalar: bool) -> Option<Simd> {
    let (u, immh, imm) = (i.bit(29), i.bits(19, 4), i.bits(16, 7) as u8);
    let (d, n) = (vreg(i, 0), vreg(i, 5));
    if immh == 0 {
        return None;
    }
    let size = immh.ilog2() as u8;
    let q = i.bit(30) && !scalar;
    if size == 3 && !q && !scalar || scalar && size != 3 {
        return None;
    }
    let bits = 8u8 << size;
    let (left, right) = (imm.wrapping_sub(bits), (bits * 2).wrapping_sub(imm));
    let (op, amount) = match (i.bits(11, 5), u) {
        (0b00000, false) => (Shift::RightSigned, right),
        (0b00000, true) => (Shift::Right, right),
        (0b00010, false) => (Shift::RightSignedAdd, right),
        (0b00010, true) => (Shift::RightAdd, right),
        (0b01000, true) => (Shift::RightInsert, right),
        (0b01010, false) => (Shift::Left, left),
        (0b01010, true) => (Shift::LeftInsert, left),
        (0b10000, false) if size < 3 && !scalar => {
            return Some(Simd::ShiftNarrow { size, upper: q, amount: right, d, n });
        }
        (0b10100, _) if size < 3 && !scalar => {
            return Some(Simd::ShiftLong { signed: !u, size, upper: q, amount: left, d, n });
        }
        _ => return None,
    };
    Some(Simd::Shift { op, size, q, amount, d, n })
}

/// LD1, LD2, ST1 and ST2 of whole registers, LD1R.
fn structure(i: Insn) -> Option<Simd> {
    let (load, q) = (i.bit(22), i.bit(30));
    let (t, n, m) = (vreg(i, 0), vreg(i, 5), i.bits(16, 5));
    if !i.bit(23) && m != 0 && !i.bit(24) {
        return None;
    }
    let post = i.bit(23).then_some((m != 31).then_some(m as u8));
    if i.bit(24) {
        let replicate = load && i.bits(12, 4) == 0b1100 && !i.bit(21) && (i.bit(23) || m == 0);
        return replicate.then_some(Simd::LoadReplicate { size: i.bits(10, 2) as u8, q, t, n, post });
    }
    if i.bit(21) {
        return None;
    }
    let size = i.bits(10, 2) as u8;
    let (registers, zipped) = match i.bits(12, 4) {
        0b0010 => (4, None),
        0b0110 => (3, None),
        0b0111 => (1, None),
        0b1010 => (2, None),
        0b1000 if size < 3 || q => (2, Some(size)),
        _ => return None,
    };
    Some(Simd::Multiple { load, registers, zipped, q, t, n, post })
}
