//! The data side of memory: TLB, translation and accesses.

mod access;
pub(crate) mod tlb;

pub(crate) use access::{CONTEXT_EL0, CONTEXT_EL1, CONTEXT_EL1_PAN, Location, STACK_ALIGNMENT};
