//! The emitter of hosts that have none: everything is interpreted.

use super::region::Region;
use super::site::SiteRange;
use crate::code::PagePtr;
use crate::cpu::Cpu;
use crate::interp::OpPtr;

/// Nothing is translated.
pub(super) const AVAILABLE: bool = false;

/// No code has two entries.
pub(super) const WARM: usize = 0;

/// Nothing is shared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Thunks;

pub(super) fn thunks(_: usize) -> (Vec<u8>, Thunks) {
    (Vec::new(), Thunks)
}

/// Nothing is put together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assembler;

impl Assembler {
    pub(super) fn new(_: usize) -> Self {
        Self
    }
}

pub(super) fn translate(
    _: &Region,
    _: PagePtr,
    _: super::Place,
    _: &mut SiteRange,
    _: &mut Assembler,
) -> Option<super::Translation> {
    None
}

/// Runs the interpreter from `op` until something leaves.
pub(crate) fn enter(cpu: &mut Cpu, op: OpPtr, budget: u64, (fa, fb, fk): (u64, u64, u64)) {
    op.go(cpu, budget, fa, fb, fk);
}
