//! Transfer request blocks, and the rings that they are fetched from (xHCI 1.2, 4.9 and 6.4).

use vm_memory::{Bytes, GuestAddress};

use super::spec::{Completion, control, trb};
use crate::GuestMemory;

/// Bytes of a TRB.
pub(super) const TRB_SIZE: u64 = 16;
/// TRBs of one transfer at most, links among them: a hostile ring has no end.
const MAX_TD: usize = 4096;
/// Links in a row at most.
const MAX_LINKS: u32 = 8;

/// A transfer request block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trb {
    /// Where it is in guest memory.
    pub(super) at: u64,
    pub(super) parameter: u64,
    pub(super) status: u32,
    pub(super) control: u32,
}

impl Trb {
    pub(super) fn read(memory: &GuestMemory, at: u64) -> Option<Self> {
        let mut bytes = [0; TRB_SIZE as usize];
        memory.read_slice(&mut bytes, GuestAddress(at)).ok()?;
        let value = u128::from_le_bytes(bytes);
        Some(Self { at, parameter: value as u64, status: (value >> 64) as u32, control: (value >> 96) as u32 })
    }

    pub(super) fn kind(&self) -> u8 {
        (self.control >> 10) as u8 & 0x3f
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.control & bit != 0
    }

    /// Bytes of data of a transfer TRB; [`Ring::transfer`] sees to it that they are at most 64 KiB.
    pub(super) fn len(&self) -> u32 {
        match self.kind() {
            trb::NORMAL | trb::DATA => self.status & 0x1_ffff,
            _ => 0,
        }
    }

    /// The slot that a command is for.
    pub(super) fn slot(&self) -> u8 {
        (self.control >> 24) as u8
    }

    /// The endpoint that a command is for, as device context index.
    pub(super) fn endpoint(&self) -> u8 {
        (self.control >> 16) as u8 & 0x1f
    }
}

/// Where the controller is in a ring: the next TRB, and the cycle bit that makes it ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ring {
    pub(super) dequeue: u64,
    pub(super) cycle: bool,
}

/// A transfer descriptor: TRBs that are one transfer.
pub(super) enum Fetched {
    /// It is in the vector that was given; the ring goes on here.
    Transfer(Ring),
    /// The driver has not written (all of) it yet.
    Nothing,
    /// This TRB makes no sense.
    Wrong(Trb),
}

impl Ring {
    /// The ring that a pointer in a context or command names: its lowest bit is the cycle.
    pub(super) fn at(pointer: u64) -> Self {
        Self { dequeue: pointer & !0xf, cycle: pointer & 1 != 0 }
    }

    /// The pointer with the cycle bit.
    pub(super) fn pointer(&self) -> u64 {
        self.dequeue | u64::from(self.cycle)
    }

    /// The next TRB that is no link, and goes on behind it.
    pub(super) fn next(&mut self, memory: &GuestMemory) -> Result<Option<Trb>, Completion> {
        for _ in 0..MAX_LINKS {
            let trb = Trb::read(memory, self.dequeue).ok_or(Completion::TrbError)?;
            if trb.has(control::CYCLE) != self.cycle {
                return Ok(None);
            }
            if trb.kind() != trb::LINK {
                self.dequeue = self.dequeue.wrapping_add(TRB_SIZE);
                return Ok(Some(trb));
            }
            self.dequeue = trb.parameter & !0xf;
            self.cycle ^= trb.has(control::TOGGLE);
        }
        Err(Completion::TrbError)
    }

    /// The next transfer: chained TRBs up to one that is not chained.
    pub(super) fn transfer(&self, memory: &GuestMemory, into: &mut Vec<Trb>) -> Fetched {
        into.clear();
        let mut ring = *self;
        let here = Trb { at: self.dequeue, parameter: 0, status: 0, control: 0 };
        loop {
            let trb = match ring.next(memory) {
                Ok(Some(trb)) => trb,
                Ok(None) => return Fetched::Nothing,
                Err(_) => return Fetched::Wrong(into.last().copied().unwrap_or(here)),
            };
            let known = matches!(trb.kind(), trb::NORMAL..=trb::STATUS | trb::EVENT_DATA | trb::NO_OP);
            let immediate = trb.has(control::IMMEDIATE) && trb.len() > 8;
            if !known || trb.len() > 0x1_0000 || immediate || into.len() == MAX_TD {
                return Fetched::Wrong(trb);
            }
            into.push(trb);
            if !trb.has(control::CHAIN) {
                return Fetched::Transfer(ring);
            }
        }
    }
}
