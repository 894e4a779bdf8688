//! What is translated at once: blocks of a page that direct branches reach from a hot instruction.

use super::inst::{Inst, decode};
use crate::code::{PAGE_OPS, PagePtr};

/// Most instructions of a region.
const MAX_LEN: usize = 200;

/// One instruction of a region.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Index of the word in its page.
    pub index: usize,
    pub word: u32,
    pub inst: Inst,
}

/// A region: its instructions in the order of their addresses.
#[derive(Debug)]
pub struct Region {
    pub head: usize,
    pub slots: Vec<Slot>,
    /// Which words of the page belong to it.
    inside: [u64; PAGE_OPS / 64],
    /// Which words are targets of branches inside.
    targets: [u64; PAGE_OPS / 64],
}

impl Region {
    /// The region of the executed code that is reached from word `head`; `None` when there is nothing to gain. With
    /// `ahead`, code that has not been executed belongs to it, too.
    pub fn of(page: PagePtr, head: usize, ahead: bool) -> Option<Self> {
        let word_at = |index| if ahead { page.allocated_word(index) } else { page.executed_word(index) };
        let mut region = Self { head, slots: Vec::new(), inside: [0; 16], targets: [0; 16] };
        let mut work = vec![head];
        while let Some(start) = work.pop() {
            region.targets[start / 64] |= 1 << (start % 64);
            let mut index = start;
            while index < PAGE_OPS && !region.contains(index) && region.slots.len() < MAX_LEN {
                let Some(word) = word_at(index) else { break };
                let inst = decode(word, index as u32 * 4);
                region.inside[index / 64] |= 1 << (index % 64);
                region.slots.push(Slot { index, word, inst });
                if let Some(target) = near_target(index, inst)
                    && word_at(target).is_some()
                {
                    work.push(target);
                }
                if ends_block(inst) {
                    break;
                }
                index += 1;
            }
            // A block that runs into one that is there already.
            if index < PAGE_OPS && region.contains(index) {
                region.targets[index / 64] |= 1 << (index % 64);
            }
        }
        region.slots.sort_unstable_by_key(|slot| slot.index);
        let useful = region.slots.iter().filter(|s| s.inst != Inst::Other).count();
        (useful >= 3 || ahead).then_some(region)
    }

    /// Whether word `index` is translated in this region.
    pub fn contains(&self, index: usize) -> bool {
        index < PAGE_OPS && self.inside[index / 64] >> (index % 64) & 1 != 0
    }

    /// Whether a branch of this region goes to word `index`.
    pub fn is_target(&self, index: usize) -> bool {
        self.targets[index / 64] >> (index % 64) & 1 != 0
    }
}

/// The word in the same page to which `inst` may branch without a link.
pub fn near_target(index: usize, inst: Inst) -> Option<usize> {
    let distance = match inst {
        Inst::Branch { distance, link: false }
        | Inst::BranchCond { distance, .. }
        | Inst::BranchZero { distance, .. }
        | Inst::BranchBit { distance, .. } => distance,
        _ => return None,
    };
    let target = index as i64 + (distance >> 2);
    (0..PAGE_OPS as i64).contains(&target).then_some(target as usize)
}

/// Whether nothing falls through to the next word.
fn ends_block(inst: Inst) -> bool {
    matches!(inst, Inst::Branch { .. } | Inst::BranchRegister { .. })
}
