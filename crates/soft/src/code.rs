//! Code pages: the predecoded form of guest code, and the instruction TLB that finds it by virtual address.
//!
//! A page is keyed by physical address only, so that processes which share a library share its operations. Each CPU
//! has its own pages: nothing here is touched by another thread. The guest's instruction cache is not coherent
//! (`CTR_EL0.DIC` is 0), so a page is brought up to date when the guest invalidates it and never otherwise.

#![allow(unsafe_code)]

use std::collections::HashMap;

use crate::debug::breakpoint;
use crate::interp::branch::fusible;
use crate::interp::{Handler, Op, OpPtr, page_end, pause, unallocated, undecoded};
use crate::isa::Insn;
use crate::isa::decode::Decoder;
use crate::ram::HostPage;
use crate::words::WordSet;

/// Bytes of a page of guest memory, for code and TLB alike.
pub const PAGE_SIZE: u64 = 4096;
/// Instructions in a page.
pub const PAGE_OPS: usize = 1024;
/// Pages with breakpoints kept before all are dropped.
const MAX_BREAKPOINT_PAGES: usize = 256;

/// A page of operations, the words that they were made from, and the operation after the last word.
#[repr(C)]
pub(crate) struct CodePage {
    ops: [Op; PAGE_OPS + 1],
    words: [u32; PAGE_OPS],
    /// How often the interpreter paused at each word (see [`crate::jit`]).
    heat: [u8; PAGE_OPS],
    /// Loads and stores that go to another page each time (see [`crate::jit::site`]).
    scattered: WordSet,
    /// Words whose operation is a translated region, and the handlers that they had before.
    regions: Vec<(u16, Handler)>,
    /// Jumps of regions to words that are not translated yet, and where their distances are.
    links: Vec<(u16, usize)>,
    /// Hot words that wait to be translated.
    waiting: WordSet,
    /// Where the words are.
    pub memory: HostPage,
}

impl CodePage {
    fn new(memory: HostPage) -> Box<Self> {
        let mut ops = [Op::new(undecoded); PAGE_OPS + 1];
        ops[PAGE_OPS] = Op::new(page_end);
        Box::new(Self {
            ops,
            words: [0; PAGE_OPS],
            heat: [0; PAGE_OPS],
            scattered: WordSet::default(),
            regions: Vec::new(),
            links: Vec::new(),
            waiting: WordSet::default(),
            memory,
        })
    }

    /// The word that the operation at `index` was made from; `None` when it was not decoded yet.
    fn decoded_word(&self, index: usize) -> Option<u32> {
        (self.ops[index].handler as usize != undecoded as Handler as usize).then(|| self.words[index])
    }

    /// Drops the operations whose words have changed, and compares before them, which may have been fused with them.
    ///
    /// Nothing else may become undecoded: a fused compare goes by the operands of the branch after it, so that one must
    /// not be decoded anew, from whatever memory holds by then, while the compare stays fused.
    fn refresh(&mut self) {
        for at in 0..PAGE_OPS {
            if self.decoded_word(at).is_none_or(|word| word == self.memory.word(at)) {
                continue;
            }
            self.drop_regions();
            self.heat[at] = 0;
            self.ops[at].handler = undecoded;
            if at > 0 && fusible(Insn(self.words[at - 1])) {
                self.ops[at - 1].handler = undecoded;
            }
        }
    }

    /// Gives the words of translated regions back to the interpreter: the handlers that they had, not the words that
    /// memory holds now (see [`CodePage::refresh`]).
    fn drop_regions(&mut self) {
        self.links.clear();
        self.waiting.clear();
        for (at, handler) in self.regions.drain(..) {
            self.ops[at as usize].handler = handler;
            self.heat[at as usize] = 0;
        }
    }
}

/// The code pages of one CPU.
pub(crate) struct CodeCache {
    pages: HashMap<u64, Box<CodePage>>,
    /// Pages kept before all are dropped.
    most: usize,
    /// For single steps: every operation ends the step.
    step: Box<CodePage>,
    /// Pages with breakpoints, by virtual and physical address.
    breakpoints: HashMap<(u64, u64), BreakpointPage>,
}

/// A page of operations with breakpoints, which no instruction TLB knows.
struct BreakpointPage {
    page: Box<CodePage>,
    /// The words that have one.
    words: Vec<usize>,
}

impl BreakpointPage {
    /// Puts the breakpoints in. The word of each is none that a compare before it could be fused with.
    fn mark(&mut self) {
        for &at in &self.words {
            self.page.ops[at] = Op::new(breakpoint);
            self.page.words[at] = 0;
        }
    }

    fn refresh(&mut self) {
        self.page.refresh();
        self.mark();
    }
}

impl CodeCache {
    /// A cache of at most `most` pages.
    pub fn new(most: usize) -> Self {
        let mut step = CodePage::new(HostPage::none());
        step.ops.fill(Op::new(pause));
        Self { pages: HashMap::new(), most, step, breakpoints: HashMap::new() }
    }

