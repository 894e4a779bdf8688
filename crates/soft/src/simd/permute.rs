//! ZIP, UZP, TRN, EXT, TBL, TBX, REV.

use super::adapt::sized;
use super::int::lanes;
use super::lanes::{halves, join, mask};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// The elements of 32 bits with `E` bits of nothing after each.
#[inline(always)]
fn spread<const E: u32>(x: u64) -> u64 {
    let mut r = 0;
    let mut at = 0;
    while at < 32 {
        r |= (x >> at & mask::<E>()) << (2 * at);
        at += E;
    }
    r
}

/// Every other element of a half, from the first on.
#[inline(always)]
fn gathered<const E: u32>(x: u64) -> u64 {
    let mut r = 0;
    let mut at = 0;
    while at < 32 {
        r |= (x >> (2 * at) & mask::<E>()) << at;
        at += E;
    }
    r
}

/// Runs `f` on `Rn`, `Rm` and the part, 0 for ZIP1, UZP1, TRN1 and 1 for their twins. Elements of 64 bits are halves:
/// for all three instructions the part says which, and `f` is not called (but compiled: hence `E % 64` in shifts).
#[inline(always)]
fn permuted<const E: u32>(
    cpu: &mut Cpu,
    i: Insn,
    f: impl Fn([u64; 2], [u64; 2], usize) -> [u64; 2],
) -> Result<(), Trap> {
    let (n, m) = (halves(cpu.v[i.rn()]), halves(cpu.v[i.rm()]));
    let part = usize::from(i.bit(14));
    let [lo, hi] = if E == 64 { [n[part], m[part]] } else { f(n, m, part) };
    cpu.v[i.rd()] = join([lo, if i.bit(30) { hi } else { 0 }]);
    Ok(())
}

/// ZIP1, ZIP2
pub(crate) fn zip(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let whole = i.bit(30);
    sized!(bhsd, i, {
        permuted::<E>(cpu, i, |n, m, part| {
            let (n, m) = if whole { (n[part], m[part]) } else { (n[0] >> (32 * part), m[0] >> (32 * part)) };
            [spread::<E>(n) | spread::<E>(m) << (E % 64), spread::<E>(n >> 32) | spread::<E>(m >> 32) << (E % 64)]
        })
    })
}

/// UZP1, UZP2
pub(crate) fn uzp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let whole = i.bit(30);
    sized!(bhsd, i, {
        permuted::<E>(cpu, i, |n, m, part| {
            let [n0, n1, m0, m1] = [n[0], n[1], m[0], m[1]].map(|x| gathered::<E>(x >> (E * part as u32)));
            if whole { [n0 | n1 << 32, m0 | m1 << 32] } else { [n0 | m0 << 32, 0] }
        })
    })
}

/// TRN1, TRN2
pub(crate) fn trn(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    sized!(bhsd, i, {
        permuted::<E>(cpu, i, |n, m, part| {
            let even = u64::MAX / (mask::<E>() + 2);
            std::array::from_fn(|h| {
                let shift = E * part as u32;
                n[h] >> shift & even | (m[h] >> shift & even) << (E % 64)
            })
        })
    })
}

/// EXT
pub(crate) fn ext(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let shift = 8 * i.bits(11, 4);
    let (n, m) = (cpu.v[i.rn()], cpu.v[i.rm()]);
    cpu.v[i.rd()] = if i.bit(30) {
        if shift == 0 { n } else { n >> shift | m << (128 - shift) }
    } else if shift < 64 {
        ((n as u64 as u128 | m << 64) >> shift) as u64 as u128
    } else {
        return Err(Trap::Undefined);
    };
    Ok(())
}

/// TBL; indices out of range give zero.
pub(crate) fn tbl(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    looked_up(cpu, i, 0)
}

/// TBX; indices out of range keep the destination's byte.
pub(crate) fn tbx(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    looked_up(cpu, i, cpu.v[i.rd()])
}

fn looked_up(cpu: &mut Cpu, i: Insn, otherwise: u128) -> Result<(), Trap> {
    let registers = i.bits(13, 2) as usize + 1;
    let mut table = [0; 64];
    for (k, bytes) in table.chunks_exact_mut(16).take(registers).enumerate() {
        bytes.copy_from_slice(&cpu.v[(i.rn() + k) % 32].to_le_bytes());
    }
    let table = &table[..16 * registers];
    let indices = cpu.v[i.rm()].to_le_bytes();
    let mut r = otherwise.to_le_bytes();
    for (byte, &index) in r.iter_mut().zip(&indices) {
        if let Some(&x) = table.get(usize::from(index)) {
            *byte = x;
        }
    }
    let r = u128::from_le_bytes(r);
    cpu.v[i.rd()] = if i.bit(30) { r } else { r as u64 as u128 };
    Ok(())
}

/// Elements of `E` bits reversed inside a container of `C` bits.
#[inline(always)]
fn reversed<const E: u32, const C: u32>(n: u64) -> u64 {
    let mut r = 0;
    let mut at = 0;
    while at < C {
        r |= (n >> at & (u64::MAX >> (64 - E))) << (C - E - at);
        at += E;
    }
    r
}

lanes! {
    /// REV64 on halves
    rev64(n) = reversed::<E, 64>(n);
    /// REV32 on halves
    rev32(n) = reversed::<E, 32>(n & u64::from(u32::MAX)) | reversed::<E, 32>(n >> 32) << 32;
    /// REV16 on halves
    rev16(n) = {
        (0..4).fold(0, |r, k| r | reversed::<E, 16>(n >> (16 * k) & 0xffff) << (16 * k))
    };
}

/// A lane function on whole halves: `halves!(bhs, rev64)`.
macro_rules! by_halves {
    ($sizes:ident, $f:ident) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::vector::<64>(cpu, i, [0; 2], op!($f n)))
    };
}
pub(crate) use by_halves;
