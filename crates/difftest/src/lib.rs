//! The differential test: random A64 instructions, run by a reference CPU and by ours from the same random state.
//!
//! A [`Case`] is one or a few instruction words with registers and a piece of memory. Words are made from the rows of
//! the instruction table ([`generate`]), so a new row is tested from the day it is written. The reference is an A64
//! Linux program under `qemu-aarch64` ([`mod@reference`]). Ours is a whole machine, reached by the engine seam as the board
//! reaches it, in which a supervisor runs the cases at EL0 ([`ours`]). Everything comes from a seed, so that a
//! difference can be had again.

mod assemble;
pub mod generate;
pub mod ours;
pub mod record;
pub mod reference;
pub mod report;
mod rng;
pub mod session;

pub use record::{Case, Outcome, State, Stop};
pub use rng::Rng;

/// Address of the first code window in the address space of the cases.
pub const CODE: u64 = 0x1000_0000;
/// Instructions in the window of one case.
pub const WINDOW: usize = 16;
/// Index in its window of the first instruction of a case. All others are [`BRK`], which end the case.
pub const ENTRY: usize = 6;
/// Address of the memory that cases use. It ends with its page, and the next page is not mapped.
pub const MEMORY: u64 = 0x2000_0c00;
/// Size of that memory.
pub const MEMORY_BYTES: usize = 1024;
/// `BRK #0`.
pub const BRK: u32 = 0xd420_0000;
/// Most cases in one batch.
pub const BATCH: usize = 1024;
