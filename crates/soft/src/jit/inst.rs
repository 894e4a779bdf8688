//! Instructions as an emitter sees them: decoded, independent of the host.
//!
//! Only words that the interpreter has executed are translated, so that reserved encodings need no check here. Register
//! numbers are those of [`crate::cpu::Cpu::x`]: 31 is SP, 32 reads as zero, 33 takes what nobody reads.

use super::simd::{self, Simd};
use crate::cpu::{DISCARD, SP, XZR};
use crate::isa::Insn;
use crate::mmu::STACK_ALIGNMENT;

/// Guest registers as [`crate::cpu::Cpu::x`] numbers them: X0..X30, SP, XZR, nowhere.
pub const GUEST_REGS: usize = 34;

/// The second operand of an arithmetic or logical instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A constant.
    Imm(u64),
    /// A register, shifted: kind 0 LSL, 1 LSR, 2 ASR, 3 ROR.
    Shifted { m: u8, kind: u8, amount: u8 },
    /// A register, extended as `option` says (UXTB..SXTX), then shifted left.
    Extended { m: u8, option: u8, shift: u8 },
}

/// AND, ORR, EOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logic {
    And,
    Orr,
    Eor,
}

/// How an address is made, and whether the base is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Base plus constant.
    Offset { n: u8, imm: i32 },
    /// Base; then the constant is added to it.
    Post { n: u8, imm: i32 },
    /// Base plus constant, which becomes the base.
    Pre { n: u8, imm: i32 },
    /// Base plus index, extended as `option` says, then shifted left.
    Index { n: u8, m: u8, option: u8, shift: u8 },
}

impl Address {
    /// The base register.
    pub fn base(self) -> u8 {
        match self {
            Self::Offset { n, .. } | Self::Post { n, .. } | Self::Pre { n, .. } | Self::Index { n, .. } => n,
        }
    }
}

/// What one register of a load or store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Zero-extended to 64 bits, or the lowest bytes stored; log2 of the bytes.
    General { size: u8 },
    /// Loaded and sign-extended, to 64 or 32 bits.
    Signed { size: u8, to64: bool },
    /// An FP and AdvSIMD register.
    Vector { size: u8 },
}

impl Transfer {
    /// log2 of the bytes of one register.
    pub fn size(self) -> u8 {
        match self {
            Self::General { size } | Self::Signed { size, .. } | Self::Vector { size } => size,
        }
    }
}

/// An access to memory of one or two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub load: bool,
    pub transfer: Transfer,
    pub address: Address,
    pub t: u8,
    pub t2: Option<u8>,
}

impl Access {
    /// As [`Inst::registers`].
    fn registers(self, f: &mut dyn FnMut(u8, bool)) {
        match self.address {
            Address::Offset { n, .. } => f(n, false),
            Address::Post { n, .. } | Address::Pre { n, .. } => f(n, true),
            Address::Index { n, m, .. } => {
                f(n, false);
                f(m, false);
            }
        }
        if !matches!(self.transfer, Transfer::Vector { .. }) {
            f(self.t, self.load);
            if let Some(t2) = self.t2 {
                f(t2, self.load);
            }
        }
    }
}

/// Where a direct branch goes, in bytes from itself.
pub type Distance = i64;

