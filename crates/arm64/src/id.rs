//! The identity of the software CPU: what its ID registers say it can do (DDI 0487, D17.2).
//!
//! Armv8.0-A at EL0 and EL1, AArch64 only, with what later versions made cheap for a guest kernel: LSE atomics, PAN,
//! E0PD and hardware-managed access and dirty state. Nothing is offered that the CPU does not do.

use crate::sysreg as r;

/// Physical addresses have this many bits: 1 TiB, `ID_AA64MMFR0_EL1.PARange` 2.
pub const PA_BITS: u8 = 40;

/// log2 of the bytes that one `IC IVAU` covers, `CTR_EL0.IminLine`. A page, so that making a page of code visible
/// takes one instruction.
pub const INSTRUCTION_LINE_BITS: u32 = 12;

/// log2 of the bytes that one `DC CVAU` covers, `CTR_EL0.DminLine`; also the write-back and exclusives granules.
pub const DATA_LINE_BITS: u32 = 6;

/// log2 of the bytes that one `DC ZVA` clears, `DCZID_EL0.BS`: 2 KiB, the most that the field can say.
pub const ZVA_BITS: u32 = 11;

/// Breakpoints, the last [`CONTEXT_BREAKPOINTS`] of them context-aware.
pub const BREAKPOINTS: u8 = 6;

/// Context-aware breakpoints.
pub const CONTEXT_BREAKPOINTS: u8 = 2;

/// Watchpoints.
pub const WATCHPOINTS: u8 = 4;

/// Values of the ID registers of one kind of CPU. What is not a field reads as zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdRegisters {
    /// `MIDR_EL1`.
    pub midr: u64,
    /// `ID_AA64PFR0_EL1`.
    pub aa64pfr0: u64,
    /// `ID_AA64PFR1_EL1`.
    pub aa64pfr1: u64,
    /// `ID_AA64DFR0_EL1`.
    pub aa64dfr0: u64,
    /// `ID_AA64ISAR0_EL1`.
    pub aa64isar0: u64,
    /// `ID_AA64ISAR1_EL1`.
    pub aa64isar1: u64,
    /// `ID_AA64ISAR2_EL1`.
    pub aa64isar2: u64,
    /// `ID_AA64MMFR0_EL1`.
    pub aa64mmfr0: u64,
    /// `ID_AA64MMFR1_EL1`.
    pub aa64mmfr1: u64,
    /// `ID_AA64MMFR2_EL1`.
    pub aa64mmfr2: u64,
    /// `CTR_EL0`.
    pub ctr: u64,
    /// `DCZID_EL0`, with DZP clear.
    pub dczid: u64,
    /// `CLIDR_EL1`.
    pub clidr: u64,
}

/// Puts `value` into the four-bit field that starts at bit `shift`.
const fn field(shift: u32, value: u64) -> u64 {
    assert!(value < 16 && shift.is_multiple_of(4));
    value << shift
}

/// The software CPU.
pub const SOFT: IdRegisters = IdRegisters {
    // Implementer 0 is reserved for software; no kernel's list of errata names it. Architecture 15: see the others.
    midr: 0xf << 16 | 0x001 << 4,
    aa64pfr0: field(0, 1) // EL0: AArch64 only
        | field(4, 1) // EL1: AArch64 only
        | field(16, 0) // FP
        | field(20, 0) // AdvSIMD
        | field(24, 1) // GIC CPU interface by system registers
        | field(56, 3) // CSV2_3: no branch target or history is trained from another context
        | field(60, 1), // CSV3: no data is speculated from behind a fault
    aa64pfr1: 0,
    aa64dfr0: field(0, 6) // DebugVer: Armv8
        | field(12, BREAKPOINTS as u64 - 1)
        | field(20, WATCHPOINTS as u64 - 1)
        | field(28, CONTEXT_BREAKPOINTS as u64 - 1),
    aa64isar0: field(4, 2) // AES and PMULL
        | field(8, 1) // SHA1
        | field(12, 1) // SHA2: SHA256
        | field(16, 1) // CRC32
        | field(20, 2) // Atomic: LSE
        | field(28, 1), // RDM
    aa64isar1: 0,
    aa64isar2: 0,
    aa64mmfr0: field(0, 2) // PARange: PA_BITS
        | field(4, 2) // ASIDs of 16 bits
        | field(20, 1) // 16 KiB granule
        | field(24, 0) // 64 KiB granule
        | field(28, 0), // 4 KiB granule
    aa64mmfr1: field(0, 2) // HAFDBS: access flag and dirty state
        | field(12, 1) // HPDS: hierarchical permissions can be turned off
        | field(20, 1) // PAN
        | field(60, 1), // ECBHB: no branch history from before an exception is used after it
    aa64mmfr2: field(60, 1), // E0PD: EL0 can be kept out of half of the address space, instead of by KPTI
    ctr: (INSTRUCTION_LINE_BITS as u64 - 2)
        | 3 << 14 // L1Ip: PIPT
        | (DATA_LINE_BITS as u64 - 2) << 16
        | (DATA_LINE_BITS as u64 - 2) << 20 // ERG
        | (DATA_LINE_BITS as u64 - 2) << 24 // CWG
        | 1 << 28 // IDC: data needs no cleaning for instructions to see it
        | 1 << 31,
    dczid: ZVA_BITS as u64 - 2,
    // One level of separate caches; nothing to clean to the point of unification.
    clidr: 3 | 1 << 24,
};

