//! Exclusives, acquire and release, and the atomics of FEAT_LSE (DDI 0487 C4.1, "Loads and Stores").
//!
//! An exclusive pair is a compare-and-swap: the load remembers the value, the store succeeds if it is still there.
//! Every ordering is at least as strong as asked for.

use std::sync::atomic::Ordering::{self, SeqCst};
use std::sync::atomic::fence;

use arm64::mmu::AccessKind;

use crate::cpu::{Cpu, Exclusive};
use crate::isa::Insn;
use crate::mmu::Location;
use crate::ram::HostPtr;
use crate::trap::Trap;

/// The bytes of `size` (bits 31:30).
fn bytes(i: Insn) -> u64 {
    1 << i.bits(30, 2)
}

fn load_sized(host: HostPtr, size: u64) -> u64 {
    match size {
        1 => host.load::<u8>() as u64,
        2 => host.load::<u16>() as u64,
        4 => host.load::<u32>() as u64,
        _ => host.load::<u64>(),
    }
}

/// Compares `size` bytes with `old` and replaces them by `new`: what was there.
fn compare_exchange(host: HostPtr, size: u64, old: u64, new: u64) -> u64 {
    macro_rules! cas {
        ($atomic:ident, $t:ty) => {
            host.$atomic().compare_exchange(old as $t, new as $t, SeqCst, SeqCst).unwrap_or_else(|was| was) as u64
        };
    }
    match size {
        1 => cas!(atomic8, u8),
        2 => cas!(atomic16, u16),
        4 => cas!(atomic32, u32),
        _ => cas!(atomic64, u64),
    }
}

/// LDXR, LDAXR and their byte and halfword forms.
pub(crate) fn ldxr(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let size = bytes(i);
    let host = cpu.locate_atomic(cpu.base(i)?, size, false)?;
    let value = load_sized(host, size);
    fence(Ordering::Acquire);
    cpu.exclusive = Some(Exclusive { host: host.0 as usize, size, value: value as u128 });
    cpu.set_reg(i.rd(), value);
    Ok(())
}

/// STXR, STLXR and their byte and halfword forms: the status register gets 0 for success.
pub(crate) fn stxr(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let size = bytes(i);
    let new = cpu.reg(i.rd());
    let host = cpu.locate_atomic(cpu.base(i)?, size, true)?;
    let stored = match cpu.exclusive.take() {
        Some(e) if e.host == host.0 as usize && e.size == size => {
            compare_exchange(host, size, e.value as u64, new) == e.value as u64
        }
        _ => false,
    };
    cpu.set_reg(i.rm(), u64::from(!stored));
    Ok(())
}

/// LDXP, LDAXP.
pub(crate) fn ldxp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let half = bytes(i);
    let host = cpu.locate_atomic(cpu.base(i)?, half * 2, false)?;
    let (first, second, value);
    if half == 4 {
        let both = host.load::<u64>();
        (first, second, value) = (both & 0xffff_ffff, both >> 32, both as u128);
    } else {
        (first, second) = (host.load::<u64>(), HostPtr(host.0.wrapping_add(8)).load::<u64>());
        value = (second as u128) << 64 | first as u128;
    }
    fence(Ordering::Acquire);
    cpu.exclusive = Some(Exclusive { host: host.0 as usize, size: half * 2, value });
    cpu.set_reg(i.rd(), first);
    cpu.set_reg(i.ra(), second);
    Ok(())
}

/// STXP, STLXP.
pub(crate) fn stxp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let half = bytes(i);
    let (first, second) = (cpu.reg(i.rd()), cpu.reg(i.ra()));
    let host = cpu.locate_atomic(cpu.base(i)?, half * 2, true)?;
    let stored = match cpu.exclusive.take() {
        Some(e) if e.host == host.0 as usize && e.size == half * 2 => {
            if half == 4 {
                let new = second << 32 | first & 0xffff_ffff;
                compare_exchange(host, 8, e.value as u64, new) == e.value as u64
            } else {
                host.compare_exchange128(e.value, (second as u128) << 64 | first as u128).is_ok()
            }
        }
        _ => false,
    };
    cpu.set_reg(i.rm(), u64::from(!stored));
    Ok(())
}

/// Whether an acquire or release access is aligned; the only ones that fault without `SCTLR_EL1.A`.
fn check_aligned(cpu: &Cpu, va: u64, size: u64, write: bool) -> Result<(), Trap> {
    if va & (size - 1) != 0 {
        return Err(cpu.data_abort(va, arm64::esr::fsc::ALIGNMENT, write));
    }
    Ok(())
}

