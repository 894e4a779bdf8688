//! The decoder, made from the table: an instruction word to its row, and the row to its operation.

use std::sync::LazyLock;

use super::{Called, Exec, Insn, Row, all_rows};
use crate::interp::{Op, call};

/// Buckets by bits 31:21 and 14:10, where most encodings differ.
const BUCKETS: usize = 1 << 16;

/// The rows by bucket, each bucket ordered by falling number of fixed bits.
pub(crate) struct Decoder {
    rows: Vec<&'static Row>,
    /// Start of each bucket in `candidates`, and one more for the end.
    starts: Vec<u32>,
    candidates: Vec<u16>,
    /// The functions of rows that are called, by row.
    called: Vec<Option<Called>>,
}

fn bucket(word: u32) -> usize {
    ((word >> 21) << 5 | (word >> 10 & 31)) as usize
}

/// The word that has the bits of `bucket` where they belong and zeroes elsewhere.
fn word_of(bucket: usize) -> u32 {
    (bucket as u32 >> 5) << 21 | (bucket as u32 & 31) << 10
}

impl Decoder {
    /// The decoder, built at the first call.
    pub fn get() -> &'static Self {
        static DECODER: LazyLock<Decoder> = LazyLock::new(Decoder::build);
        &DECODER
    }

    fn build() -> Self {
        let rows: Vec<&'static Row> = all_rows().collect();
        let mut order: Vec<u16> = (0..rows.len() as u16).collect();
        order.sort_by_key(|r| std::cmp::Reverse(rows[*r as usize].pattern.mask.count_ones()));
        const KEY: u32 = 0x7ff << 21 | 31 << 10;
        let mut pairs: Vec<u32> = Vec::new();
        for (rank, row) in order.iter().enumerate() {
            let pattern = &rows[*row as usize].pattern;
            let free = KEY & !pattern.mask;
            // Every subset of the key bits that the pattern leaves free.
            let mut some = free;
            loop {
                let word = pattern.value & KEY | some;
                pairs.push((bucket(word) as u32) << 16 | rank as u32);
                if some == 0 {
                    break;
                }
                some = (some - 1) & free;
            }
        }
        pairs.sort_unstable();
        let mut starts = vec![0u32; BUCKETS + 1];
        for pair in &pairs {
            starts[(pair >> 16) as usize + 1] += 1;
        }
        for at in 0..BUCKETS {
            starts[at + 1] += starts[at];
        }
        debug_assert_eq!(bucket(word_of(0x1234)), 0x1234);
        let candidates = pairs.iter().map(|pair| order[(pair & 0xffff) as usize]).collect();
        let called = rows
            .iter()
            .map(|row| match row.exec {
                Exec::Lower(_) => None,
                Exec::Call(f) | Exec::CallFlags(f) | Exec::CallFp(f) | Exec::CallFpFlags(f) => Some(f),
            })
            .collect();
        Self { rows, starts, candidates, called }
    }

    /// The number of the row of `word`.
    fn find(&self, word: u32) -> Option<usize> {
        let b = bucket(word);
        let range = self.starts[b] as usize..self.starts[b + 1] as usize;
        self.candidates[range].iter().map(|r| *r as usize).find(|r| self.rows[*r].pattern.matches(word))
    }

    /// The operation of `word` at byte `offset` of its page; `None` when it is unallocated.
    pub fn lower(&self, word: u32, offset: u32) -> Option<Op> {
        self.find(word).and_then(|r| match self.rows[r].exec {
            Exec::Lower(lower) => lower(Insn(word), offset),
            Exec::Call(_) => Some(call::op(call::call, r, word)),
            Exec::CallFlags(_) => Some(call::op(call::call_flags, r, word)),
            Exec::CallFp(_) => Some(call::op(call::call_fp, r, word)),
            Exec::CallFpFlags(_) => Some(call::op(call::call_fp_flags, r, word)),
        })
    }

    /// The row of `word` if it is a function that neither reads nor writes the flags, and whether it needs the FP
    /// and AdvSIMD registers.
    pub fn callable(&self, word: u32) -> Option<(usize, bool)> {
        let row = self.find(word)?;
        match self.rows[row].exec {
            Exec::Call(_) => Some((row, false)),
            Exec::CallFp(_) => Some((row, true)),
            _ => None,
        }
    }

    /// The row of `word` if it is a function.
    pub fn function(&self, word: u32) -> Option<usize> {
        self.find(word).filter(|row| self.called[*row].is_some())
    }

    /// The function of a called row.
    #[inline(always)]
    pub fn called(&self, row: usize) -> Called {
        self.called[row].expect("only called rows are numbered in operations")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_own_value() {
        let decoder = Decoder::get();
        for row in all_rows() {
            let found = decoder.find(row.pattern.value).map(|r| decoder.rows[r]).expect(row.name);
            assert!(
                found.pattern.mask.count_ones() >= row.pattern.mask.count_ones(),
                "{} is hidden by the less specific {}",
                row.name,
                found.name
            );
        }
    }

    #[test]
    fn no_two_rows_of_equal_specificity_overlap() {
        let all: Vec<_> = all_rows().collect();
        for (at, a) in all.iter().enumerate() {
            for b in &all[at + 1..] {
                let common = a.pattern.mask & b.pattern.mask;
                let overlap = a.pattern.value & common == b.pattern.value & common;
                let equal = a.pattern.mask.count_ones() == b.pattern.mask.count_ones();
                assert!(!overlap || !equal, "{} and {}", a.name, b.name);
            }
        }
    }
}
