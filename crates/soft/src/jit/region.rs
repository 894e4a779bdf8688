//! What is translated at once: blocks of a page that direct branches reach from a hot instruction.

use std::ops::Range;

use super::constants;
use super::inst::{Inst, decode};
use crate::code::{PAGE_OPS, PagePtr};
use crate::isa::decode::Decoder;
use crate::words::WordSet;

/// Most instructions of a region.
pub const MAX_LEN: usize = 256;
/// Furthest distance, in words, at which the cases of a jump by register are looked for.
const CASES_WITHIN: usize = 512;
/// Most places at which a region can be entered.
const MAX_ENTRIES: usize = 8;
/// Most calls inside behind which a return looks for its way: with more, the instruction TLB is as fast.
const MAX_RETURN_SITES: usize = 16;

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
    /// Where it may be entered: at the instruction that was hot, and behind what the interpreter does.
    pub entries: Vec<usize>,
    /// Where it was cut off because it is long enough.
    pub rest: Vec<usize>,
    pub slots: Vec<Slot>,
    /// Which words of the page belong to it.
    inside: WordSet,
    /// Which words are targets of branches inside.
    targets: WordSet,
    /// Calls to words of the page which do not belong to it: the word called, and the one behind the call.
    calls: Vec<(usize, usize)>,
    /// Words that were not looked at yet for cases of the region's jump by register; `None` without such a jump.
    cases: Option<Range<usize>>,
}

impl Region {
    /// The region of the executed code that is reached from word `head`; `None` when there is nothing to gain. With
    /// `ahead`, code that has not been executed belongs to it, too.
    pub fn of(page: PagePtr, head: usize, ahead: bool) -> Option<Self> {
        let word_at = |index| if ahead { page.allocated_word(index) } else { page.executed_word(index) };
        let mut region = Self::grown(word_at, head, true);
        if !region.rest.is_empty() {
            // Cases of a jump that do not all fit cost more than they save: they are regions of their own.
            region = Self::grown(word_at, head, false);
        }
        region.slots.sort_unstable_by_key(|slot| slot.index);
        let inside = region.inside;
        region.entries.retain(|at| inside.contains(*at));
        constants::merge(&mut region.slots, |index| region.targets.contains(index));
        let useful = region.slots.iter().filter(|s| s.inst != Inst::Other).count();
        (useful >= 3 || ahead).then_some(region)
    }

    /// What is reached from word `head`, with what jumps by register may reach if `cases`.
    fn grown(word_at: impl Fn(usize) -> Option<u32>, head: usize, cases: bool) -> Self {
        let mut region = Self {
            entries: vec![head],
            rest: Vec::new(),
            slots: Vec::new(),
            inside: WordSet::default(),
            targets: WordSet::default(),
            calls: Vec::new(),
            cases: None,
        };
        let mut work = vec![head];
        while let Some(start) = work.pop() {
            region.block(start, &word_at, &mut work);
            if work.is_empty() {
                work.extend(region.returns());
            }
            // What does not fit is grown again without cases: no more of them need be looked for.
            if work.is_empty() && cases && region.rest.is_empty() {
                work.extend(region.next_case(&word_at));
            }
        }
        region
    }

    /// Adds the block at word `start`, and to `work` the blocks that it leads to.
    fn block(&mut self, start: usize, word_at: impl Fn(usize) -> Option<u32>, work: &mut Vec<usize>) {
        self.targets.insert(start);
        let mut index = start;
        while index < PAGE_OPS && !self.contains(index) {
            let Some(word) = word_at(index) else { return };
            if self.slots.len() >= MAX_LEN {
                self.rest.push(index);
                return;
            }
            let inst = decode(word, index as u32 * 4);
            self.inside.insert(index);
            self.slots.push(Slot { index, word, inst });
            self.calls.extend(near_call(index, inst).map(|target| (target, index + 1)));
            if is_jump(inst) {
                self.cases.get_or_insert(index.saturating_sub(CASES_WITHIN).max(1)..PAGE_OPS.min(index + CASES_WITHIN));
            }
            work.extend(near_target(index, inst).filter(|target| word_at(*target).is_some()));
            if ends_block(inst) {
                return;
            }
            index += 1;
            if inst == Inst::Other && Decoder::get().callable(word).is_none() {
                self.enter_at(index);
            }
        }
        // A block that runs into one that is there already.
        if index < PAGE_OPS {
            self.targets.insert(index);
        }
    }

    /// The words behind calls to words of the region, each given once.
    fn returns(&mut self) -> Vec<usize> {
        let inside = self.inside;
        let called = self.calls.extract_if(.., |(target, _)| inside.contains(*target));
        called.map(|(_, behind)| behind).filter(|behind| *behind < PAGE_OPS).collect()
    }

    /// A word that a jump by register of the region may well go to: one that was executed and that nothing falls
    /// through to, not in the region yet. Each word is looked at once.
    fn next_case(&mut self, word_at: impl Fn(usize) -> Option<u32>) -> Option<usize> {
        let ends = |at: usize| word_at(at).is_some_and(|word| ends_block(decode(word, at as u32 * 4)));
        let mut left = self.cases.take()?;
        let case =
            left.find(|at| !self.contains(*at) && !self.is_target(*at) && word_at(*at).is_some() && ends(at - 1));
        self.cases = Some(left);
        case
    }

    /// The words that a jump by register may reach inside; none when there is no such jump.
    pub fn cases(&self) -> Vec<usize> {
        if self.cases.is_none() {
            return Vec::new();
        }
        self.slots.iter().map(|slot| slot.index).filter(|index| self.is_target(*index)).collect()
    }

    /// The region may be entered at word `index`.
    fn enter_at(&mut self, index: usize) {
        if index < PAGE_OPS {
            self.targets.insert(index);
            if self.entries.len() < MAX_ENTRIES {
                self.entries.push(index);
            }
        }
    }

    /// Words inside behind calls to words inside, unless they are many.
    pub fn return_sites(&self) -> Vec<usize> {
        let calls =
            self.slots.iter().filter(|s| near_call(s.index, s.inst).is_some_and(|target| self.contains(target)));
        calls.map(|slot| slot.index + 1).filter(|at| self.contains(*at)).take(MAX_RETURN_SITES).collect()
    }

    /// Which slot word `index` is, if it belongs to the region.
    pub fn position(&self, index: usize) -> Option<usize> {
        self.slots.binary_search_by_key(&index, |slot| slot.index).ok()
    }

    /// Whether word `index` is translated in this region.
    pub fn contains(&self, index: usize) -> bool {
        index < PAGE_OPS && self.inside.contains(index)
    }

    /// Whether a branch of this region goes to word `index`.
    pub fn is_target(&self, index: usize) -> bool {
        self.targets.contains(index)
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
    in_page(index, distance)
}

/// The word in the same page that `inst` may call.
pub fn near_call(index: usize, inst: Inst) -> Option<usize> {
    let Inst::Branch { distance, link: true } = inst else { return None };
    in_page(index, distance)
}

fn in_page(index: usize, distance: i64) -> Option<usize> {
    let target = index as i64 + (distance >> 2);
    (0..PAGE_OPS as i64).contains(&target).then_some(target as usize)
}

/// Whether it is a jump by register that is not a return.
fn is_jump(inst: Inst) -> bool {
    matches!(inst, Inst::BranchRegister { n, link: false } if n != 30)
}

/// Whether nothing falls through to the next word.
fn ends_block(inst: Inst) -> bool {
    matches!(inst, Inst::Branch { .. } | Inst::BranchRegister { .. })
}
