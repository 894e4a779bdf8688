//! Thirty-two interrupts, as one word of each of the distributor's bit registers has them.

use super::spec::PRIORITY_MASK;
use crate::regs::merge;

/// The state of INTIDs `32n .. 32n + 32`; bit `i` of each word is interrupt `32n + i` (IHI 0069, 4.1 and 12.9).
#[derive(Debug, Clone, Default)]
pub(super) struct Bank {
    /// Group 1 rather than Group 0 (`IGROUPR`).
    pub(super) group: u32,
    /// `ISENABLER`.
    pub(super) enabled: u32,
    /// Pending by an edge, a message, an SGI or `ISPENDR`, until acknowledged.
    pub(super) latched: u32,
    /// The level of the input line.
    pub(super) line: u32,
    /// `ISACTIVER`.
    pub(super) active: u32,
    /// Edge-triggered rather than level-sensitive (`ICFGR`).
    pub(super) edge: u32,
    /// `IPRIORITYR`, implemented bits only.
    pub(super) priority: [u8; 32],
}

impl Bank {
    /// What `ISPENDR` reads: a level-sensitive interrupt is pending for as long as its line is high.
    pub(super) fn pending(&self) -> u32 {
        self.latched | (self.line & !self.edge)
    }

    /// The interrupts that a CPU could be given: pending, enabled, and not being handled already.
    pub(super) fn ready(&self) -> u32 {
        self.pending() & self.enabled & !self.active
    }

    /// Drives the input lines in `bits`.
    pub(super) fn set_line(&mut self, bits: u32, level: bool) {
        if level {
            self.latched |= bits & !self.line & self.edge;
            self.line |= bits;
        } else {
            self.line &= !bits;
        }
    }

    /// Pending becomes active.
    pub(super) fn acknowledge(&mut self, bit: u32) {
        self.latched &= !bit;
        self.active |= bit;
    }

    /// Reads the `ICFGR` word of the lower (0) or upper (1) sixteen interrupts: two bits for each, the upper one
    /// tells edge from level.
    pub(super) fn config(&self, half: usize) -> u32 {
        let edge = self.edge >> (16 * half);
        (0..16).fold(0, |word, i| word | (edge >> i & 1) << (2 * i + 1))
    }

    /// Writes an `ICFGR` word.
    pub(super) fn set_config(&mut self, half: usize, value: u32, lanes: u32) {
        let word = merge(self.config(half), value, lanes);
        let edge = (0..16).fold(0, |bits, i| bits | (word >> (2 * i + 1) & 1) << i);
        self.edge = merge(self.edge, edge << (16 * half), 0xffff << (16 * half));
    }

    /// Reads the four priorities from interrupt `first` on.
    pub(super) fn priorities(&self, first: usize) -> u32 {
        (0..4).fold(0, |word, i| word | u32::from(self.priority[first + i]) << (8 * i))
    }

    /// Writes the four priorities from interrupt `first` on.
    pub(super) fn set_priorities(&mut self, first: usize, value: u32, lanes: u32) {
        let word = merge(self.priorities(first), value, lanes).to_le_bytes();
        for (i, byte) in word.into_iter().enumerate() {
            self.priority[first + i] = byte & PRIORITY_MASK;
        }
    }
}

/// The positions of the bits that are set, lowest first.
pub(super) fn bits(mut word: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (bit < 32).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_remembered_and_a_level_is_not() {
        let mut bank = Bank { edge: 0b01, enabled: 0b11, ..Bank::default() };
        bank.set_line(0b11, true);
        assert_eq!(bank.pending(), 0b11);
        bank.set_line(0b11, false);
        assert_eq!(bank.pending(), 0b01);
        bank.acknowledge(0b01);
        assert_eq!((bank.pending(), bank.active), (0, 0b01));
        bank.set_line(0b01, true);
        assert_eq!((bank.pending(), bank.ready()), (0b01, 0), "pending again, but still being handled");
        bank.acknowledge(0b01);
        bank.set_line(0b01, true);
        assert_eq!(bank.pending(), 0, "a line that stays high makes no second edge");
    }

    #[test]
    fn configuration_words_hold_two_bits_for_each_interrupt() {
        let mut bank = Bank::default();
        bank.set_config(1, 0xffff_ffff, 0x0000_ff00);
        assert_eq!(bank.edge, 0x00f0_0000);
        assert_eq!((bank.config(0), bank.config(1)), (0, 0x0000_aa00));
    }

    #[test]
    fn priorities_keep_their_upper_five_bits() {
        let mut bank = Bank::default();
        bank.set_priorities(4, 0xff12_34a7, 0x00ff_00ff);
        assert_eq!((bank.priorities(4), bank.priority[4], bank.priority[6]), (0x0010_00a0, 0xa0, 0x10));
    }

    #[test]
    fn bits_are_listed_lowest_first() {
        assert_eq!(bits(0x8000_0005).collect::<Vec<_>>(), [0, 2, 31]);
        assert_eq!(bits(0).count(), 0);
    }
}
