//! Sets of words of a page.

use crate::code::PAGE_OPS;

/// A set of indices of words of one page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WordSet([u64; PAGE_OPS / 64]);

impl WordSet {
    /// Whether word `index` of the page belongs to it.
    pub fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }

    /// Adds word `index` of the page.
    pub fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Takes the first word out.
    pub fn pop(&mut self) -> Option<usize> {
        let at = self.0.iter().position(|bits| *bits != 0)?;
        let bit = self.0[at].trailing_zeros();
        self.0[at] &= self.0[at] - 1;
        Some(at * 64 + bit as usize)
    }

    /// Takes all words out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether no word belongs to it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_in_order_and_once() {
        let mut words = WordSet::default();
        for index in [1023, 0, 64, 63, 0] {
            assert_eq!(words.contains(index), index == 0 && words.contains(1023) && words.contains(63));
            words.insert(index);
            assert!(words.contains(index) && !words.is_empty());
        }
        assert_eq!(std::iter::from_fn(|| words.pop()).collect::<Vec<_>>(), [0, 63, 64, 1023]);
        assert!(words.is_empty());
    }
}
