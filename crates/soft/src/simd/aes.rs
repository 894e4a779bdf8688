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

/// Moves each row by `step` bytes per row number, and substitutes.
fn shifted(state: u128, step: usize, sub: &[u8; 256]) -> u128 {
    let state = state.to_le_bytes();
    // Row k % 4 takes the byte of the column that is as many columns on.
    u128::from_le_bytes(std::array::from_fn(|k| sub[usize::from(state[(k + step * (k % 4)) % 16])]))
}

/// Multiplies each column by the matrix of `table`.
fn mixed(state: u128, table: &[u32; 256]) -> u128 {
    let mut r = 0;
    for column in 0..4 {
        let bytes = ((state >> (32 * column)) as u32).to_le_bytes();
        let mixed = (0..4).fold(0, |r, row| r ^ table[usize::from(bytes[row])].rotate_left(8 * row as u32));
        r |= u128::from(mixed) << (32 * column);
    }
    r
}

/// AESE
pub(crate) fn aese(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = shifted(cpu.v[i.rd()] ^ cpu.v[i.rn()], 4, &SUB);
    Ok(())
}

/// AESD
pub(crate) fn aesd(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = shifted(cpu.v[i.rd()] ^ cpu.v[i.rn()], 12, &INV_SUB);
    Ok(())
}

/// AESMC
pub(crate) fn aesmc(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = mixed(cpu.v[i.rn()], &MIX);
    Ok(())
}

/// AESIMC
pub(crate) fn aesimc(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.v[i.rd()] = mixed(cpu.v[i.rn()], &INV_MIX);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state as FIPS 197 prints it.
    fn state(text: &str) -> u128 {
        u128::from_str_radix(text, 16).unwrap().swap_bytes()
    }

    /// Round 1 of the cipher example in FIPS 197, appendix B.
    #[test]
    fn a_round_is_that_of_the_standard() {
        let start = state("193de3bea0f4e22b9ac68d2ae9f84808");
        let rows_shifted = state("d4bf5d30e0b452aeb84111f11e2798e5");
        let columns_mixed = state("046681e5e0cb199a48f8d37a2806264c");
        assert_eq!(shifted(start, 4, &SUB), rows_shifted);
        assert_eq!(mixed(rows_shifted, &MIX), columns_mixed);
        assert_eq!(mixed(columns_mixed, &INV_MIX), rows_shifted);
        assert_eq!(shifted(rows_shifted, 12, &INV_SUB), start);
    }
}
