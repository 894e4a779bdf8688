//! Calls to firmware: the SMC calling convention (DEN 0028, 1.2) and PSCI (DEN 0022, 1.1).

/// The function is not there. The same number in SMCCC and PSCI.
pub const NOT_SUPPORTED: i64 = -1;
/// Done.
pub const SUCCESS: i64 = 0;

/// General calls of the Arm architecture (DEN 0028, section 7).
pub mod arch {
    /// `SMCCC_VERSION`.
    pub const VERSION: u32 = 0x8000_0000;
    /// `SMCCC_ARCH_FEATURES`.
    pub const FEATURES: u32 = 0x8000_0001;
    /// `SMCCC_ARCH_SOC_ID`.
    pub const SOC_ID: u32 = 0x8000_0002;
    /// `SMCCC_ARCH_WORKAROUND_1`: Spectre v2.
    pub const WORKAROUND_1: u32 = 0x8000_8000;
    /// `SMCCC_ARCH_WORKAROUND_2`: Spectre v4.
    pub const WORKAROUND_2: u32 = 0x8000_7fff;
    /// `SMCCC_ARCH_WORKAROUND_3`: Spectre-BHB.
    pub const WORKAROUND_3: u32 = 0x8000_3fff;
    /// The version 1.2 as [`VERSION`] returns it.
    pub const VERSION_1_2: i64 = 0x1_0002;
    /// What [`FEATURES`] says of [`WORKAROUND_1`] and [`WORKAROUND_3`] on a CPU that does not need them.
    pub const WORKAROUND_UNAFFECTED: i64 = 1;
    /// What [`FEATURES`] says of [`WORKAROUND_2`] on a CPU that does not need it.
    pub const NOT_REQUIRED: i64 = -2;
}

/// True random numbers (DEN 0098).
pub mod trng {
    /// `TRNG_VERSION`.
    pub const VERSION: u32 = 0x8400_0050;
    /// `TRNG_FEATURES`.
    pub const FEATURES: u32 = 0x8400_0051;
    /// `TRNG_GET_UUID`.
    pub const GET_UUID: u32 = 0x8400_0052;
    /// `TRNG_RND`, 32-bit.
    pub const RND32: u32 = 0x8400_0053;
    /// `TRNG_RND`, 64-bit.
    pub const RND64: u32 = 0xc400_0053;
}

/// Power state coordination (DEN 0022, section 5).
pub mod psci {
    /// `PSCI_VERSION`.
    pub const VERSION: u32 = 0x8400_0000;
    /// `CPU_SUSPEND`, 32-bit.
    pub const CPU_SUSPEND32: u32 = 0x8400_0001;
    /// `CPU_SUSPEND`, 64-bit.
    pub const CPU_SUSPEND64: u32 = 0xc400_0001;
    /// `CPU_OFF`.
    pub const CPU_OFF: u32 = 0x8400_0002;
    /// `CPU_ON`, 32-bit.
    pub const CPU_ON32: u32 = 0x8400_0003;
    /// `CPU_ON`, 64-bit.
    pub const CPU_ON64: u32 = 0xc400_0003;
    /// `AFFINITY_INFO`, 32-bit.
    pub const AFFINITY_INFO32: u32 = 0x8400_0004;
    /// `AFFINITY_INFO`, 64-bit.
    pub const AFFINITY_INFO64: u32 = 0xc400_0004;
    /// `MIGRATE_INFO_TYPE`.
    pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
    /// `SYSTEM_OFF`.
    pub const SYSTEM_OFF: u32 = 0x8400_0008;
    /// `SYSTEM_RESET`.
    pub const SYSTEM_RESET: u32 = 0x8400_0009;
    /// `PSCI_FEATURES`.
    pub const FEATURES: u32 = 0x8400_000a;
    /// `SYSTEM_SUSPEND`, 32-bit.
    pub const SYSTEM_SUSPEND32: u32 = 0x8400_000e;
    /// `SYSTEM_SUSPEND`, 64-bit.
    pub const SYSTEM_SUSPEND64: u32 = 0xc400_000e;
    /// `SYSTEM_RESET2`, 32-bit.
    pub const SYSTEM_RESET2_32: u32 = 0x8400_0012;
    /// `SYSTEM_RESET2`, 64-bit.
    pub const SYSTEM_RESET2_64: u32 = 0xc400_0012;

    /// [`CPU_SUSPEND64`]: the bits of `power_state` that a state of one CPU may have, StateType and StateID; the power
    /// level is 0, and the others are reserved (5.4.2, the original format).
    pub const POWER_STATE_OF_CPU: u32 = 0x1_ffff;
    /// [`SYSTEM_RESET2_64`]: the only `reset_type` of the architecture.
    pub const SYSTEM_WARM_RESET: u32 = 0;
    /// The version 1.1 as [`VERSION`] returns it.
    pub const VERSION_1_1: i64 = 0x1_0001;
    /// [`MIGRATE_INFO_TYPE`]: no Trusted OS, or one that needs no migration.
    pub const MIGRATION_NOT_REQUIRED: i64 = 2;
    /// [`AFFINITY_INFO64`]: the CPU is on.
    pub const AFFINITY_ON: i64 = 0;
    /// [`AFFINITY_INFO64`]: the CPU is off.
    pub const AFFINITY_OFF: i64 = 1;
    /// [`AFFINITY_INFO64`]: the CPU is being turned on.
    pub const AFFINITY_ON_PENDING: i64 = 2;

    /// Return code.
    pub const INVALID_PARAMETERS: i64 = -2;
    /// Return code.
    pub const DENIED: i64 = -3;
    /// Return code: the CPU is on.
    pub const ALREADY_ON: i64 = -4;
    /// Return code: an earlier `CPU_ON` is under way.
    pub const ON_PENDING: i64 = -5;
    /// Return code.
    pub const INTERNAL_FAILURE: i64 = -6;
    /// Return code.
    pub const INVALID_ADDRESS: i64 = -9;
}
