//! LD1 to LD4, ST1 to ST4: whole registers, one element of each, and one element replicated.

use super::lanes::{lane, set_lane, splat};
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// The base register, where 31 is SP.
fn base(cpu: &Cpu, i: Insn) -> u64 {
    cpu.x[i.rn()]
}

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

/// LD1 to LD4 (multiple structures). Nothing is written unless all was read.
pub(crate) fn load_multiple(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (registers, structure) = shape(i)?;
    let (size, width) = (i.bits(10, 2), if i.bit(30) { 16 } else { 8 });
    let mut va = base(cpu, i);
    let mut r = [0u128; 4];
    if structure == 1 {
        for r in &mut r[..registers] {
            *r = cpu.load::<u64>(va)?.into();
            if width == 16 {
                *r |= u128::from(cpu.load::<u64>(va.wrapping_add(8))?) << 64;
            }
            va = va.wrapping_add(width);
        }
    } else {
        for index in 0..width as usize >> size {
            for r in &mut r[..structure] {
                *r = set(*r, size, index, load_element(cpu, va, size)?);
                va = va.wrapping_add(1 << size);
            }
        }
    }
    for (k, r) in r[..registers].iter().enumerate() {
        cpu.v[(i.rd() + k) % 32] = *r;
    }
    write_back(cpu, i, registers as u64 * width);
    Ok(())
}

/// ST1 to ST4 (multiple structures).
pub(crate) fn store_multiple(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (registers, structure) = shape(i)?;
    let (size, width) = (i.bits(10, 2), if i.bit(30) { 16 } else { 8 });
    let mut va = base(cpu, i);
    if structure == 1 {
        for k in 0..registers {
            let v = cpu.v[(i.rd() + k) % 32];
            cpu.store::<u64>(va, v as u64)?;
            if width == 16 {
                cpu.store::<u64>(va.wrapping_add(8), (v >> 64) as u64)?;
            }
            va = va.wrapping_add(width);
        }
    } else {
        for index in 0..width as usize >> size {
            for k in 0..structure {
                store_element(cpu, va, size, get(cpu.v[(i.rd() + k) % 32], size, index))?;
                va = va.wrapping_add(1 << size);
            }
        }
    }
    write_back(cpu, i, registers as u64 * width);
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
    let (va, count) = (base(cpu, i), structure(i));
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
    let (va, count) = (base(cpu, i), structure(i));
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
    let (va, count) = (base(cpu, i), structure(i));
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
