//! The table by which a jump by register goes on inside its region: one distance for each word between the first and
//! the last target of the region.

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::Assembler;
use crate::jit::region::Region;

/// The jump table of a region while it is made.
pub(super) struct Cases {
    /// Where the table is.
    pub table: DynamicLabel,
    /// The word of the page that its first distance is for.
    pub first: usize,
    /// Where in the code the word of each distance is, once known, if the region has it as a target.
    targets: Vec<Option<usize>>,
    /// Where in the code a jump to any other word leaves.
    others: usize,
    /// Where in the code the table is.
    at: usize,
}

impl Cases {
    /// The table that `region` needs, if it does.
    pub fn of(region: &Region, asm: &mut Assembler) -> Option<Self> {
        let cases = region.cases();
        let (first, last) = (*cases.first()?, *cases.last()?);
        let mut targets = vec![None; last - first + 1];
        for case in cases {
            targets[case - first] = Some(0);
        }
        Some(Self { table: asm.new_dynamic_label(), first, targets, others: 0, at: 0 })
    }

    /// Bytes of the table, and of the words that it is for.
    pub fn bytes(&self) -> usize {
        self.targets.len() * 4
    }

    /// Word `index` of the page is at `offset` of the code.
    pub fn is_at(&mut self, index: usize, offset: usize) {
        let target = index.checked_sub(self.first).and_then(|at| self.targets.get_mut(at));
        if let Some(Some(target)) = target {
            *target = offset;
        }
    }

    /// A jump to a word that is no target leaves at `offset` of the code.
    pub fn others_are_at(&mut self, offset: usize) {
        self.others = offset;
    }

    /// Makes room for the table.
    pub fn table(&mut self, asm: &mut Assembler) {
        while !asm.offset().0.is_multiple_of(4) {
            dynasm!(asm ; .arch x64 ; nop);
        }
        let table = self.table;
        dynasm!(asm ; .arch x64 ; =>table);
        self.at = asm.offset().0;
        for _ in &self.targets {
            dynasm!(asm ; .arch x64 ; .u32 0);
        }
    }

    /// Writes the distances into the assembled `code`.
    pub fn fill(&self, code: &mut [u8]) {
        let room = code[self.at..].chunks_exact_mut(4);
        for (target, room) in self.targets.iter().zip(room) {
            let distance = target.unwrap_or(self.others) as i32 - self.at as i32;
            room.copy_from_slice(&distance.to_le_bytes());
        }
    }
}
