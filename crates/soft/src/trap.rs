//! What an instruction can end in instead of its result.

/// Why the interpreter stops at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trap {
    /// The encoding is unallocated, not implemented by the ID registers, or not permitted here.
    Undefined,
    /// An exception to EL1 with this syndrome (`ESR_EL1`: EC, IL, ISS) and, for aborts, fault address.
    Exception {
        /// The value for `ESR_EL1`.
        esr: u64,
        /// The value for `FAR_EL1`, when the exception class sets it.
        far: Option<u64>,
    },
    /// No exception: what the interpreter had assumed has changed, or it is time to look at interrupts. Goes on at
    /// [`crate::cpu::Cpu::pc`].
    Resume,
    /// Wait for an interrupt, then go on after this instruction.
    WaitForInterrupt,
    /// Wait for an event, then go on after this instruction.
    WaitForEvent,
    /// What a debugger waits for, before the instruction.
    Debug(hv::debug::Stop),
    /// The CPU or the machine stops; the program counter is past the instruction.
    Stop(Stop),
}

/// Requests of the guest that end in [`hv::Exit`] or in a CPU that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// PSCI `CPU_OFF`.
    CpuOff,
    /// PSCI `SYSTEM_OFF`.
    SystemOff,
    /// PSCI `SYSTEM_RESET`.
    SystemReset,
}