impl IdRegisters {
    /// What `MRS` reads from the register `encoding`; `None` when it is no ID register. `MPIDR_EL1` and
    /// `CSSELR_EL1` with `CCSIDR_EL1` are not among them: see [`mpidr`] and [`ccsidr`].
    #[must_use]
    pub const fn read(&self, encoding: u16) -> Option<u64> {
        Some(match encoding {
            r::MIDR_EL1 => self.midr,
            r::REVIDR_EL1 | r::AIDR_EL1 => 0,
            r::ID_AA64PFR0_EL1 => self.aa64pfr0,
            r::ID_AA64PFR1_EL1 => self.aa64pfr1,
            r::ID_AA64DFR0_EL1 => self.aa64dfr0,
            r::ID_AA64ISAR0_EL1 => self.aa64isar0,
            r::ID_AA64ISAR1_EL1 => self.aa64isar1,
            r::ID_AA64ISAR2_EL1 => self.aa64isar2,
            r::ID_AA64MMFR0_EL1 => self.aa64mmfr0,
            r::ID_AA64MMFR1_EL1 => self.aa64mmfr1,
            r::ID_AA64MMFR2_EL1 => self.aa64mmfr2,
            r::CTR_EL0 => self.ctr,
            r::DCZID_EL0 => self.dczid,
            r::CLIDR_EL1 => self.clidr,
            // The rest of the space that identifies features, op0 3, op1 0, CRn 0, CRm 1 to 7, reads as zero.
            _ if encoding >> 7 == 3 << 7 && (encoding >> 3 & 15) >= 1 && (encoding >> 3 & 15) <= 7 => 0,
            _ => return None,
        })
    }
}

/// `MPIDR_EL1` of CPU `index`: 16 CPUs in a cluster, as many as one `ICC_SGI1R_EL1` reaches.
#[must_use]
pub const fn mpidr(index: u32) -> u64 {
    1 << 31 | mpidr_affinity(index)
}

/// The affinity fields of [`mpidr`], as the device tree and PSCI name a CPU.
#[must_use]
pub const fn mpidr_affinity(index: u32) -> u64 {
    let index = index as u64;
    (index & 0xf) | (index >> 4 & 0xff) << 8 | (index >> 12 & 0xff) << 16
}

/// The CPU whose [`mpidr_affinity`] is `affinity`, all other bits zero, as a PSCI target has them; `None` when there can
/// be no such CPU.
#[must_use]
pub const fn cpu_of_affinity(affinity: u64) -> Option<u32> {
    let index = (affinity & 0xf) | (affinity >> 8 & 0xff) << 4 | (affinity >> 16 & 0xff) << 12;
    if affinity == mpidr_affinity(index as u32) { Some(index as u32) } else { None }
}

/// `CCSIDR_EL1` for a value of `CSSELR_EL1`: 32 KiB in four ways of 64-byte lines, for both caches of the one level;
/// zero for levels that are not there.
#[must_use]
pub const fn ccsidr(csselr: u64) -> u64 {
    if csselr & 0xe == 0 { 127 << 13 | 3 << 3 | (DATA_LINE_BITS as u64 - 4) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_of_features_reads_as_zero_where_nothing_is() {
        assert_eq!(SOFT.read(r::ID_AA64ZFR0_EL1), Some(0));
        assert_eq!(SOFT.read(r::MVFR2_EL1), Some(0));
        assert_eq!(SOFT.read(r::encoding(3, 0, 0, 7, 7)), Some(0));
        assert_eq!(SOFT.read(r::encoding(3, 0, 0, 0, 1)), None);
        assert_eq!(SOFT.read(r::encoding(3, 0, 0, 8, 0)), None);
        assert_eq!(SOFT.read(r::encoding(3, 1, 0, 1, 0)), None);
        assert_eq!(SOFT.read(r::SCTLR_EL1), None);
    }

    #[test]
    fn lines_and_blocks_have_the_sizes_that_the_fields_say() {
        assert_eq!(4 << (SOFT.ctr & 15), 4096);
        assert_eq!(4 << (SOFT.ctr >> 16 & 15), 64);
        assert_eq!(4 << (SOFT.dczid & 15), 2048);
        assert_eq!(SOFT.ctr >> 29 & 1, 0, "DIC: guests must invalidate the code that they change");
    }

    #[test]
    fn cpus_and_affinities_go_both_ways() {
        for index in [0, 1, 15, 16, 255, 511] {
            assert_eq!(cpu_of_affinity(mpidr_affinity(index)), Some(index));
        }
        assert_eq!(mpidr(17), 0x8000_0101);
        assert_eq!(cpu_of_affinity(0x10), None);
        for reserved in [1 << 24, 1 << 31, 1 << 32, 1 << 40] {
            assert_eq!(cpu_of_affinity(reserved), None);
        }
    }
}
