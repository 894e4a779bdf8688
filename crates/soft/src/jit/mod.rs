//! Tier 1: hot regions translated to the host's instructions.
//!
//! A translated region is a handler like any other: it has the interpreter's signature, stands in the operation of
//! its first word, and ends in a jump to another handler. So the tiers mix freely, and what has no translation is left to
//! the interpreter. The first look at what is hot is free: where the interpreter pauses because its budget is spent.

#![allow(unsafe_code)]

mod constants;
mod inst;
mod region;
#[cfg(target_arch = "x86_64")]
mod runtime;
mod simd;
pub(crate) mod site;
pub(crate) mod stall;
mod sys;
#[cfg(not(target_arch = "x86_64"))]
mod untranslated;
#[cfg(target_arch = "x86_64")]
mod x64;

#[cfg(not(target_arch = "x86_64"))]
use untranslated as emitter;
#[cfg(target_arch = "x86_64")]
use x64 as emitter;

use region::Region;
use site::{Site, SiteRange};
use sys::CodeBuffer;

pub(crate) use emitter::enter;
use emitter::{Assembler, Thunks};

use crate::code::PagePtr;
use crate::interp::Handler;
use crate::share::Share;
use crate::vcpu::JitMode;

/// Pauses at an instruction after which it is translated.
const HOT: u8 = 2;
/// [`crate::code::CodePage`]'s heat of an instruction that is translated or cannot be.
const SETTLED: u8 = u8::MAX;

/// A region in the host's code.
struct Translation {
    pub code: Vec<u8>,
    /// Words of the page at which it may be entered, and where in the code.
    pub entries: Vec<(usize, usize)>,
    /// Words of the page that it jumps to, and where in the code the distance of the jump is: 32 bits, from behind them.
    pub links: Vec<(usize, usize)>,
}

/// Puts what all regions share into the empty `buffer`.
fn add_thunks(buffer: &mut CodeBuffer) -> Thunks {
    let (code, thunks) = emitter::thunks(buffer.next());
    buffer.append(&code).expect("no buffer is that small");
    thunks
}

/// Where a translation will be.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The address at which it is executed.
    pub code: usize,
    /// The address of the first site.
    pub sites: usize,
    pub thunks: Thunks,
}

/// The translator of one CPU.
pub(crate) struct Jit {
    buffer: CodeBuffer,
    thunks: Thunks,
    /// Kept for the memory that it has: the heap gives so much back to the host at once, and then a translation waits for
    /// the host to fault in page after page.
    assembler: Assembler,
    /// Code is translated before it has run, and left often ([`JitMode::Stress`]).
    stress: bool,
    sites: SiteRange,
    /// Regions translated, ever.
    pub translated: u64,
    /// Instructions of the longest of them.
    pub most: usize,
    /// Times that the buffer was emptied.
    pub flushes: u64,
    /// Bytes of code and sites that there were before that, at most.
    most_bytes: usize,
}

impl Jit {
    /// A translator with the room of `share`, unless `mode` wants none or there is no emitter for this host.
    ///
    /// # Errors
    /// When this host does not let a program have executable memory.
    pub fn new(mode: JitMode, share: &Share) -> std::io::Result<Option<Self>> {
        if mode == JitMode::Off || !emitter::AVAILABLE {
            return Ok(None);
        }
        let stress = mode == JitMode::Stress;
        let mut buffer = CodeBuffer::new(share.code, share.sites * size_of::<Site>())?;
        let thunks = add_thunks(&mut buffer);
        Ok(Some(Self {
            buffer,
            thunks,
            assembler: Assembler::new(0),
            stress,
            sites: SiteRange::new(share.sites),
            translated: 0,
            most: 0,
            flushes: 0,
            most_bytes: 0,
        }))
    }

    /// The budget of the next stretch under stress: none, or few branches.
    pub fn stress_budget(&mut self) -> Option<u64> {
        self.stress.then_some(self.translated % 3)
    }

    /// Bytes of translated code.
    pub fn used(&self) -> usize {
        self.buffer.used()
    }

    /// Bytes of code and sites that were in use at once, at most: memory that is not given back.
    pub fn most_bytes(&self) -> usize {
        self.most_bytes.max(self.used() + self.sites.bytes())
    }

    /// Whether [`Jit::note`] has nothing to do at word `index` of `page`.
    pub fn is_settled(&self, page: PagePtr, index: usize) -> bool {
        *page.heat(index) == SETTLED && page.waiting().is_empty()
    }

