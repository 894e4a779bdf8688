//! Scalar floating point (C4.1, the groups "Floating-point ..." and "Conversion between floating-point and ...").

use super::{Insn, Row, rows};
use crate::cpu::Cpu;
use crate::fp::convert::{self, Int};
use crate::fp::{Double, Env, Format, Half, Round, Single, arith, compare, neg};
use crate::interp::flags::holds_in;
use crate::simd::float_shape::{float, fop, width, with_env};
use crate::simd::{float, float_shape, imm};
use crate::trap::Trap;

/// The rows.
pub(super) static ROWS: &[Row] = rows! {
    // One source. FCVT between formats has the source in ftype and the target in opc.
    FMOV "00011110 0 ftype:1 1 000000 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::fmov n));
    FABS "00011110 0 ftype:1 1 000001 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::fabs n));
    FNEG "00011110 0 ftype:1 1 000010 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::fneg n));
    FSQRT "00011110 0 ftype:1 1 000011 10000 Rn:5 Rd:5" CallFp(float!(scalar, arith::sqrt n));
    FRINTN "00011110 0 ftype:1 1 001000 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frintn n));
    FRINTP "00011110 0 ftype:1 1 001001 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frintp n));
    FRINTM "00011110 0 ftype:1 1 001010 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frintm n));
    FRINTZ "00011110 0 ftype:1 1 001011 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frintz n));
    FRINTA "00011110 0 ftype:1 1 001100 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frinta n));
    FRINTX "00011110 0 ftype:1 1 001110 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frintx n));
    FRINTI "00011110 0 ftype:1 1 001111 10000 Rn:5 Rd:5" CallFp(float!(scalar, float::frinti n));
    FCVT_s_d "00011110 00 1 000101 10000 Rn:5 Rd:5" CallFp(fcvt::<Single, Double>);
    FCVT_s_h "00011110 00 1 000111 10000 Rn:5 Rd:5" CallFp(fcvt::<Single, Half>);
    FCVT_d_s "00011110 01 1 000100 10000 Rn:5 Rd:5" CallFp(fcvt::<Double, Single>);
    FCVT_d_h "00011110 01 1 000111 10000 Rn:5 Rd:5" CallFp(fcvt::<Double, Half>);
    FCVT_h_s "00011110 11 1 000100 10000 Rn:5 Rd:5" CallFp(fcvt::<Half, Single>);
    FCVT_h_d "00011110 11 1 000101 10000 Rn:5 Rd:5" CallFp(fcvt::<Half, Double>);
    // Two sources.
    FMUL "00011110 0 ftype:1 1 Rm:5 0000 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::mul n m));
    FDIV "00011110 0 ftype:1 1 Rm:5 0001 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::div n m));
    FADD "00011110 0 ftype:1 1 Rm:5 0010 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::add n m));
    FSUB "00011110 0 ftype:1 1 Rm:5 0011 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::sub n m));
    FMAX "00011110 0 ftype:1 1 Rm:5 0100 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::max n m));
    FMIN "00011110 0 ftype:1 1 Rm:5 0101 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::min n m));
    FMAXNM "00011110 0 ftype:1 1 Rm:5 0110 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::max_num n m));
    FMINNM "00011110 0 ftype:1 1 Rm:5 0111 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::min_num n m));
    FNMUL "00011110 0 ftype:1 1 Rm:5 1000 10 Rn:5 Rd:5" CallFp(float!(scalar, arith::nmul n m));
    // Three sources.
    FMADD "00011111 0 ftype:1 0 Rm:5 0 Ra:5 Rn:5 Rd:5" CallFp(fmadd);
    FMSUB "00011111 0 ftype:1 0 Rm:5 1 Ra:5 Rn:5 Rd:5" CallFp(fmadd);
    FNMADD "00011111 0 ftype:1 1 Rm:5 0 Ra:5 Rn:5 Rd:5" CallFp(fmadd);
    FNMSUB "00011111 0 ftype:1 1 Rm:5 1 Ra:5 Rn:5 Rd:5" CallFp(fmadd);
    // Comparison and selection.
    FCMP "00011110 0 ftype:1 1 Rm:5 001000 Rn:5 e:1 z:1 000" CallFpFlags(fcmp);
    FCCMP "00011110 0 ftype:1 1 Rm:5 cond:4 01 Rn:5 e:1 nzcv:4" CallFpFlags(fccmp);
    FCSEL "00011110 0 ftype:1 1 Rm:5 cond:4 11 Rn:5 Rd:5" CallFpFlags(fcsel);
    // Immediate, and moves from and to general registers.
    FMOV_imm "00011110 0 ftype:1 1 imm8:8 100 00000 Rd:5" CallFp(fmov_immediate);
    FMOV_w_s "0 0011110 00 1 00 110 000000 Rn:5 Rd:5" CallFp(fmov_to_general);
    FMOV_x_d "1 0011110 01 1 00 110 000000 Rn:5 Rd:5" CallFp(fmov_to_general);
    FMOV_x_top "1 0011110 10 1 01 110 000000 Rn:5 Rd:5" CallFp(fmov_from_top);
    FMOV_s_w "0 0011110 00 1 00 111 000000 Rn:5 Rd:5" CallFp(fmov_from_general);
    FMOV_d_x "1 0011110 01 1 00 111 000000 Rn:5 Rd:5" CallFp(fmov_from_general);
    FMOV_top_x "1 0011110 10 1 01 111 000000 Rn:5 Rd:5" CallFp(fmov_to_top);
    // Conversions to and from integers and fixed point.
    FCVT_int "sf:1 0011110 0 ftype:1 1 rmode:2 00 U:1 000000 Rn:5 Rd:5" CallFp(fcvt_int);
    FCVTA_int "sf:1 0011110 0 ftype:1 1 00 10 U:1 000000 Rn:5 Rd:5" CallFp(fcvta_int);
    CVTF_int "sf:1 0011110 0 ftype:1 1 00 01 U:1 000000 Rn:5 Rd:5" CallFp(cvtf_int);
    FCVTZ_fix "sf:1 0011110 0 ftype:1 0 11 00 U:1 scale:6 Rn:5 Rd:5" CallFp(fcvtz_fixed);
    CVTF_fix "sf:1 0011110 0 ftype:1 0 00 01 U:1 scale:6 Rn:5 Rd:5" CallFp(cvtf_fixed);
};

