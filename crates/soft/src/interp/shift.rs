//! Data processing with one, two and three sources: shifts, divisions, multiplications, bit and byte reversal, CRC32
//! (DDI 0487 C4.1, "Data Processing -- Register").

use super::alu::{W, Width, X, by_sf, zd, zr};
use super::{Handler, Op, handlers};
use crate::isa::Insn;

handlers! {
    fn udiv[S: Width](cpu, op) {
        let (n, m) = (S::trim(cpu.x[op.n()]), S::trim(cpu.x[op.m()]));
        cpu.x[op.d()] = n.checked_div(m).unwrap_or(0);
    }
    fn sdiv_w(cpu, op) {
        let (n, m) = (cpu.x[op.n()] as i32, cpu.x[op.m()] as i32);
        cpu.x[op.d()] = if m == 0 { 0 } else { n.wrapping_div(m) as u32 as u64 };
    }
    fn sdiv_x(cpu, op) {
        let (n, m) = (cpu.x[op.n()] as i64, cpu.x[op.m()] as i64);
        cpu.x[op.d()] = if m == 0 { 0 } else { n.wrapping_div(m) as u64 };
    }
    fn lslv[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()] << (cpu.x[op.m()] & (S::BITS - 1) as u64));
    }
    fn lsrv[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.n()]) >> (cpu.x[op.m()] & (S::BITS - 1) as u64);
    }
    fn asrv_w(cpu, op) { cpu.x[op.d()] = ((cpu.x[op.n()] as i32) >> (cpu.x[op.m()] & 31)) as u32 as u64; }
    fn asrv_x(cpu, op) { cpu.x[op.d()] = ((cpu.x[op.n()] as i64) >> (cpu.x[op.m()] & 63)) as u64; }
    fn rorv_w(cpu, op) { cpu.x[op.d()] = (cpu.x[op.n()] as u32).rotate_right(cpu.x[op.m()] as u32 & 31) as u64; }
    fn rorv_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()].rotate_right(cpu.x[op.m()] as u32 & 63); }
    fn madd[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.a()].wrapping_add(cpu.x[op.n()].wrapping_mul(cpu.x[op.m()])));
    }
    fn msub[S: Width](cpu, op) {
        cpu.x[op.d()] = S::trim(cpu.x[op.a()].wrapping_sub(cpu.x[op.n()].wrapping_mul(cpu.x[op.m()])));
    }
    fn smaddl(cpu, op) {
        let p = (cpu.x[op.n()] as i32 as i64).wrapping_mul(cpu.x[op.m()] as i32 as i64);
        cpu.x[op.d()] = cpu.x[op.a()].wrapping_add(p as u64);
    }
    fn smsubl(cpu, op) {
        let p = (cpu.x[op.n()] as i32 as i64).wrapping_mul(cpu.x[op.m()] as i32 as i64);
        cpu.x[op.d()] = cpu.x[op.a()].wrapping_sub(p as u64);
    }
    fn umaddl(cpu, op) {
        cpu.x[op.d()] = cpu.x[op.a()].wrapping_add((cpu.x[op.n()] as u32 as u64) * (cpu.x[op.m()] as u32 as u64));
    }
    fn umsubl(cpu, op) {
        cpu.x[op.d()] = cpu.x[op.a()].wrapping_sub((cpu.x[op.n()] as u32 as u64) * (cpu.x[op.m()] as u32 as u64));
    }
    fn smulh(cpu, op) {
        cpu.x[op.d()] = ((cpu.x[op.n()] as i64 as i128 * cpu.x[op.m()] as i64 as i128) >> 64) as u64;
    }
    fn umulh(cpu, op) { cpu.x[op.d()] = ((cpu.x[op.n()] as u128 * cpu.x[op.m()] as u128) >> 64) as u64; }
    fn rbit_w(cpu, op) { cpu.x[op.d()] = (cpu.x[op.n()] as u32).reverse_bits() as u64; }
    fn rbit_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()].reverse_bits(); }
    fn rev16[S: Width](cpu, op) {
        let v = S::trim(cpu.x[op.n()]);
        cpu.x[op.d()] = (v & 0x00ff_00ff_00ff_00ff) << 8 | (v >> 8) & 0x00ff_00ff_00ff_00ff;
    }
    fn rev_w(cpu, op) { cpu.x[op.d()] = (cpu.x[op.n()] as u32).swap_bytes() as u64; }
    fn rev32_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()].swap_bytes().rotate_left(32); }
    fn rev_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()].swap_bytes(); }
    fn clz_w(cpu, op) { cpu.x[op.d()] = (cpu.x[op.n()] as u32).leading_zeros() as u64; }
    fn clz_x(cpu, op) { cpu.x[op.d()] = cpu.x[op.n()].leading_zeros() as u64; }
    fn cls_w(cpu, op) {
        let v = cpu.x[op.n()] as i32;
        cpu.x[op.d()] = ((v ^ (v << 1)) as u32 | 1).leading_zeros() as u64;
    }
    fn cls_x(cpu, op) {
        let v = cpu.x[op.n()] as i64;
        cpu.x[op.d()] = ((v ^ (v << 1)) as u64 | 1).leading_zeros() as u64;
    }
    fn crc32[const SIZE: u32, const C: bool](cpu, op) {
        cpu.x[op.d()] = crc::<SIZE, C>(cpu.x[op.n()] as u32, cpu.x[op.m()]) as u64;
    }
}