    /// Takes note of a pause at word `index` of `page`, and gives the word whose region it is time to translate: that one
    /// when it is hot, else what waits for its turn in the page.
    pub fn note(&self, page: PagePtr, index: usize) -> Option<usize> {
        let heat = page.heat(index);
        if *heat != SETTLED {
            *heat += 1;
            if *heat >= HOT || self.stress {
                return Some(index);
            }
        }
        while let Some(index) = page.waiting().pop() {
            if *page.heat(index) != SETTLED {
                return Some(index);
            }
        }
        None
    }

    /// Translates the region at word `index` of `page`, and lets wait what is as hot but did not fit in. `false`: there is no
    /// room, and the caller has to drop all regions and call [`Jit::clear`] first.
    ///
    /// Called while no translated code runs.
    pub fn translate(&mut self, page: PagePtr, index: usize) -> bool {
        *page.heat(index) = SETTLED;
        let Some(region) = Region::of(page, index, self.stress) else { return true };
        self.most = self.most.max(region.slots.len());
        let (code, sites) = (self.buffer.next(), self.buffer.data() as usize);
        let place = Place { code, sites, thunks: self.thunks };
        let translation = emitter::translate(&region, page, place, &mut self.sites, &mut self.assembler);
        let Some(translation) = translation else { return true };
        let Some(at) = self.buffer.append(&translation.code) else {
            if translation.code.len() > self.buffer.size() / 2 {
                // It would have the buffer emptied again and again.
                return true;
            }
            *page.heat(index) = HOT - 1;
            return false;
        };
        self.translated += 1;
        for (index, offset) in translation.entries {
            self.install(page, index, at.wrapping_add(offset));
        }
        for (index, offset) in translation.links {
            self.link(page, index, at as usize + offset);
        }
        region.rest.iter().for_each(|index| page.waiting().insert(*index));
        true
    }

    /// Lets the jump with its distance at `place` go to the code of word `index`, as soon as there is any.
    ///
    /// Nothing undoes that but [`Jit::clear`]: the regions of a page are dropped together, and what still runs in one
    /// may run the old code until it synchronises, as on any CPU.
    fn link(&mut self, page: PagePtr, index: usize, place: usize) {
        let handler = page.op_at(index).handler();
        if self.is_translated(handler) {
            self.buffer.set_distance(place, handler as usize + emitter::WARM);
        } else {
            page.links().push((index as u16, place));
        }
    }

    /// Makes the code at `at` the operation of word `index`, unless that is translated already.
    fn install(&mut self, page: PagePtr, index: usize, at: *const u8) {
        if self.is_translated(page.op_at(index).handler()) {
            return;
        }
        *page.heat(index) = SETTLED;
        // SAFETY: the code follows the handlers' calling convention (see `x64`) and stays where it is until `clear`,
        // before which all regions are dropped.
        let handler = unsafe { std::mem::transmute::<*const u8, Handler>(at) };
        page.install(index, handler);
        let waiting: Vec<usize> =
            page.links().extract_if(.., |link| link.0 as usize == index).map(|link| link.1).collect();
        for place in waiting {
            self.buffer.set_distance(place, at as usize + emitter::WARM);
        }
    }

    /// Whether `handler` is translated code.
    fn is_translated(&self, handler: Handler) -> bool {
        (handler as usize).wrapping_sub(self.buffer.start()) < self.buffer.size()
    }

    /// Site `number`.
    #[cfg(target_arch = "x86_64")]
    fn site(&mut self, number: usize) -> &mut Site {
        assert!(self.sites.contains(number));
        // SAFETY: the buffer's data are so many sites, for which every pattern of bits is one; nothing else refers to them.
        unsafe { &mut *self.buffer.data().cast::<Site>().add(number) }
    }

    /// Where translated code is: its first address and how many bytes there can be.
    pub fn range(&self) -> [u64; 2] {
        [self.buffer.start() as u64, self.buffer.size() as u64]
    }

    /// Empties the buffer after all regions were dropped.
    pub fn clear(&mut self) {
        self.flushes += 1;
        self.most_bytes = self.most_bytes();
        self.sites.clear();
        self.buffer.clear_data();
        self.buffer.clear();
        self.thunks = add_thunks(&mut self.buffer);
    }
}