/// Whether the format is double precision, by the low bit of ftype; the high one is zero by the rows.
fn double(i: Insn) -> bool {
    i.bit(22)
}

/// A register's lowest element as wide as the format.
fn source(cpu: &Cpu, i: Insn, n: usize) -> u64 {
    let x = cpu.v[n] as u64;
    if double(i) { x } else { u64::from(x as u32) }
}

/// FCVT from format `S` to format `D`.
fn fcvt<S: Format, D: Format>(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let n = cpu.v[i.rn()] as u64 & u64::MAX >> (64 - S::BITS);
    cpu.v[i.rd()] = with_env(cpu, |_, e| {
        let round = e.rounding();
        convert::convert::<S, D>(e, n, round)
    })
    .into();
    Ok(())
}

/// FMADD, FMSUB, FNMADD, FNMSUB: o1 (bit 21) negates the addend, o0 (bit 15) other than o1 the product.
fn fmadd(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let flip = if double(i) { neg::<Double> } else { neg::<Single> };
    let (o1, o0) = (i.bit(21), i.bit(15));
    let mut addend = source(cpu, i, i.ra());
    let mut n = source(cpu, i, i.rn());
    let m = source(cpu, i, i.rm());
    if o1 {
        addend = flip(addend);
    }
    if o1 != o0 {
        n = flip(n);
    }
    cpu.v[i.rd()] = with_env(cpu, |_, e| {
        if double(i) { arith::mul_add::<Double>(e, addend, n, m) } else { arith::mul_add::<Single>(e, addend, n, m) }
    })
    .into();
    Ok(())
}

fn compared(cpu: &mut Cpu, i: Insn, m: u64, signal_all: bool) {
    let n = source(cpu, i, i.rn());
    cpu.nzcv = with_env(cpu, |_, e| {
        if double(i) {
            compare::flags::<Double>(e, n, m, signal_all)
        } else {
            compare::flags::<Single>(e, n, m, signal_all)
        }
    });
}

