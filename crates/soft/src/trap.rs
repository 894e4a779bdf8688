//! What an instruction can end in instead of its result.

/// A synchronous exception that an instruction takes, or an exit from the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// The encoding is unallocated, not implemented by the ID registers, or not permitted here.
    Undefined,
    /// An exception to EL1 with this syndrome (`ESR_EL1`: EC, IL, ISS) and, for aborts, fault address.
    Exception {
        /// The value for `ESR_EL1`.
        esr: u32,
        /// The value for `FAR_EL1`, when the exception class sets it.
        far: Option<u64>,
    },
}
