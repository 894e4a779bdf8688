//! LD1 to LD4, ST1 to ST4: whole registers, one element of each, and one element replicated.

use super::lanes::{join, lane, set_lane, splat};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// Post-index: adds `Rm`, or the number of bytes transferred where that is 31. Bit 23 says whether there is one.
fn write_back(cpu: &mut Cpu, i: Insn, bytes: u64) {
    if i.bit(23) {
        let offset = if i.rm() == 31 { bytes } else { cpu.reg(i.rm()) };
        cpu.x[i.rn()] = cpu.x[i.rn()].wrapping_add(offset);
    }
}

/// Reads an element of `size` log2 bytes.
fn load_element(cpu: &mut Cpu, va: u64, size: u32) -> Result<u64, Trap> {
    Ok(match size {
        0 => cpu.load::<u8>(va)?.into(),
        1 => cpu.load::<u16>(va)?.into(),
        2 => cpu.load::<u32>(va)?.into(),
        _ => cpu.load::<u64>(va)?,
    })
}

/// Writes an element of `size` log2 bytes.
fn store_element(cpu: &mut Cpu, va: u64, size: u32, x: u64) -> Result<(), Trap> {
    match size {
        0 => cpu.store::<u8>(va, x as u8),
        1 => cpu.store::<u16>(va, x as u16),
        2 => cpu.store::<u32>(va, x as u32),
        _ => cpu.store::<u64>(va, x),
    }
}

fn get(v: u128, size: u32, index: usize) -> u64 {
    match size {
        0 => lane::<8>(v, index),
        1 => lane::<16>(v, index),
        2 => lane::<32>(v, index),
        _ => lane::<64>(v, index),
    }
}

fn set(v: u128, size: u32, index: usize, x: u64) -> u128 {
    match size {
        0 => set_lane::<8>(v, index, x),
        1 => set_lane::<16>(v, index, x),
        2 => set_lane::<32>(v, index, x),
        _ => set_lane::<64>(v, index, x),
    }
}

/// The number of registers and the number of elements in a structure, by opcode of the multiple-structure forms.
fn shape(i: Insn) -> Result<(usize, usize), Trap> {
    let (registers, structure) = match i.bits(12, 4) {
        0b0000 => (4, 4),
        0b0010 => (4, 1),
        0b0100 => (3, 3),
        0b0110 => (3, 1),
        0b0111 => (1, 1),
        0b1000 => (2, 2),
        0b1010 => (2, 1),
        _ => return Err(Trap::Undefined),
    };
    // Structures of which a register holds one only have no 64-bit form.
    if structure != 1 && i.bits(10, 2) == 3 && !i.bit(30) {
        return Err(Trap::Undefined);
    }
    Ok((registers, structure))
}

/// The bytes of up to four registers as they lie in memory.
type Block = [u8; 64];

/// Reads `bytes` bytes: by doublewords where they are aligned, else by elements, which is the alignment that has to be
/// checked.
fn load_block(cpu: &mut Cpu, va: u64, bytes: usize, size: u32) -> Result<Block, Trap> {
    let mut block = [0; 64];
    if va & 7 == 0 {
        for at in (0..bytes).step_by(8) {
            let x = cpu.load::<u64>(va.wrapping_add(at as u64))?;
            block[at..at + 8].copy_from_slice(&x.to_le_bytes());
        }
    } else {
        let step = 1 << size;
        for at in (0..bytes).step_by(step) {
            let x = load_element(cpu, va.wrapping_add(at as u64), size)?;
            block[at..at + step].copy_from_slice(&x.to_le_bytes()[..step]);
        }
    }
    Ok(block)
}

/// Writes `bytes` bytes in the same manner.
fn store_block(cpu: &mut Cpu, va: u64, bytes: usize, size: u32, block: &Block) -> Result<(), Trap> {
    let step = if va & 7 == 0 { 8 } else { 1 << size };
    for at in (0..bytes).step_by(step) {
        let mut x = [0; 8];
        x[..step].copy_from_slice(&block[at..at + step]);
        store_element(cpu, va.wrapping_add(at as u64), step.ilog2(), u64::from_le_bytes(x))?;
    }
    Ok(())
}

/// Calls `f` with the offsets in a register file of `structure` registers and in memory of each element of `S` bytes.
#[inline(always)]
fn interleave<const S: usize>(structure: usize, width: usize, mut f: impl FnMut(usize, usize)) {
    for index in 0..width / S {
        for k in 0..structure {
            f(16 * k + S * index, S * (index * structure + k));
        }
    }
}

/// The registers, 16 bytes each, from a block in memory or, if `back`, the other way.
fn rearranged(block: &Block, structure: usize, width: usize, size: u32, back: bool) -> Block {
    macro_rules! move_elements {
        ($s:literal) => {{
            let mut r = [0; 64];
            interleave::<$s>(structure, width, |register, memory| {
                let (to, from) = if back { (memory, register) } else { (register, memory) };
                r[to..to + $s].copy_from_slice(&block[from..from + $s]);
            });
            r
        }};
    }
    match size {
        0 => move_elements!(1),
        1 => move_elements!(2),
        2 => move_elements!(4),
        _ => move_elements!(8),
    }
}