    /// Number of pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Bytes that the pages take.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<CodePage>()
    }

    /// The page of the guest-physical page address `pa`, made when it is not there yet. May drop other pages: every
    /// [`OpPtr`] and [`PagePtr`] from before is dead, and `None` says that the instruction TLB has to forget them.
    pub fn page(&mut self, pa: u64, memory: HostPage) -> (PagePtr, bool) {
        let full = self.pages.len() >= self.most && !self.pages.contains_key(&pa);
        if full {
            self.pages.clear();
        }
        let page = self.pages.entry(pa).or_insert_with(|| CodePage::new(memory));
        (PagePtr(&raw mut **page), full)
    }

    /// A page in which only `op` at index `at` is an operation and every other ends the step.
    pub fn step_page(&mut self, at: usize, op: Op, memory: HostPage) -> PagePtr {
        self.step.ops.fill(Op::new(pause));
        self.step.ops[at] = op;
        self.step.memory = memory;
        PagePtr(&raw mut *self.step)
    }

    /// The page at virtual address `va` and physical address `pa` with breakpoints at byte offsets `offsets`. May drop
    /// pages as [`CodeCache::page`] does, but none that the instruction TLB knows.
    pub fn breakpoint_page(&mut self, va: u64, pa: u64, memory: HostPage, offsets: Vec<u64>) -> PagePtr {
        if self.breakpoints.len() >= MAX_BREAKPOINT_PAGES {
            self.breakpoints.clear();
        }
        let marked = self.breakpoints.entry((va / PAGE_SIZE, pa / PAGE_SIZE)).or_insert_with(|| {
            let words = offsets.into_iter().map(|offset| (offset / 4) as usize % PAGE_OPS).collect();
            let mut marked = BreakpointPage { page: CodePage::new(memory), words };
            marked.mark();
            marked
        });
        PagePtr(&raw mut *marked.page)
    }

    /// Drops all pages with breakpoints. To be called while nothing is executed.
    pub fn drop_breakpoint_pages(&mut self) {
        self.breakpoints.clear();
    }

    /// Drops all translated regions.
    pub fn drop_regions(&mut self) {
        self.pages.values_mut().for_each(|page| page.drop_regions());
    }

    /// The guest invalidated its instruction cache for the page at `pa`.
    pub fn invalidate(&mut self, pa: u64) {
        if let Some(page) = self.pages.get_mut(&pa) {
            page.refresh();
        }
        let here = self.breakpoints.iter_mut().filter(|((_, page), _)| *page == pa / PAGE_SIZE);
        here.for_each(|(_, marked)| marked.refresh());
    }

    /// The guest invalidated all of its instruction cache.
    pub fn invalidate_all(&mut self) {
        self.pages.values_mut().for_each(|page| page.refresh());
        self.breakpoints.values_mut().for_each(BreakpointPage::refresh);
    }
}

/// A pointer to a live code page; see [`CodeCache::page`] for how long it lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PagePtr(*mut CodePage);

impl PagePtr {
    pub const NONE: Self = Self(std::ptr::null_mut());

    /// The operation at byte offset `offset` of the page.
    #[inline(always)]
    pub fn op(self, offset: u64) -> OpPtr {
        let first = self.0 as *const Op;
        const { assert!(std::mem::offset_of!(CodePage, ops) == 0) };
        OpPtr(first.wrapping_add((offset >> 2 & 1023) as usize))
    }

    /// The index of an operation of this page.
    #[inline(always)]
    pub fn index(self, op: OpPtr) -> usize {
        (op.0 as usize).wrapping_sub(self.0 as usize) / size_of::<Op>()
    }

    /// The word at `index` as memory has it now.
    pub fn memory_word(self, index: usize) -> u32 {
        // SAFETY: the page is live (see the type) and no reference into it is held across this call.
        unsafe { &*self.0 }.memory.word(index)
    }

    /// The word that the operation at `index` was made from; `None` when it was not decoded yet.
    pub fn decoded_word(self, index: usize) -> Option<u32> {
        // SAFETY: as in `memory_word`.
        unsafe { &*self.0 }.decoded_word(index)
    }

    /// The operation of word `index`, at most the one after the last.
    pub fn op_at(self, index: usize) -> OpPtr {
        debug_assert!(index <= PAGE_OPS);
        OpPtr((self.0 as *const Op).wrapping_add(index))
    }

    /// The word at `index` if it has been decoded and is an instruction.
    pub fn executed_word(self, index: usize) -> Option<u32> {
        let handler = self.op_at(index).handler() as usize;
        self.decoded_word(index).filter(|_| handler != unallocated as Handler as usize)
    }

    /// The word at `index`, decoded now if it was not yet, if it is an instruction.
    pub fn allocated_word(self, index: usize) -> Option<u32> {
        if self.decoded_word(index).is_none() {
            let word = self.memory_word(index);
            self.set(index, word, Decoder::get().lower(word, index as u32 * 4)?);
        }
        self.executed_word(index)
    }

    /// How hot word `index` is.
    pub fn heat<'a>(self, index: usize) -> &'a mut u8 {
        // SAFETY: as in `memory_word`; the caller lets go of the reference before it uses the page again.
        unsafe { &mut (&mut (*self.0).heat)[index] }
    }

