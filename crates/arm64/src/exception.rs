//! Where an exception taken to EL1 enters the vector table (DDI 0487, D1.3.1.5).

/// What kind of exception is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Caused by the instruction, at its address.
    Synchronous,
    /// IRQ.
    Irq,
    /// FIQ.
    Fiq,
    /// System error.
    SError,
}

/// The state that the CPU was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// EL1 with `SP_EL0`.
    CurrentSp0,
    /// EL1 with `SP_EL1`.
    CurrentSpx,
    /// EL0 in AArch64.
    Lower64,
    /// EL0 in AArch32.
    Lower32,
}

impl Origin {
    /// The origin that a saved program state names by its mode field.
    #[must_use]
    pub const fn of_pstate(pstate: u64) -> Self {
        match (pstate & crate::pstate::NRW != 0, pstate & crate::pstate::MODE) {
            (true, _) => Self::Lower32,
            (false, crate::pstate::EL1H) => Self::CurrentSpx,
            (false, crate::pstate::EL1T) => Self::CurrentSp0,
            (false, _) => Self::Lower64,
        }
    }
}

/// Offset from `VBAR_EL1` in bytes.
#[must_use]
pub const fn vector_offset(origin: Origin, kind: Kind) -> u64 {
    let row = match origin {
        Origin::CurrentSp0 => 0x000,
        Origin::CurrentSpx => 0x200,
        Origin::Lower64 => 0x400,
        Origin::Lower32 => 0x600,
    };
    row + match kind {
        Kind::Synchronous => 0x000,
        Kind::Irq => 0x080,
        Kind::Fiq => 0x100,
        Kind::SError => 0x180,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pstate;

    #[test]
    fn every_origin_and_kind_has_its_own_vector() {
        assert_eq!(vector_offset(Origin::of_pstate(pstate::EL1H | pstate::I), Kind::Irq), 0x280);
        assert_eq!(vector_offset(Origin::of_pstate(pstate::EL0T), Kind::Synchronous), 0x400);
        assert_eq!(vector_offset(Origin::of_pstate(pstate::EL1T), Kind::SError), 0x180);
        assert_eq!(vector_offset(Origin::of_pstate(0x10), Kind::Fiq), 0x700);
    }
}
