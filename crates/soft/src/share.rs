//! How much memory a CPU may take for predecoded and translated code: its share of what the machine may.

use crate::code::CodePage;
use crate::jit::site::Site;

/// Bytes for all CPUs of a machine together.
const MACHINE: usize = 128 << 20;

/// The limits of one CPU. Nothing is taken before it is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// Pages of predecoded code.
    pub pages: usize,
    /// Bytes of translated code.
    pub code: usize,
    /// Sites of translated code.
    pub sites: usize,
}

impl Share {
    /// An equal part for each of `cpus`: a quarter for translated code, a 64th for its sites, an eighth for what hangs on
    /// pages (lists of regions and jumps), and the rest for pages.
    pub fn of(cpus: u32) -> Self {
        let bytes = MACHINE / cpus as usize;
        let (code, sites) = (bytes / 4, bytes / 64);
        Self {
            pages: (bytes - code - sites - bytes / 8) / size_of::<CodePage>(),
            code,
            sites: sites / size_of::<Site>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_share_what_one_may_have() {
        for cpus in 1..=crate::MAX_CPUS {
            let Share { pages, code, sites } = Share::of(cpus);
            let all = (pages * size_of::<CodePage>() + code + sites * size_of::<Site>()) * cpus as usize;
            assert!(all < MACHINE && all > MACHINE / 5 * 4, "{cpus} CPUs: {all} bytes");
            assert!(pages > 400, "{cpus} CPUs: {pages} pages");
        }
    }
}