/// A decoded instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inst {
    Nop,
    AddSub {
        x: bool,
        sub: bool,
        flags: bool,
        d: u8,
        n: u8,
        operand: Operand,
    },
    Logical {
        x: bool,
        op: Logic,
        invert: bool,
        flags: bool,
        d: u8,
        n: u8,
        operand: Operand,
    },
    Const {
        d: u8,
        value: u64,
    },
    /// `d` = page address of the code + `offset`.
    PageRelative {
        d: u8,
        offset: i64,
    },
    Movk {
        x: bool,
        d: u8,
        imm: u16,
        shift: u8,
    },
    /// `len` bits from `lsb` of `n` down to bit 0, zero- or sign-extended.
    Extract {
        x: bool,
        signed: bool,
        d: u8,
        n: u8,
        lsb: u8,
        len: u8,
    },
    /// The lowest `len` bits of `n` up to bit `at`, zeroes below, zero- or sign-extended above.
    Deposit {
        x: bool,
        signed: bool,
        d: u8,
        n: u8,
        at: u8,
        len: u8,
    },
    /// `len` bits from `from` of `n` replace those from `to` of `d`.
    Insert {
        x: bool,
        d: u8,
        n: u8,
        from: u8,
        to: u8,
        len: u8,
    },
    ExtractPair {
        x: bool,
        d: u8,
        n: u8,
        m: u8,
        lsb: u8,
    },
    Select {
        x: bool,
        d: u8,
        n: u8,
        m: u8,
        cond: u8,
        invert: bool,
        increment: bool,
    },
    CondCompare {
        x: bool,
        sub: bool,
        n: u8,
        operand: Operand,
        cond: u8,
        nzcv: u8,
    },
    /// ADC, SBC and their flag-setting forms.
    AddCarry {
        x: bool,
        sub: bool,
        flags: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    MulAdd {
        x: bool,
        sub: bool,
        d: u8,
        n: u8,
        m: u8,
        a: u8,
    },
    MulAddLong {
        signed: bool,
        sub: bool,
        d: u8,
        n: u8,
        m: u8,
        a: u8,
    },
    MulHigh {
        signed: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// Kind 0 LSL, 1 LSR, 2 ASR, 3 ROR by register.
    ShiftVar {
        x: bool,
        kind: u8,
        d: u8,
        n: u8,
        m: u8,
    },
    /// Reversal of all bytes of 4 or 8.
    Reverse {
        x: bool,
        d: u8,
        n: u8,
    },
    LeadingZeros {
        x: bool,
        d: u8,
        n: u8,
    },
    Divide {
        x: bool,
        signed: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    Access(Access),
    Simd(Simd),
    Branch {
        distance: Distance,
        link: bool,
    },
    BranchCond {
        cond: u8,
        distance: Distance,
    },
    BranchZero {
        x: bool,
        n: u8,
        nonzero: bool,
        distance: Distance,
    },
    BranchBit {
        n: u8,
        bit: u8,
        set: bool,
        distance: Distance,
    },
    BranchRegister {
        n: u8,
        link: bool,
    },
    /// DMB: of all accesses, or of loads or stores only.
    Barrier {
        full: bool,
    },
    /// No translation: called if its row is a function, else left to the interpreter.
    Other,
}

pub(super) const fn zr(n: u32) -> u8 {
    if n == 31 { XZR as u8 } else { n as u8 }
}

pub(super) const fn zd(n: u32) -> u8 {
    if n == 31 { DISCARD as u8 } else { n as u8 }
}

impl Inst {
    /// Whether it writes the flags.
    pub fn sets_flags(&self) -> bool {
        matches!(
            self,
            Self::AddSub { flags: true, .. }
                | Self::Logical { flags: true, .. }
                | Self::AddCarry { flags: true, .. }
                | Self::CondCompare { .. }
        )
    }

    /// Whether it reads the flags; branches aside.
    pub fn reads_flags(&self) -> bool {
        matches!(self, Self::Select { .. } | Self::CondCompare { .. } | Self::AddCarry { .. })
    }

    /// Whether it can neither fault nor leave, so that nobody sees the state in the middle.
    pub fn is_pure(&self) -> bool {
        !matches!(
            self,
            Self::Access(_)
                | Self::Simd(_)
                | Self::Other
                | Self::Branch { .. }
                | Self::BranchCond { .. }
                | Self::BranchZero { .. }
                | Self::BranchBit { .. }
                | Self::BranchRegister { .. }
        )
    }

    /// Whether a stack pointer that is aligned is so behind it, too.
    pub fn keeps_stack_aligned(self) -> bool {
        const STACK: u8 = SP as u8;
        let is_multiple = |bytes: u64| bytes.is_multiple_of(STACK_ALIGNMENT);
        match self {
            Self::Other => false,
            Self::AddSub { d: STACK, n: STACK, operand: Operand::Imm(imm), .. } => is_multiple(imm),
            Self::Access(Access {
                address: Address::Post { n: STACK, imm } | Address::Pre { n: STACK, imm }, ..
            }) => is_multiple(imm as u64),
            _ => {
                let mut is_written = false;
                self.registers(|g, write| is_written |= write && g == STACK);
                !is_written
            }
        }
    }

    /// Calls `f` with each general register that it names and whether it is written; what is written may be read, too.
    /// Of [`Inst::Other`] none is known.
    pub fn registers(self, mut f: impl FnMut(u8, bool)) {
        let operand = |operand: Operand, f: &mut dyn FnMut(u8, bool)| match operand {
            Operand::Imm(_) => {}
            Operand::Shifted { m, .. } | Operand::Extended { m, .. } => f(m, false),
        };
        match self {
            Self::AddSub { d, n, operand: o, .. } | Self::Logical { d, n, operand: o, .. } => {
                operand(o, &mut f);
                f(n, false);
                f(d, true);
            }
            Self::Const { d, .. } | Self::PageRelative { d, .. } => f(d, true),
            Self::Movk { d, .. } => f(d, true),
            Self::Extract { d, n, .. }
            | Self::Deposit { d, n, .. }
            | Self::Insert { d, n, .. }
            | Self::LeadingZeros { d, n, .. }
            | Self::Reverse { d, n, .. } => {
                f(n, false);
                f(d, true);
            }
            Self::ExtractPair { d, n, m, .. }
            | Self::Select { d, n, m, .. }
            | Self::MulHigh { d, n, m, .. }
            | Self::AddCarry { d, n, m, .. }
            | Self::Divide { d, n, m, .. }
            | Self::ShiftVar { d, n, m, .. } => {
                f(n, false);
                f(m, false);
                f(d, true);
            }
            Self::CondCompare { n, operand: o, .. } => {
                operand(o, &mut f);
                f(n, false);
            }
            Self::MulAdd { d, n, m, a, .. } | Self::MulAddLong { d, n, m, a, .. } => {
                f(n, false);
                f(m, false);
                f(a, false);
                f(d, true);
            }
            Self::Access(a) => a.registers(&mut f),
            Self::Simd(simd) => simd.general_registers(f),
            Self::BranchZero { n, .. } | Self::BranchBit { n, .. } | Self::BranchRegister { n, link: false } => {
                f(n, false)
            }
            Self::BranchRegister { n, link: true } => {
                f(n, false);
                f(30, true);
            }
            Self::Branch { link: true, .. } => f(30, true),
            Self::Nop | Self::Barrier { .. } | Self::Other | Self::Branch { .. } | Self::BranchCond { .. } => {}
        }
    }
}

/// Decodes an allocated instruction word at byte `offset` of its page.
pub fn decode(word: u32, offset: u32) -> Inst {
    let i = Insn(word);
    let x = i.bit(31);
    match i.bits(25, 4) {
        0b1000 | 0b1001 => immediate(i, x, offset),
        0b1010 | 0b1011 => branch_or_system(i, x),
        0b0101 | 0b1101 => register(i, x),
        0b1100 if is_prefetch(i) => Inst::Nop,
        0b0100 | 0b0110 | 0b1100 | 0b1110 => match access(i) {
            Some(access) => Inst::Access(access),
            None => simd::decode(word).map_or(Inst::Other, Inst::Simd),
        },
        0b0111 | 0b1111 => simd::decode(word).map_or(Inst::Other, Inst::Simd),
        _ => Inst::Other,
    }
}

fn immediate(i: Insn, x: bool, offset: u32) -> Inst {
    let (rd, rn) = (i.bits(0, 5), i.bits(5, 5));
    let (opc, immr, imms) = (i.bits(29, 2), i.bits(16, 6) as u8, i.bits(10, 6) as u8);
    match i.bits(23, 3) {
        0 | 1 => {
            let imm = i.sbits(5, 19) << 2 | i64::from(i.bits(29, 2));
            let offset = if x { imm << 12 } else { imm + i64::from(offset) };
            Inst::PageRelative { d: zd(rd), offset }
        }
        2 => {
            let flags = i.bit(29);
            let operand = Operand::Imm(u64::from(i.bits(10, 12)) << (12 * i.bits(22, 1)));
            Inst::AddSub { x, sub: i.bit(30), flags, d: if flags { zd(rd) } else { rd as u8 }, n: rn as u8, operand }
        }
        4 => {
            let mask = crate::interp::alu::logical_immediate(i);
            let operand = Operand::Imm(if x { mask } else { mask & 0xffff_ffff });
            let (op, flags) = logic_of(opc);
            let d = if flags { zd(rd) } else { rd as u8 };
            Inst::Logical { x, op, invert: false, flags, d, n: zr(rn), operand }
        }
        5 => {
            let (shift, imm) = (i.bits(21, 2) * 16, i.bits(5, 16));
            let value = u64::from(imm) << shift;
            let trim = |v: u64| if x { v } else { v & 0xffff_ffff };
            match opc {
                0 => Inst::Const { d: zd(rd), value: trim(!value) },
                2 => Inst::Const { d: zd(rd), value: trim(value) },
                _ => Inst::Movk { x, d: zd(rd), imm: imm as u16, shift: shift as u8 },
            }
        }
        6 => {
            let width = if x { 64 } else { 32 };
            let (d, n) = (zd(rd), zr(rn));
            match (opc, imms >= immr) {
                (1, true) => Inst::Insert { x, d, n, from: immr, to: 0, len: imms - immr + 1 },
                (1, false) => Inst::Insert { x, d, n, from: 0, to: width - immr, len: imms + 1 },
                (_, true) => Inst::Extract { x, signed: opc == 0, d, n, lsb: immr, len: imms - immr + 1 },
                (_, false) => Inst::Deposit { x, signed: opc == 0, d, n, at: width - immr, len: imms + 1 },
            }
        }
        7 => Inst::ExtractPair { x, d: zd(rd), n: zr(rn), m: zr(i.bits(16, 5)), lsb: imms },
        _ => Inst::Other,
    }
}

fn logic_of(opc: u32) -> (Logic, bool) {
    match opc {
        0 => (Logic::And, false),
        1 => (Logic::Orr, false),
        2 => (Logic::Eor, false),
        _ => (Logic::And, true),
    }
}

fn register(i: Insn, x: bool) -> Inst {
    let (d, n, m) = (zd(i.bits(0, 5)), zr(i.bits(5, 5)), zr(i.bits(16, 5)));
    if !i.bit(28) {
        let operand = Operand::Shifted { m, kind: i.bits(22, 2) as u8, amount: i.bits(10, 6) as u8 };
        if !i.bit(24) {
            let (op, flags) = logic_of(i.bits(29, 2));
            return Inst::Logical { x, op, invert: i.bit(21), flags, d, n, operand };
        }
        let (sub, flags) = (i.bit(30), i.bit(29));
        if !i.bit(21) {
            return Inst::AddSub { x, sub, flags, d, n, operand };
        }
        let operand = Operand::Extended { m, option: i.bits(13, 3) as u8, shift: i.bits(10, 3) as u8 };
        let d = if flags { d } else { i.bits(0, 5) as u8 };
        return Inst::AddSub { x, sub, flags, d, n: i.bits(5, 5) as u8, operand };
    }
    match i.bits(21, 4) {
        0b0000 if i.bits(10, 6) == 0 => Inst::AddCarry { x, sub: i.bit(30), flags: i.bit(29), d, n, m },
        0b0010 => {
            let operand = if i.bit(11) {
                Operand::Imm(u64::from(i.bits(16, 5)))
            } else {
                Operand::Shifted { m, kind: 0, amount: 0 }
            };
            Inst::CondCompare { x, sub: i.bit(30), n, operand, cond: i.bits(12, 4) as u8, nzcv: i.bits(0, 4) as u8 }
        }
        0b0100 => Inst::Select { x, d, n, m, cond: i.bits(12, 4) as u8, invert: i.bit(30), increment: i.bit(10) },
        0b0110 if !i.bit(30) && matches!(i.bits(10, 6), 0b001000..=0b001011) => {
            Inst::ShiftVar { x, kind: i.bits(10, 2) as u8, d, n, m }
        }
        0b0110 if !i.bit(30) && i.bits(11, 5) == 1 => Inst::Divide { x, signed: i.bit(10), d, n, m },
        0b0110 if i.bit(30) && i.bits(10, 6) == 4 => Inst::LeadingZeros { x, d, n },
        0b0110 if i.bit(30) && (i.bits(10, 6) == 2 && !x || i.bits(10, 6) == 3 && x) => Inst::Reverse { x, d, n },
        0b1000 => Inst::MulAdd { x, sub: i.bit(15), d, n, m, a: zr(i.bits(10, 5)) },
        0b1001 | 0b1101 => Inst::MulAddLong { signed: !i.bit(23), sub: i.bit(15), d, n, m, a: zr(i.bits(10, 5)) },
        0b1010 | 0b1110 => Inst::MulHigh { signed: !i.bit(23), d, n, m },
        _ => Inst::Other,
    }
}

fn branch_or_system(i: Insn, x: bool) -> Inst {
    let word = i.0;
    if word & 0x7c00_0000 == 0x1400_0000 {
        return Inst::Branch { distance: i.sbits(0, 26) << 2, link: x };
    }
    if word & 0xff00_0010 == 0x5400_0000 {
        return Inst::BranchCond { cond: i.bits(0, 4) as u8, distance: i.sbits(5, 19) << 2 };
    }
    if word & 0x7e00_0000 == 0x3400_0000 {
        return Inst::BranchZero { x, n: zr(i.bits(0, 5)), nonzero: i.bit(24), distance: i.sbits(5, 19) << 2 };
    }
    if word & 0x7e00_0000 == 0x3600_0000 {
        let bit = (i.bits(31, 1) << 5 | i.bits(19, 5)) as u8;
        return Inst::BranchBit { n: zr(i.bits(0, 5)), bit, set: i.bit(24), distance: i.sbits(5, 14) << 2 };
    }
    match word & 0xffff_fc1f {
        0xd61f_0000 | 0xd65f_0000 => Inst::BranchRegister { n: zr(i.bits(5, 5)), link: false },
        0xd63f_0000 => Inst::BranchRegister { n: zr(i.bits(5, 5)), link: true },
        // DMB: LD in bits 9:8 of 1, ST of 2, all of 3 (DDI 0487, C6.2 DMB).
        _ if word & 0xffff_f0ff == 0xd503_30bf => Inst::Barrier { full: i.bits(8, 2) == 3 },
        // Hints that wait or signal are for the interpreter.
        _ if word & 0xffff_f01f == 0xd503_201f && !(2..=5).contains(&i.bits(5, 7)) => Inst::Nop,
        _ => Inst::Other,
    }
}

/// PRFM, PRFUM and PRFM (register); the literal form is left to the interpreter.
fn is_prefetch(i: Insn) -> bool {
    let register = i.bits(10, 2) == 2 && i.bit(14);
    let unscaled = i.bits(10, 2) == 0;
    i.0 & 0xffc0_0000 == 0xf980_0000
        || i.0 & 0xffe0_0000 == 0xf8a0_0000 && register
        || i.0 & 0xffe0_0000 == 0xf880_0000 && unscaled
}

/// Loads and stores of one or two registers that are neither exclusive, atomic, unprivileged nor of structures.
fn access(i: Insn) -> Option<Access> {
    let vector = i.bit(26);
    let n = i.bits(5, 5) as u8;
    if i.0 & 0x3a00_0000 == 0x2800_0000 {
        return pair(i, vector, n);
    }
    if i.0 & 0x3a00_0000 != 0x3800_0000 {
        return None;
    }
    let (size, opc) = (i.bits(30, 2) as u8, i.bits(22, 2));
    let (load, transfer) = if vector {
        let size = if opc & 2 != 0 { 4 } else { size };
        (opc & 1 != 0, Transfer::Vector { size })
    } else {
        match opc {
            0 => (false, Transfer::General { size }),
            1 => (true, Transfer::General { size }),
            // Prefetches.
            2 if size == 3 => return None,
            _ => (true, Transfer::Signed { size, to64: opc == 2 }),
        }
    };
    let scale = transfer.size();
    let address = if i.bit(24) {
        Address::Offset { n, imm: (i.bits(10, 12) << scale) as i32 }
    } else if i.bit(21) {
        if i.bits(10, 2) != 2 {
            return None;
        }
        Address::Index {
            n,
            m: zr(i.bits(16, 5)),
            option: i.bits(13, 3) as u8,
            shift: if i.bit(12) { scale } else { 0 },
        }
    } else {
        let imm = i.sbits(12, 9) as i32;
        match i.bits(10, 2) {
            0 => Address::Offset { n, imm },
            1 => Address::Post { n, imm },
            3 => Address::Pre { n, imm },
            _ => return None,
        }
    };
    let t = match (vector, load) {
        (true, _) => i.bits(0, 5) as u8,
        (_, true) => zd(i.bits(0, 5)),
        _ => zr(i.bits(0, 5)),
    };
    Some(Access { load, transfer, address, t, t2: None })
}

fn pair(i: Insn, vector: bool, n: u8) -> Option<Access> {
    let (opc, load) = (i.bits(30, 2) as u8, i.bit(22));
    let transfer = match (vector, opc) {
        (true, _) => Transfer::Vector { size: opc + 2 },
        (_, 0) => Transfer::General { size: 2 },
        (_, 1) => Transfer::Signed { size: 2, to64: true },
        _ => Transfer::General { size: 3 },
    };
    let imm = (i.sbits(15, 7) << transfer.size()) as i32;
    let address = match i.bits(23, 2) {
        1 => Address::Post { n, imm },
        3 => Address::Pre { n, imm },
        _ => Address::Offset { n, imm },
    };
    let register = |r: u32| match (vector, load) {
        (true, _) => r as u8,
        (_, true) => zd(r),
        _ => zr(r),
    };
    Some(Access { load, transfer, address, t: register(i.bits(0, 5)), t2: Some(register(i.bits(10, 5))) })
}