/// LDAR and its byte and halfword forms.
pub(crate) fn ldar(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (va, size) = (cpu.base(i)?, bytes(i));
    check_aligned(cpu, va, size, false)?;
    let value = match cpu.locate(va, size, AccessKind::Read, cpu.tlb_context)? {
        Location::Ram(host) => load_sized(host, size),
        Location::Device(pa) => cpu.read_device(pa, size) as u64,
    };
    fence(Ordering::Acquire);
    cpu.set_reg(i.rd(), value);
    Ok(())
}

/// STLR and its byte and halfword forms. The fence after it keeps a later LDAR behind it.
pub(crate) fn stlr(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (va, size) = (cpu.base(i)?, bytes(i));
    let value = cpu.reg(i.rd());
    check_aligned(cpu, va, size, true)?;
    fence(Ordering::Release);
    match size {
        1 => cpu.store(va, value as u8)?,
        2 => cpu.store(va, value as u16)?,
        4 => cpu.store(va, value as u32)?,
        _ => cpu.store(va, value)?,
    }
    fence(SeqCst);
    Ok(())
}

/// CAS and its byte, halfword, acquire and release forms.
pub(crate) fn cas(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let size = bytes(i);
    let (old, new) = (cpu.reg(i.rm()), cpu.reg(i.rd()));
    let host = cpu.locate_atomic(cpu.base(i)?, size, true)?;
    let was = compare_exchange(host, size, old, new);
    cpu.set_reg(i.rm(), was);
    Ok(())
}

/// CASP and its forms: pairs of registers that start at an even one.
pub(crate) fn casp(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let (s, t) = (i.rm(), i.rd());
    if s & 1 != 0 || t & 1 != 0 {
        return Err(Trap::Undefined);
    }
    let half = if i.bit(30) { 8 } else { 4 };
    let pair = |cpu: &Cpu, n: usize| (cpu.reg(n), cpu.reg(n + 1));
    let ((old_lo, old_hi), (new_lo, new_hi)) = (pair(cpu, s), pair(cpu, t));
    let host = cpu.locate_atomic(cpu.base(i)?, half * 2, true)?;
    let (lo, hi) = if half == 4 {
        let join = |lo: u64, hi: u64| hi << 32 | lo & 0xffff_ffff;
        let was = compare_exchange(host, 8, join(old_lo, old_hi), join(new_lo, new_hi));
        (was & 0xffff_ffff, was >> 32)
    } else {
        let join = |lo: u64, hi: u64| (hi as u128) << 64 | lo as u128;
        let was = host.compare_exchange128(join(old_lo, old_hi), join(new_lo, new_hi)).unwrap_or_else(|was| was);
        (was as u64, (was >> 64) as u64)
    };
    cpu.set_reg(s, lo);
    cpu.set_reg(s + 1, hi);
    Ok(())
}

/// LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN, SWP and their forms: `o3` bit 15, `opc` bits 14:12.
pub(crate) fn ld_op(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let size = bytes(i);
    let operand = cpu.reg(i.rm());
    let host = cpu.locate_atomic(cpu.base(i)?, size, true)?;
    macro_rules! operate {
        ($atomic:ident, $t:ty, $s:ty) => {{
            let (a, v) = (host.$atomic(), operand as $t);
            match i.bits(12, 4) {
                0 => a.fetch_add(v, SeqCst) as u64,
                1 => a.fetch_and(!v, SeqCst) as u64,
                2 => a.fetch_xor(v, SeqCst) as u64,
                3 => a.fetch_or(v, SeqCst) as u64,
                4 | 5 => {
                    let choose = |was: $t| {
                        let (x, y) = (was as $s, v as $s);
                        Some(if i.bit(12) { x.min(y) } else { x.max(y) } as $t)
                    };
                    a.fetch_update(SeqCst, SeqCst, choose).unwrap_or_else(|was| was) as u64
                }
                6 => a.fetch_max(v, SeqCst) as u64,
                7 => a.fetch_min(v, SeqCst) as u64,
                _ => a.swap(v, SeqCst) as u64,
            }
        }};
    }
    let was = match size {
        1 => operate!(atomic8, u8, i8),
        2 => operate!(atomic16, u16, i16),
        4 => operate!(atomic32, u32, i32),
        _ => operate!(atomic64, u64, i64),
    };
    cpu.set_reg(i.rd(), was);
    Ok(())
}
