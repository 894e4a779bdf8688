//! System registers by the encoding of `MRS` and `MSR` (DDI 0487, D17; GIC: IHI 0069, 12.2).

/// The encoding of a system register as one number: `op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0]`, which are
/// bits `[20:5]` of the `MRS`, `MSR`, `SYS` and `SYSL` instructions.
#[must_use]
pub const fn encoding(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    (op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | (op2 & 7)
}

/// Bits `[20:5]` of an `MRS`, `MSR` (register), `SYS` or `SYSL` instruction word.
#[must_use]
pub const fn encoding_of_instruction(word: u32) -> u16 {
    (word >> 5) as u16
}

macro_rules! registers {
    ($($name:ident $op0:literal $op1:literal $crn:literal $crm:literal $op2:literal;)*) => {
        $(#[doc = concat!("`", stringify!($name), "`.")]
        pub const $name: u16 = encoding($op0, $op1, $crn, $crm, $op2);)*
        /// All of them by name. Numbered ones (`DBGBVR<n>_EL1`, `PMEVCNTR<n>_EL0`) are functions and not in here.
        pub const ALL: &[(&str, u16)] = &[$((stringify!($name), $name)),*];
    };
}

registers! {
    // Identification.
    MIDR_EL1 3 0 0 0 0;
    MPIDR_EL1 3 0 0 0 5;
    REVIDR_EL1 3 0 0 0 6;
    ID_PFR0_EL1 3 0 0 1 0;
    ID_PFR1_EL1 3 0 0 1 1;
    ID_DFR0_EL1 3 0 0 1 2;
    ID_AFR0_EL1 3 0 0 1 3;
    ID_MMFR0_EL1 3 0 0 1 4;
    ID_MMFR1_EL1 3 0 0 1 5;
    ID_MMFR2_EL1 3 0 0 1 6;
    ID_MMFR3_EL1 3 0 0 1 7;
    ID_ISAR0_EL1 3 0 0 2 0;
    ID_ISAR1_EL1 3 0 0 2 1;
    ID_ISAR2_EL1 3 0 0 2 2;
    ID_ISAR3_EL1 3 0 0 2 3;
    ID_ISAR4_EL1 3 0 0 2 4;
    ID_ISAR5_EL1 3 0 0 2 5;
    ID_MMFR4_EL1 3 0 0 2 6;
    ID_ISAR6_EL1 3 0 0 2 7;
    MVFR0_EL1 3 0 0 3 0;
    MVFR1_EL1 3 0 0 3 1;
    MVFR2_EL1 3 0 0 3 2;
    ID_PFR2_EL1 3 0 0 3 4;
    ID_DFR1_EL1 3 0 0 3 5;
    ID_MMFR5_EL1 3 0 0 3 6;
    ID_AA64PFR0_EL1 3 0 0 4 0;
    ID_AA64PFR1_EL1 3 0 0 4 1;
    ID_AA64PFR2_EL1 3 0 0 4 2;
    ID_AA64ZFR0_EL1 3 0 0 4 4;
    ID_AA64SMFR0_EL1 3 0 0 4 5;
    ID_AA64FPFR0_EL1 3 0 0 4 7;
    ID_AA64DFR0_EL1 3 0 0 5 0;
    ID_AA64DFR1_EL1 3 0 0 5 1;
    ID_AA64AFR0_EL1 3 0 0 5 4;
    ID_AA64AFR1_EL1 3 0 0 5 5;
    ID_AA64ISAR0_EL1 3 0 0 6 0;
    ID_AA64ISAR1_EL1 3 0 0 6 1;
    ID_AA64ISAR2_EL1 3 0 0 6 2;
    ID_AA64ISAR3_EL1 3 0 0 6 3;
    ID_AA64MMFR0_EL1 3 0 0 7 0;
    ID_AA64MMFR1_EL1 3 0 0 7 1;
    ID_AA64MMFR2_EL1 3 0 0 7 2;
    ID_AA64MMFR3_EL1 3 0 0 7 3;
    ID_AA64MMFR4_EL1 3 0 0 7 4;
    CCSIDR_EL1 3 1 0 0 0;
    CLIDR_EL1 3 1 0 0 1;
    CCSIDR2_EL1 3 1 0 0 2;
    GMID_EL1 3 1 0 0 4;
    SMIDR_EL1 3 1 0 0 6;
    AIDR_EL1 3 1 0 0 7;
    CSSELR_EL1 3 2 0 0 0;
    CTR_EL0 3 3 0 0 1;
    DCZID_EL0 3 3 0 0 7;

    // Control, translation, exceptions.
    SCTLR_EL1 3 0 1 0 0;
    ACTLR_EL1 3 0 1 0 1;
    CPACR_EL1 3 0 1 0 2;
    TTBR0_EL1 3 0 2 0 0;
    TTBR1_EL1 3 0 2 0 1;
    TCR_EL1 3 0 2 0 2;
    SPSR_EL1 3 0 4 0 0;
    ELR_EL1 3 0 4 0 1;
    SP_EL0 3 0 4 1 0;
    SPSEL 3 0 4 2 0;
    CURRENTEL 3 0 4 2 2;
    PAN 3 0 4 2 3;
    UAO 3 0 4 2 4;
    AFSR0_EL1 3 0 5 1 0;
    AFSR1_EL1 3 0 5 1 1;
    ESR_EL1 3 0 5 2 0;
    ERRIDR_EL1 3 0 5 3 0;
    ERRSELR_EL1 3 0 5 3 1;
    FAR_EL1 3 0 6 0 0;
    PAR_EL1 3 0 7 4 0;
    MAIR_EL1 3 0 10 2 0;
    AMAIR_EL1 3 0 10 3 0;
    LORSA_EL1 3 0 10 4 0;
    LOREA_EL1 3 0 10 4 1;
    LORN_EL1 3 0 10 4 2;
    LORC_EL1 3 0 10 4 3;
    LORID_EL1 3 0 10 4 7;
    VBAR_EL1 3 0 12 0 0;
    RVBAR_EL1 3 0 12 0 1;
    RMR_EL1 3 0 12 0 2;
    ISR_EL1 3 0 12 1 0;
    DISR_EL1 3 0 12 1 1;
    CONTEXTIDR_EL1 3 0 13 0 1;
    TPIDR_EL1 3 0 13 0 4;
    SCXTNUM_EL1 3 0 13 0 7;
    CNTKCTL_EL1 3 0 14 1 0;

    // EL0.
    NZCV 3 3 4 2 0;
    DAIF 3 3 4 2 1;
    DIT 3 3 4 2 5;
    SSBS 3 3 4 2 6;
    TCO 3 3 4 2 7;
    FPCR 3 3 4 4 0;
    FPSR 3 3 4 4 1;
    DSPSR_EL0 3 3 4 5 0;
    DLR_EL0 3 3 4 5 1;
    RNDR 3 3 2 4 0;
    RNDRRS 3 3 2 4 1;
    TPIDR_EL0 3 3 13 0 2;
    TPIDRRO_EL0 3 3 13 0 3;
    TPIDR2_EL0 3 3 13 0 5;
    SCXTNUM_EL0 3 3 13 0 7;

    // Generic timer.
    CNTFRQ_EL0 3 3 14 0 0;
    CNTPCT_EL0 3 3 14 0 1;
    CNTVCT_EL0 3 3 14 0 2;
    CNTPCTSS_EL0 3 3 14 0 5;
    CNTVCTSS_EL0 3 3 14 0 6;
    CNTP_TVAL_EL0 3 3 14 2 0;
    CNTP_CTL_EL0 3 3 14 2 1;
    CNTP_CVAL_EL0 3 3 14 2 2;
    CNTV_TVAL_EL0 3 3 14 3 0;
    CNTV_CTL_EL0 3 3 14 3 1;
    CNTV_CVAL_EL0 3 3 14 3 2;

    // Debug.
    OSDTRRX_EL1 2 0 0 0 2;
    MDCCINT_EL1 2 0 0 2 0;
    MDSCR_EL1 2 0 0 2 2;
    OSDTRTX_EL1 2 0 0 3 2;
    OSECCR_EL1 2 0 0 6 2;
    MDRAR_EL1 2 0 1 0 0;
    OSLAR_EL1 2 0 1 0 4;
    OSLSR_EL1 2 0 1 1 4;
    OSDLR_EL1 2 0 1 3 4;
    DBGPRCR_EL1 2 0 1 4 4;
    DBGCLAIMSET_EL1 2 0 7 8 6;
    DBGCLAIMCLR_EL1 2 0 7 9 6;
    DBGAUTHSTATUS_EL1 2 0 7 14 6;
    MDCCSR_EL0 2 3 0 1 0;
    DBGDTR_EL0 2 3 0 4 0;
    DBGDTRRX_EL0 2 3 0 5 0;

    // Performance monitors.
    PMINTENSET_EL1 3 0 9 14 1;
    PMINTENCLR_EL1 3 0 9 14 2;
    PMMIR_EL1 3 0 9 14 6;
    PMCR_EL0 3 3 9 12 0;
    PMCNTENSET_EL0 3 3 9 12 1;
    PMCNTENCLR_EL0 3 3 9 12 2;
    PMOVSCLR_EL0 3 3 9 12 3;
    PMSWINC_EL0 3 3 9 12 4;
    PMSELR_EL0 3 3 9 12 5;
    PMCEID0_EL0 3 3 9 12 6;
    PMCEID1_EL0 3 3 9 12 7;
    PMCCNTR_EL0 3 3 9 13 0;
    PMXEVTYPER_EL0 3 3 9 13 1;
    PMXEVCNTR_EL0 3 3 9 13 2;
    PMUSERENR_EL0 3 3 9 14 0;
    PMOVSSET_EL0 3 3 9 14 3;
    PMCCFILTR_EL0 3 3 14 15 7;

    // GIC CPU interface.
    ICC_PMR_EL1 3 0 4 6 0;
    ICC_IAR0_EL1 3 0 12 8 0;
    ICC_EOIR0_EL1 3 0 12 8 1;
    ICC_HPPIR0_EL1 3 0 12 8 2;
    ICC_BPR0_EL1 3 0 12 8 3;
    ICC_AP0R0_EL1 3 0 12 8 4;
    ICC_AP0R1_EL1 3 0 12 8 5;
    ICC_AP0R2_EL1 3 0 12 8 6;
    ICC_AP0R3_EL1 3 0 12 8 7;
    ICC_AP1R0_EL1 3 0 12 9 0;
    ICC_AP1R1_EL1 3 0 12 9 1;
    ICC_AP1R2_EL1 3 0 12 9 2;
    ICC_AP1R3_EL1 3 0 12 9 3;
    ICC_DIR_EL1 3 0 12 11 1;
    ICC_RPR_EL1 3 0 12 11 3;
    ICC_SGI1R_EL1 3 0 12 11 5;
    ICC_ASGI1R_EL1 3 0 12 11 6;
    ICC_SGI0R_EL1 3 0 12 11 7;
    ICC_IAR1_EL1 3 0 12 12 0;
    ICC_EOIR1_EL1 3 0 12 12 1;
    ICC_HPPIR1_EL1 3 0 12 12 2;
    ICC_BPR1_EL1 3 0 12 12 3;
    ICC_CTLR_EL1 3 0 12 12 4;
    ICC_SRE_EL1 3 0 12 12 5;
    ICC_IGRPEN0_EL1 3 0 12 12 6;
    ICC_IGRPEN1_EL1 3 0 12 12 7;
}

/// `DBGBVR<n>_EL1`: value of breakpoint `n`, 0 to 15.
#[must_use]
pub const fn dbgbvr_el1(n: u16) -> u16 {
    encoding(2, 0, 0, n, 4)
}

/// `DBGBCR<n>_EL1`: control of breakpoint `n`, 0 to 15.
#[must_use]
pub const fn dbgbcr_el1(n: u16) -> u16 {
    encoding(2, 0, 0, n, 5)
}

/// `DBGWVR<n>_EL1`: value of watchpoint `n`, 0 to 15.
#[must_use]
pub const fn dbgwvr_el1(n: u16) -> u16 {
    encoding(2, 0, 0, n, 6)
}

/// `DBGWCR<n>_EL1`: control of watchpoint `n`, 0 to 15.
#[must_use]
pub const fn dbgwcr_el1(n: u16) -> u16 {
    encoding(2, 0, 0, n, 7)
}

/// `PMEVCNTR<n>_EL0`: event counter `n`, 0 to 30.
#[must_use]
pub const fn pmevcntr_el0(n: u16) -> u16 {
    encoding(3, 3, 14, 0b1000 | n >> 3, n & 7)
}

/// `PMEVTYPER<n>_EL0`: type of event counter `n`, 0 to 30.
#[must_use]
pub const fn pmevtyper_el0(n: u16) -> u16 {
    encoding(3, 3, 14, 0b1100 | n >> 3, n & 7)
}

/// The name of a register or, where it has none here, its generic form `S<op0>_<op1>_C<CRn>_C<CRm>_<op2>`.
#[must_use]
pub fn name(encoding: u16) -> String {
    if let Some((name, _)) = ALL.iter().find(|r| r.1 == encoding) {
        return (*name).to_owned();
    }
    let e = encoding;
    format!("S{}_{}_C{}_C{}_{}", e >> 14, e >> 11 & 7, e >> 7 & 15, e >> 3 & 15, e & 7)
}

/// Whether the register belongs to the GIC's CPU interface: `ICC_*`, which an interrupt controller outside the CPU
/// answers.
#[must_use]
pub const fn is_icc(encoding: u16) -> bool {
    encoding == ICC_PMR_EL1 || (encoding >= ICC_IAR0_EL1 && encoding <= ICC_IGRPEN1_EL1)
}

/// Bits of `SCTLR_EL1`.
pub mod sctlr {
    /// MMU on.
    pub const M: u64 = 1 << 0;
    /// Alignment checks.
    pub const A: u64 = 1 << 1;
    /// Data caches on.
    pub const C: u64 = 1 << 2;
    /// SP alignment checks at EL1.
    pub const SA: u64 = 1 << 3;
    /// SP alignment checks at EL0.
    pub const SA0: u64 = 1 << 4;
    /// EL0 may use `DAIF`.
    pub const UMA: u64 = 1 << 9;
    /// Instruction caches on.
    pub const I: u64 = 1 << 12;
    /// EL0 may use `DC ZVA`.
    pub const DZE: u64 = 1 << 14;
    /// EL0 may read `CTR_EL0`.
    pub const UCT: u64 = 1 << 15;
    /// `WFI` at EL0 is not trapped.
    pub const NTWI: u64 = 1 << 16;
    /// `WFE` at EL0 is not trapped.
    pub const NTWE: u64 = 1 << 18;
    /// Writable memory is not executable.
    pub const WXN: u64 = 1 << 19;
    /// Taking an exception to EL1 leaves `PSTATE.PAN` alone.
    pub const SPAN: u64 = 1 << 23;
    /// EL0's access to `SCXTNUM_EL0` traps.
    pub const TSCXT: u64 = 1 << 20;
    /// EL0 data is big-endian.
    pub const E0E: u64 = 1 << 24;
    /// EL1 data and table walks are big-endian.
    pub const EE: u64 = 1 << 25;
    /// EL0 may use cache maintenance by address.
    pub const UCI: u64 = 1 << 26;
    /// Bits that read as one where no feature gave them a meaning: 29, 28, 22 and 11; and, without AArch32 at EL0, SED and
    /// ITD.
    pub const RES1: u64 = 1 << 29 | 1 << 28 | 1 << 22 | 1 << 11 | 1 << 8 | 1 << 7;
}

/// Bits of `MDSCR_EL1`.
pub mod mdscr {
    /// Software step.
    pub const SS: u64 = 1 << 0;
    /// EL0's access to the debug communication channel traps.
    pub const TDCC: u64 = 1 << 12;
    /// Debug exceptions come from EL1, too.
    pub const KDE: u64 = 1 << 13;
}

/// Fields of `TCR_EL1`.
pub mod tcr {
    /// Lowest bit of `T0SZ[5:0]`.
    pub const T0SZ_SHIFT: u32 = 0;
    /// Walks by `TTBR0_EL1` are off.
    pub const EPD0: u64 = 1 << 7;
    /// Lowest bit of `TG0[1:0]`.
    pub const TG0_SHIFT: u32 = 14;
    /// Lowest bit of `T1SZ[5:0]`.
    pub const T1SZ_SHIFT: u32 = 16;
    /// The ASID is that of `TTBR1_EL1`.
    pub const A1: u64 = 1 << 22;
    /// Walks by `TTBR1_EL1` are off.
    pub const EPD1: u64 = 1 << 23;
    /// Lowest bit of `TG1[1:0]`.
    pub const TG1_SHIFT: u32 = 30;
    /// Lowest bit of `IPS[2:0]`.
    pub const IPS_SHIFT: u32 = 32;
    /// ASIDs are 16 bits.
    pub const AS: u64 = 1 << 36;
    /// The top byte of addresses in the lower half is ignored.
    pub const TBI0: u64 = 1 << 37;
    /// The top byte of addresses in the upper half is ignored.
    pub const TBI1: u64 = 1 << 38;
    /// Hardware sets the access flag.
    pub const HA: u64 = 1 << 39;
    /// Hardware manages dirty state.
    pub const HD: u64 = 1 << 40;
    /// Hierarchical permissions of the lower half are off.
    pub const HPD0: u64 = 1 << 41;
    /// Hierarchical permissions of the upper half are off.
    pub const HPD1: u64 = 1 << 42;
    /// EL0 has no access to the lower half (FEAT_E0PD).
    pub const E0PD0: u64 = 1 << 55;
    /// EL0 has no access to the upper half.
    pub const E0PD1: u64 = 1 << 56;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_registers_share_an_encoding() {
        let mut seen: Vec<u16> = ALL.iter().map(|r| r.1).collect();
        for n in 0..16 {
            seen.extend([dbgbvr_el1(n), dbgbcr_el1(n), dbgwvr_el1(n), dbgwcr_el1(n)]);
        }
        for n in 0..31 {
            seen.extend([pmevcntr_el0(n), pmevtyper_el0(n)]);
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    /// Words from GNU as.
    #[test]
    fn an_instruction_names_its_register() {
        assert_eq!(encoding_of_instruction(0xd538_1000), SCTLR_EL1); // mrs x0, sctlr_el1
        assert_eq!(encoding_of_instruction(0xd53b_e040), CNTVCT_EL0); // mrs x0, cntvct_el0
        assert_eq!(encoding_of_instruction(0xd518_cca0), ICC_SRE_EL1); // msr icc_sre_el1, x0
        assert_eq!(encoding_of_instruction(0xd510_0240), MDSCR_EL1); // msr mdscr_el1, x0
        assert_eq!(name(TTBR0_EL1), "TTBR0_EL1");
        assert_eq!(name(encoding(3, 0, 15, 2, 1)), "S3_0_C15_C2_1");
    }

    #[test]
    fn the_cpu_interface_is_told_apart() {
        for (name, encoding) in ALL {
            assert_eq!(is_icc(*encoding), name.starts_with("ICC_"), "{name}");
        }
    }
}