/// CRC-32 (polynomial 0x04C11DB7, or Castagnoli's 0x1EDC6F41) of the lowest `SIZE` bytes of `value`, bit-reflected,
/// without the customary inversions.
fn crc<const SIZE: u32, const CASTAGNOLI: bool>(mut acc: u32, value: u64) -> u32 {
    let table = if CASTAGNOLI { &CRC32C_TABLE } else { &CRC32_TABLE };
    for byte in &value.to_le_bytes()[..SIZE as usize] {
        acc = table[((acc as u8) ^ byte) as usize] ^ (acc >> 8);
    }
    acc
}

static CRC32_TABLE: [u32; 256] = crc_table(0xedb8_8320);
static CRC32C_TABLE: [u32; 256] = crc_table(0x82f6_3b78);

/// The CRC of each byte for a reflected polynomial.
const fn crc_table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut v = at as u32;
        let mut bit = 0;
        while bit < 8 {
            v = if v & 1 != 0 { v >> 1 ^ polynomial } else { v >> 1 };
            bit += 1;
        }
        table[at] = v;
        at += 1;
    }
    table
}

fn two_source(i: Insn, handler: Handler) -> Option<Op> {
    Some(Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())))
}

/// UDIV.
pub(crate) fn lower_udiv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, by_sf!(i, udiv))
}

/// SDIV.
pub(crate) fn lower_sdiv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, if i.bit(31) { sdiv_x } else { sdiv_w })
}

/// LSLV.
pub(crate) fn lower_lslv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, by_sf!(i, lslv))
}

/// LSRV.
pub(crate) fn lower_lsrv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, by_sf!(i, lsrv))
}

/// ASRV.
pub(crate) fn lower_asrv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, if i.bit(31) { asrv_x } else { asrv_w })
}

/// RORV.
pub(crate) fn lower_rorv(i: Insn, _: u32) -> Option<Op> {
    two_source(i, if i.bit(31) { rorv_x } else { rorv_w })
}

/// CRC32B, CRC32H, CRC32W, CRC32X and the CRC32C forms: the X forms have `sf` set, the others clear.
pub(crate) fn lower_crc32(i: Insn, _: u32) -> Option<Op> {
    let handler: Handler = match (i.bits(10, 2), i.bit(12)) {
        (0, false) => crc32::<1, false>,
        (1, false) => crc32::<2, false>,
        (2, false) => crc32::<4, false>,
        (_, false) => crc32::<8, false>,
        (0, true) => crc32::<1, true>,
        (1, true) => crc32::<2, true>,
        (2, true) => crc32::<4, true>,
        (_, true) => crc32::<8, true>,
    };
    if i.bit(31) != (i.bits(10, 2) == 3) {
        return None;
    }
    two_source(i, handler)
}

fn three_source(i: Insn, handler: Handler) -> Option<Op> {
    Some(Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())).a(zr(i.ra())))
}

/// MADD.
pub(crate) fn lower_madd(i: Insn, _: u32) -> Option<Op> {
    three_source(i, by_sf!(i, madd))
}

/// MSUB.
pub(crate) fn lower_msub(i: Insn, _: u32) -> Option<Op> {
    three_source(i, by_sf!(i, msub))
}

/// SMADDL.
pub(crate) fn lower_smaddl(i: Insn, _: u32) -> Option<Op> {
    three_source(i, smaddl)
}

/// SMSUBL.
pub(crate) fn lower_smsubl(i: Insn, _: u32) -> Option<Op> {
    three_source(i, smsubl)
}

/// UMADDL.
pub(crate) fn lower_umaddl(i: Insn, _: u32) -> Option<Op> {
    three_source(i, umaddl)
}

/// UMSUBL.
pub(crate) fn lower_umsubl(i: Insn, _: u32) -> Option<Op> {
    three_source(i, umsubl)
}

/// SMULH.
pub(crate) fn lower_smulh(i: Insn, _: u32) -> Option<Op> {
    three_source(i, smulh)
}

/// UMULH.
pub(crate) fn lower_umulh(i: Insn, _: u32) -> Option<Op> {
    three_source(i, umulh)
}

fn one_source(i: Insn, w: Handler, x: Handler) -> Option<Op> {
    Some(Op::new(if i.bit(31) { x } else { w }).d(zd(i.rd())).n(zr(i.rn())))
}

/// RBIT.
pub(crate) fn lower_rbit(i: Insn, _: u32) -> Option<Op> {
    one_source(i, rbit_w, rbit_x)
}

/// REV16.
pub(crate) fn lower_rev16(i: Insn, _: u32) -> Option<Op> {
    one_source(i, rev16::<W>, rev16::<X>)
}

/// REV32, and for 32-bit registers REV.
pub(crate) fn lower_rev32(i: Insn, _: u32) -> Option<Op> {
    one_source(i, rev_w, rev32_x)
}

/// REV of a 64-bit register.
pub(crate) fn lower_rev64(i: Insn, _: u32) -> Option<Op> {
    Some(Op::new(rev_x).d(zd(i.rd())).n(zr(i.rn())))
}

/// CLZ.
pub(crate) fn lower_clz(i: Insn, _: u32) -> Option<Op> {
    one_source(i, clz_w, clz_x)
}

/// CLS.
pub(crate) fn lower_cls(i: Insn, _: u32) -> Option<Op> {
    one_source(i, cls_w, cls_x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_check_string_is_the_published_one() {
        let of = |c: bool| {
            let mut acc = !0;
            for b in b"123456789" {
                acc = if c { crc::<1, true>(acc, *b as u64) } else { crc::<1, false>(acc, *b as u64) };
            }
            !acc
        };
        assert_eq!((of(false), of(true)), (0xcbf4_3926, 0xe306_9283));
    }
}