    /// Jumps of regions that wait for their target to be translated: its word, and the address of the distance.
    pub fn links<'a>(self) -> &'a mut Vec<(u16, usize)> {
        // SAFETY: as in `heat`.
        unsafe { &mut (*self.0).links }
    }

    /// Hot words that wait to be translated: what follows regions that are long enough.
    pub fn waiting<'a>(self) -> &'a mut WordSet {
        // SAFETY: as in `heat`.
        unsafe { &mut (*self.0).waiting }
    }

    /// Whether the load or store of word `index` was found to go to another page each time.
    pub fn is_scattered(self, index: usize) -> bool {
        // SAFETY: as in `memory_word`.
        unsafe { &*self.0 }.scattered.contains(index)
    }

    /// Notes that the load or store of word `index` goes to another page each time: regions are made anew.
    pub fn set_scattered(self, index: usize) {
        // SAFETY: as in `memory_word`.
        let page = unsafe { &mut *self.0 };
        page.scattered.insert(index);
        page.drop_regions();
    }

    /// Makes `handler` that of word `index`, as a translated region.
    pub fn install(self, index: usize, handler: Handler) {
        // SAFETY: as in `memory_word`. Only the handler changes: an operation before it may use its operands.
        let page = unsafe { &mut *self.0 };
        let before = std::mem::replace(&mut page.ops[index].handler, handler);
        page.regions.push((index as u16, before));
    }

    /// Puts an operation made from `word` at `index`, below 1024.
    pub fn set(self, index: usize, word: u32, op: Op) {
        // SAFETY: as in `memory_word`; operations are plain data that handlers copy field by field.
        let page = unsafe { &mut *self.0 };
        page.words[index] = word;
        page.ops[index] = op;
    }
}

/// Entries of the instruction TLB.
pub(crate) const ITLB_ENTRIES: usize = 512;

/// A page of code by its virtual address.
#[derive(Clone, Copy)]
#[repr(C)]
struct ItlbEntry {
    /// Page address and context, in bits that an address inside the page has clear once it is masked.
    tag: u64,
    page: PagePtr,
}

const NO_PAGE: ItlbEntry = ItlbEntry { tag: u64::MAX, page: PagePtr::NONE };

/// The instruction TLB: code pages by virtual address and translation context.
#[repr(C)]
pub(crate) struct Itlb {
    entries: [ItlbEntry; ITLB_ENTRIES],
}

impl Itlb {
    /// Offset of the first entry's tag.
    pub const TAG: usize = std::mem::offset_of!(ItlbEntry, tag);
    /// Offset of the first entry's page.
    pub const PAGE: usize = std::mem::offset_of!(ItlbEntry, page);

    /// An empty TLB.
    pub fn new() -> Self {
        Self { entries: [NO_PAGE; ITLB_ENTRIES] }
    }

    fn index(va: u64) -> usize {
        (va / PAGE_SIZE) as usize % ITLB_ENTRIES
    }

    /// The page and operation at `va`, if `va` is aligned and known in `context`.
    #[inline(always)]
    pub fn find(&self, va: u64, context: u64) -> Option<(PagePtr, OpPtr)> {
        let ItlbEntry { tag, page } = self.entries[Self::index(va)];
        // An unaligned address has bit 0 or 1 set in `va & 0xfff...f003`; a tag never has.
        (tag == (va & !(PAGE_SIZE - 4)) | context << 2).then(|| (page, page.op(va & (PAGE_SIZE - 1))))
    }

    /// Remembers `page` for `va`.
    pub fn insert(&mut self, va: u64, context: u64, page: PagePtr) {
        self.entries[Self::index(va)] = ItlbEntry { tag: va & !(PAGE_SIZE - 1) | context << 2, page };
    }

    /// Forgets the page at `va` in every context.
    pub fn remove(&mut self, va: u64) {
        self.entries[Self::index(va)].tag = u64::MAX;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.fill(NO_PAGE);
    }
}

#[cfg(test)]
mod tests {
    use hv::GuestMemory;
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::ram::Ram;

    const NOP: u32 = 0xd503_201f;

    #[test]
    fn a_dropped_region_gives_back_the_operation_that_it_stood_in() {
        let memory = GuestMemory::from_ranges(&[(GuestAddress(0), PAGE_SIZE as usize)]).unwrap();
        let ram = Ram::new(memory.clone());
        let mut cache = CodeCache::new(1);
        let page = cache.page(0, ram.page(0).unwrap()).0;
        memory.write_obj(NOP, GuestAddress(4)).unwrap();
        assert_eq!(page.allocated_word(1), Some(NOP));
        let before = page.op_at(1).handler();
        page.install(1, page_end);
        memory.write_obj(NOP + 32, GuestAddress(4)).unwrap();
        // The guest has not invalidated anything: a compare fused with this word may still stand before it.
        cache.drop_regions();
        assert_eq!(page.decoded_word(1), Some(NOP));
        assert_eq!(page.op_at(1).handler() as usize, before as usize);
        cache.invalidate(0);
        assert_eq!(page.decoded_word(1), None);
    }
}
