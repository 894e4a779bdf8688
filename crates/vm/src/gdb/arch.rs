//! AArch64 in the words of GDB's remote protocol ("AArch64 Features" in GDB's manual).

use gdbstub::arch::{Arch, Registers as Frame};
use hv::debug::Registers;

/// The architecture: 64-bit addresses, the registers of `target.xml`.
pub(super) struct AArch64;

/// The registers in the order of `target.xml`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AArch64Registers(pub(super) Registers);

impl Arch for AArch64 {
    type Usize = u64;
    type Registers = AArch64Registers;
    type BreakpointKind = usize;
    type RegId = ();

    fn target_description_xml() -> Option<&'static str> {
        Some(include_str!("target.xml"))
    }
}

impl Frame for AArch64Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        self.0.pc
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        let Registers { x, sp, pc, cpsr, v, fpsr, fpcr } = &self.0;
        let mut write = |bytes: &[u8]| bytes.iter().for_each(|byte| write_byte(Some(*byte)));
        x.iter().chain([sp, pc]).for_each(|value| write(&value.to_le_bytes()));
        write(&cpsr.to_le_bytes());
        v.iter().for_each(|value| write(&value.to_le_bytes()));
        [fpsr, fpcr].into_iter().for_each(|value| write(&value.to_le_bytes()));
    }

    fn gdb_deserialize(&mut self, mut bytes: &[u8]) -> Result<(), ()> {
        let Registers { x, sp, pc, cpsr, v, fpsr, fpcr } = &mut self.0;
        for value in x.iter_mut().chain([sp, pc]) {
            *value = u64::from_le_bytes(take(&mut bytes)?);
        }
        *cpsr = u32::from_le_bytes(take(&mut bytes)?);
        for value in v {
            *value = u128::from_le_bytes(take(&mut bytes)?);
        }
        for value in [fpsr, fpcr] {
            *value = u32::from_le_bytes(take(&mut bytes)?);
        }
        Ok(())
    }
}

/// The next `N` bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], ()> {
    let (first, rest) = bytes.split_first_chunk().ok_or(())?;
    *bytes = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_the_way_there_and_back() {
        let mut registers = Registers { sp: 1, pc: 2, cpsr: 0x6000_03c5, fpsr: 3, fpcr: 4, ..Registers::default() };
        (0..31).for_each(|n| registers.x[n] = 0x100 + n as u64);
        (0..32).for_each(|n| registers.v[n] = (n as u128) << 100 | 7);
        let (there, mut back) = (AArch64Registers(registers), AArch64Registers::default());
        let mut bytes = Vec::new();
        there.gdb_serialize(|byte| bytes.extend(byte));
        // 33 of 64 bits, 3 of 32, 32 of 128: what the target description says.
        assert_eq!(bytes.len(), 33 * 8 + 3 * 4 + 32 * 16);
        back.gdb_deserialize(&bytes).unwrap();
        assert_eq!(there, back);
        assert_eq!(back.gdb_deserialize(&bytes[1..]), Err(()));
    }
}