/// LD1 to LD4 (multiple structures). Nothing is written unless all was read.
pub(crate) fn load_multiple(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (registers, structure) = shape(i)?;
    let (size, width) = (i.bits(10, 2), if i.bit(30) { 16 } else { 8 });
    let va = cpu.base(i)?;
    let bytes = registers * width;
    if registers == 1 && va & 7 == 0 {
        let lo = cpu.load::<u64>(va)?;
        let hi = if width == 16 { cpu.load::<u64>(va.wrapping_add(8))? } else { 0 };
        cpu.v[i.rd()] = join([lo, hi]);
        write_back(cpu, i, bytes as u64);
        return Ok(());
    }
    let mut block = load_block(cpu, va, bytes, size)?;
    let mut pitch = width;
    if structure > 1 {
        block = rearranged(&block, structure, width, size, false);
        pitch = 16;
    }
    for k in 0..registers {
        let mut r = [0; 16];
        r[..width].copy_from_slice(&block[k * pitch..k * pitch + width]);
        cpu.v[(i.rd() + k) % 32] = u128::from_le_bytes(r);
    }
    write_back(cpu, i, bytes as u64);
    Ok(())
}

/// ST1 to ST4 (multiple structures).
pub(crate) fn store_multiple(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (registers, structure) = shape(i)?;
    let (size, width) = (i.bits(10, 2), if i.bit(30) { 16 } else { 8 });
    let va = cpu.base(i)?;
    let pitch = if structure > 1 { 16 } else { width };
    let mut block = [0; 64];
    for k in 0..registers {
        let v = cpu.v[(i.rd() + k) % 32].to_le_bytes();
        block[k * pitch..k * pitch + width].copy_from_slice(&v[..width]);
    }
    if structure > 1 {
        block = rearranged(&block, structure, width, size, true);
    }
    let bytes = registers * width;
    store_block(cpu, va, bytes, size, &block)?;
    write_back(cpu, i, bytes as u64);
    Ok(())
}

/// The number of registers of a single-structure form.
fn structure(i: Insn) -> usize {
    (i.bits(13, 1) << 1 | i.bits(21, 1)) as usize + 1
}

/// Size and index of the element of a single-structure form: from opcode<2:1>, and from Q, S and size.
fn element(i: Insn) -> Result<(u32, usize), Trap> {
    let (q, s, size) = (i.bits(30, 1), i.bits(12, 1), i.bits(10, 2));
    let (scale, index) = match i.bits(14, 2) {
        0 => (0, q << 3 | s << 2 | size),
        1 if size & 1 == 0 => (1, q << 2 | s << 1 | size >> 1),
        2 if size == 0 => (2, q << 1 | s),
        2 if size == 1 && s == 0 => (3, q),
        _ => return Err(Trap::Undefined),
    };
    Ok((scale, index as usize))
}

/// LD1 to LD4 (single structure).
pub(crate) fn load_single(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (size, index) = element(i)?;
    let (va, count) = (cpu.base(i)?, structure(i));
    let mut r = [0; 4];
    for (k, r) in r[..count].iter_mut().enumerate() {
        *r = load_element(cpu, va.wrapping_add((k as u64) << size), size)?;
    }
    for (k, r) in r[..count].iter().enumerate() {
        let t = (i.rd() + k) % 32;
        cpu.v[t] = set(cpu.v[t], size, index, *r);
    }
    write_back(cpu, i, (count as u64) << size);
    Ok(())
}

/// ST1 to ST4 (single structure).
pub(crate) fn store_single(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (size, index) = element(i)?;
    let (va, count) = (cpu.base(i)?, structure(i));
    for k in 0..count {
        let x = get(cpu.v[(i.rd() + k) % 32], size, index);
        store_element(cpu, va.wrapping_add((k as u64) << size), size, x)?;
    }
    write_back(cpu, i, (count as u64) << size);
    Ok(())
}

/// LD1R to LD4R.
pub(crate) fn load_replicate(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let size = i.bits(10, 2);
    let (va, count) = (cpu.base(i)?, structure(i));
    let mut r = [0; 4];
    for (k, r) in r[..count].iter_mut().enumerate() {
        let x = load_element(cpu, va.wrapping_add((k as u64) << size), size)?;
        *r = match size {
            0 => splat::<8>(x),
            1 => splat::<16>(x),
            2 => splat::<32>(x),
            _ => x,
        };
    }
    for (k, &r) in r[..count].iter().enumerate() {
        let hi = if i.bit(30) { r } else { 0 };
        cpu.v[(i.rd() + k) % 32] = u128::from(r) | u128::from(hi) << 64;
    }
    write_back(cpu, i, (count as u64) << size);
    Ok(())
}