/// FCMP, FCMPE, with a register or zero.
fn fcmp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let m = if i.bit(3) { 0 } else { source(cpu, i, i.rm()) };
    compared(cpu, i, m, i.bit(4));
    Ok(())
}

/// FCCMP, FCCMPE.
fn fccmp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    if holds_in(i.bits(12, 4) as u8, cpu.nzcv) {
        let m = source(cpu, i, i.rm());
        compared(cpu, i, m, i.bit(4));
    } else {
        cpu.nzcv = i.bits(0, 4) << 28;
    }
    Ok(())
}

/// FCSEL.
fn fcsel(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let n = if holds_in(i.bits(12, 4) as u8, cpu.nzcv) { i.rn() } else { i.rm() };
    cpu.v[i.rd()] = source(cpu, i, n).into();
    Ok(())
}

/// FMOV (scalar, immediate).
fn fmov_immediate(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let imm8 = i.bits(13, 8).into();
    let x = if double(i) { imm::expand_fp::<Double>(imm8) } else { imm::expand_fp::<Single>(imm8) };
    cpu.v[i.rd()] = x.into();
    Ok(())
}

/// FMOV from a vector register to a general one of the same width.
fn fmov_to_general(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.set_reg(i.rd(), source(cpu, i, i.rn()));
    Ok(())
}

/// FMOV from a general register to a vector one of the same width.
fn fmov_from_general(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let x = cpu.reg(i.rn());
    cpu.v[i.rd()] = if double(i) { x.into() } else { u128::from(x as u32) };
    Ok(())
}

/// FMOV from the upper half of a register.
fn fmov_from_top(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.set_reg(i.rd(), (cpu.v[i.rn()] >> 64) as u64);
    Ok(())
}

/// FMOV to the upper half of a register.
fn fmov_to_top(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let x = cpu.reg(i.rn());
    cpu.v[i.rd()] = u128::from(x) << 64 | u128::from(cpu.v[i.rd()] as u64);
    Ok(())
}

/// The integer type by sf and by U, bit 16.
fn int(i: Insn) -> Int {
    Int { bits: width(i.bit(31)), unsigned: i.bit(16) }
}

fn to_integer(cpu: &mut Cpu, i: Insn, fbits: u32, round: Round) -> Result<(), Trap> {
    let n = source(cpu, i, i.rn());
    let x = with_env(cpu, |_, e| {
        if double(i) {
            convert::to_fixed::<Double>(e, n, fbits, int(i), round)
        } else {
            convert::to_fixed::<Single>(e, n, fbits, int(i), round)
        }
    });
    cpu.set_reg(i.rd(), x);
    Ok(())
}

fn from_integer(cpu: &mut Cpu, i: Insn, fbits: u32) -> Result<(), Trap> {
    let n = cpu.reg(i.rn());
    cpu.v[i.rd()] = with_env(cpu, |_, e: &mut Env| {
        let round = e.rounding();
        if double(i) {
            convert::from_fixed::<Double>(e, n, fbits, int(i), round)
        } else {
            convert::from_fixed::<Single>(e, n, fbits, int(i), round)
        }
    })
    .into();
    Ok(())
}

/// FCVTNS, FCVTNU, FCVTPS, FCVTPU, FCVTMS, FCVTMU, FCVTZS, FCVTZU.
fn fcvt_int(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    to_integer(cpu, i, 0, Round::from_rmode(i.bits(19, 2)))
}

/// FCVTAS, FCVTAU.
fn fcvta_int(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    to_integer(cpu, i, 0, Round::TieAway)
}

/// SCVTF, UCVTF (scalar, integer).
fn cvtf_int(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    from_integer(cpu, i, 0)
}

/// The number of fraction bits; a 32-bit integer has no more than 32.
fn scale(i: Insn) -> Result<u32, Trap> {
    let fbits = 64 - i.bits(10, 6);
    if fbits > 32 && !i.bit(31) { Err(Trap::Undefined) } else { Ok(fbits) }
}

/// FCVTZS, FCVTZU (scalar, fixed-point).
fn fcvtz_fixed(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    to_integer(cpu, i, scale(i)?, Round::Zero)
}

/// SCVTF, UCVTF (scalar, fixed-point).
fn cvtf_fixed(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    from_integer(cpu, i, scale(i)?)
}
