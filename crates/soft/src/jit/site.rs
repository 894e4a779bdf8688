//! Sites: loads and stores in loops of translated code, each of which remembers the page that it went to last.
//!
//! A site answers an access to that page with one comparison, for which most accesses do not wait: the host's address is
//! the virtual one and a constant. What it remembers was in the TLB for the translation context of its region, and holds until
//! something is dropped from the TLB: regions look at that when they are entered and behind calls. A site that misses all
//! the time is given up.

/// Misses after which a site is looked at: their count overflows a byte.
const PATIENCE: u32 = 256;

/// What a load or store remembers; all zero when it remembers nothing. As the header of a region, `base` is what its
/// sites hold for ([`crate::mmu::tlb::Tlb::drops`] and the context).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Site {
    /// Virtual address of the page.
    pub base: u64,
    /// First offset in the page at which the access would run out of it; 0: the site remembers nothing.
    pub limit: u64,
    /// Host address minus virtual address; where the access has no register with its address, minus offset in the page.
    pub addend: u64,
    /// Misses since the site was looked at, in the lowest byte.
    pub misses: u32,
    /// When it was looked at last, in units of 1024 ticks of the host.
    pub since: u32,
}

impl Site {
    /// Looks at a site that has missed [`PATIENCE`] times, at time `now`. Whether that was so fast that the site costs
    /// more than it saves.
    pub fn is_worn(&mut self, now: u32) -> bool {
        /// Ticks for each miss, as [`Site::since`] counts them.
        const FAST: u32 = PATIENCE / 5;
        now.wrapping_sub(std::mem::replace(&mut self.since, now)) < FAST
    }
}

/// The sites of a CPU: those that are taken, and all. Regions translated when all are taken do without.
#[derive(Debug)]
pub(crate) struct SiteRange {
    taken: usize,
    all: usize,
}

impl SiteRange {
    /// `all` sites, none of them taken.
    pub fn new(all: usize) -> Self {
        Self { taken: 0, all }
    }

    /// Bytes of the sites that are taken.
    pub fn bytes(&self) -> usize {
        self.taken * size_of::<Site>()
    }

    /// Gives all sites back.
    pub fn clear(&mut self) {
        self.taken = 0;
    }

    /// Takes `count` sites, as numbers from the one returned; `None` when there are not so many left.
    pub fn take(&mut self, count: usize) -> Option<usize> {
        let end = self.taken.checked_add(count).filter(|end| *end <= self.all)?;
        Some(std::mem::replace(&mut self.taken, end))
    }

    /// Whether there is a site `number`.
    #[cfg(target_arch = "x86_64")]
    pub fn contains(&self, number: usize) -> bool {
        number < self.all
    }
}
