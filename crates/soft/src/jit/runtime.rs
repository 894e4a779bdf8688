//! What translated code calls: the slow side of memory accesses, instructions that are functions, conditions of flags
//! that were set elsewhere. All guest registers are in [`Cpu`] during these calls.

use super::inst::{Access, Address, Inst, Transfer, decode};
use crate::cpu::{Cpu, SP};
use crate::interp::alu::extended;
use crate::interp::flags;
use crate::isa::Insn;
use crate::trap::Trap;

impl Cpu {
    /// Leaves translated code at byte `offset` of the page with `trap`; always `false`.
    fn leave_translated(&mut self, trap: Trap) -> bool {
        self.left = Some(trap);
        let (fa, fb, fk) = flags::settled(self.flags);
        self.nzcv = flags::nzcv(fa, fb, fk);
        false
    }

    /// Carries out the load or store `word` at byte `offset` of the page with every check.
    fn access(&mut self, access: Access) -> Result<(), Trap> {
        if access.address.base() == SP as u8 {
            self.check_stack()?;
        }
        let x = |n: u8| self.x[n as usize];
        let (va, write_back) = match access.address {
            Address::Offset { n, imm } => (x(n).wrapping_add(imm as u64), None),
            Address::Post { n, imm } => (x(n), Some((n, x(n).wrapping_add(imm as u64)))),
            Address::Pre { n, imm } => {
                let va = x(n).wrapping_add(imm as u64);
                (va, Some((n, va)))
            }
            Address::Index { n, m, option, shift } => {
                (x(n).wrapping_add(extended(x(m), (option << 5 | shift) as usize)), None)
            }
        };
        let second = va.wrapping_add(1 << access.transfer.size());
        if access.load {
            let first = self.load_sized(va, access.transfer.size())?;
            let both = access.t2.map(|t2| Ok((t2, self.load_sized(second, access.transfer.size())?))).transpose()?;
            // In the order of the interpreter, for registers that are named twice.
            if let Some((n, value)) = write_back {
                self.x[n as usize] = value;
            }
            self.set_transfer(access.transfer, access.t, first);
            if let Some((t2, second)) = both {
                self.set_transfer(access.transfer, t2, second);
            }
        } else {
            self.store_sized(va, access.transfer, access.t)?;
            if let Some(t2) = access.t2 {
                self.store_sized(second, access.transfer, t2)?;
            }
            if let Some((n, value)) = write_back {
                self.x[n as usize] = value;
            }
        }
        Ok(())
    }

    fn load_sized(&mut self, va: u64, size: u8) -> Result<u128, Trap> {
        Ok(match size {
            0 => self.load::<u8>(va)? as u128,
            1 => self.load::<u16>(va)? as u128,
            2 => self.load::<u32>(va)? as u128,
            3 => self.load::<u64>(va)? as u128,
            _ => self.load::<u128>(va)?,
        })
    }

    fn store_sized(&mut self, va: u64, transfer: Transfer, t: u8) -> Result<(), Trap> {
        let value = match transfer {
            Transfer::Vector { .. } => self.v[t as usize & 31],
            _ => self.x[t as usize] as u128,
        };
        match transfer.size() {
            0 => self.store(va, value as u8),
            1 => self.store(va, value as u16),
            2 => self.store(va, value as u32),
            3 => self.store(va, value as u64),
            _ => self.store(va, value),
        }
    }

    fn set_transfer(&mut self, transfer: Transfer, t: u8, value: u128) {
        let t = t as usize;
        match transfer {
            Transfer::Vector { .. } => self.v[t & 31] = value,
            Transfer::General { .. } => self.x[t] = value as u64,
            Transfer::Signed { size, to64 } => {
                let up = 64 - (8 << size);
                let signed = ((value as u64) << up) as i64 >> up;
                self.x[t] = if to64 { signed as u64 } else { signed as u32 as u64 };
            }
        }
    }
}

/// A load or store that the data TLB's first way does not answer. `false`: it trapped, and the region returns.
pub(super) extern "C" fn slow_access(cpu: &mut Cpu, word: u32, offset: u32) -> bool {
    let Inst::Access(access) = decode(word, offset) else { unreachable!("only accesses are called as such") };
    cpu.pc = cpu.code_va.wrapping_add(u64::from(offset));
    if matches!(access.transfer, Transfer::Vector { .. }) && !cpu.fp_enabled {
        return cpu.leave_translated(Trap::Exception { esr: arm64::esr::fp_access(), far: None });
    }
    match cpu.access(access) {
        Ok(()) => true,
        Err(trap) => cpu.leave_translated(trap),
    }
}

/// As [`slow_access`], for an access whose site `site` has missed too often.
pub(super) extern "C" fn worn_access(cpu: &mut Cpu, word: u32, offset: u32, site: u32) -> bool {
    // SAFETY: reads a counter of the host.
    let now = unsafe { std::arch::x86_64::_rdtsc() } >> 10;
    if cpu.jit.as_mut().is_some_and(|jit| jit.site(site as usize).is_worn(now as u32)) {
        cpu.code_page.set_scattered(offset as usize / 4);
    }
    slow_access(cpu, word, offset)
}

/// An instruction that is a function of the table, row `row`. `false`: it trapped.
pub(super) extern "C" fn call_row(cpu: &mut Cpu, row: u32, word: u32, offset: u32) -> bool {
    cpu.pc = cpu.code_va.wrapping_add(u64::from(offset));
    let f = cpu.decoder.called(row as usize);
    match f(cpu, Insn(word)) {
        Ok(()) => true,
        Err(trap) => cpu.leave_translated(trap),
    }
}

/// As [`call_row`] for instructions that need FP and AdvSIMD registers.
pub(super) extern "C" fn call_fp_row(cpu: &mut Cpu, row: u32, word: u32, offset: u32) -> bool {
    if !cpu.fp_enabled {
        cpu.pc = cpu.code_va.wrapping_add(u64::from(offset));
        return cpu.leave_translated(Trap::Exception { esr: arm64::esr::fp_access(), far: None });
    }
    call_row(cpu, row, word, offset)
}

/// As [`call_fp_row`] for instructions that read or write the flags.
pub(super) extern "C" fn call_flags_row(cpu: &mut Cpu, row: u32, word: u32, offset: u32) -> bool {
    let (fa, fb, fk) = flags::settled(cpu.flags);
    cpu.nzcv = flags::nzcv(fa, fb, fk);
    if !call_fp_row(cpu, row, word, offset) {
        return false;
    }
    let (fa, fb, fk) = flags::explicit(cpu.nzcv);
    cpu.flags = [fa, fb, fk];
    true
}

/// As [`call_flags_row`] for comparisons: the flags become those of a subtraction.
pub(super) extern "C" fn compare_row(cpu: &mut Cpu, row: u32, word: u32, offset: u32) -> bool {
    if !call_flags_row(cpu, row, word, offset) {
        return false;
    }
    let (a, b) = match cpu.nzcv >> 28 {
        0b0110 => (0, 0),
        0b1000 => (0, 1),
        0b0010 => (1, 0),
        // Unordered, which overflows.
        _ => (1 << 63, 1),
    };
    cpu.flags = [a, b, flags::SUB];
    true
}

/// Whether `cond` holds for the flags in [`Cpu::flags`].
pub(super) extern "C" fn holds(cpu: &mut Cpu, cond: u32) -> bool {
    let (fa, fb, fk) = flags::settled(cpu.flags);
    flags::holds_dyn(cond as u8, fa, fb, fk)
}
