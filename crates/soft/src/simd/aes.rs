//! AESE, AESD, AESMC, AESIMC (FIPS 197): one step of a round on the state in a register, column after column.

use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// The product of two polynomials over {0, 1} modulo x^8 + x^4 + x^3 + x + 1.
const fn product(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut r) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            r ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        b >>= 1;
    }
    r
}

/// SubBytes: the inverse in the field (x^254), then an affine map.
static SUB: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let mut inverse = 1;
        let mut k = 0;
        while k < 254 {
            inverse = product(inverse, x as u8);
            k += 1;
        }
        table[x] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        x += 1;
    }
    table
};

/// InvSubBytes.
static INV_SUB: [u8; 256] = {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        table[SUB[x] as usize] = x as u8;
        x += 1;
    }
    table
};

/// Multiples of every byte by the first column of a MixColumns matrix, as a column.
const fn multiples(column: [u8; 4]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let byte = x as u8;
        table[x] = u32::from_le_bytes([
            product(byte, column[0]),
            product(byte, column[1]),
            product(byte, column[2]),
            product(byte, column[3]),
        ]);
        x += 1;
    }
    table
}

static MIX: [u32; 256] = multiples([2, 1, 1, 3]);
static INV_MIX: [u32; 256] = multiples([14, 9, 13, 11]);

/// Adds the round key, moves rows by `step` bytes per row, and substitutes.
fn round(cpu: &mut Cpu, i: Insn, step: usize, sub: &[u8; 256]) -> Result<(), Trap> {
    let state = (cpu.v[i.rd()] ^ cpu.v[i.rn()]).to_le_bytes();
    let r = std::array::from_fn(|k| {
        // Row k % 4 takes the byte of the column that is as many columns on.
        sub[usize::from(state[(k + step * (k % 4)) % 16])]
    });
    cpu.v[i.rd()] = u128::from_le_bytes(r);
    Ok(())
}

/// AESE
pub(crate) fn aese(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    round(cpu, i, 4, &SUB)
}

/// AESD
pub(crate) fn aesd(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    round(cpu, i, 12, &INV_SUB)
}

fn mixed(cpu: &mut Cpu, i: Insn, table: &[u32; 256]) -> Result<(), Trap> {
    let state = cpu.v[i.rn()];
    let mut r = 0;
    for column in 0..4 {
        let bytes = ((state >> (32 * column)) as u32).to_le_bytes();
        let mixed = (0..4).fold(0, |r, row| r ^ table[usize::from(bytes[row])].rotate_left(8 * row as u32));
        r |= u128::from(mixed) << (32 * column);
    }
    cpu.v[i.rd()] = r;
    Ok(())
}

/// AESMC
pub(crate) fn aesmc(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    mixed(cpu, i, &MIX)
}

/// AESIMC
pub(crate) fn aesimc(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    mixed(cpu, i, &INV_MIX)
}
