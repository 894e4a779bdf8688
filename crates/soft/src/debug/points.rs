//! Breakpoints, watchpoints and the step of a CPU.

use arm64::mmu::AccessKind;
use hv::debug::{Points, Stop, WatchKind, Watchpoint};

use crate::code::PAGE_SIZE;
use crate::cpu::Cpu;
use crate::trap::Trap;

/// What a debugger wants of a CPU.
pub(crate) struct Debugging {
    points: Points,
    step: bool,
}

impl Debugging {
    /// The breakpoints and watchpoints.
    pub fn into_points(self) -> Points {
        self.points
    }

    /// The offsets of the breakpoints in the page at `page`.
    pub fn breakpoints_of(&self, page: u64) -> Vec<u64> {
        let here = self.points.breakpoints.iter().map(|va| va.wrapping_sub(page));
        here.filter(|offset| *offset < PAGE_SIZE).collect()
    }

    /// The watchpoint that an access touches first.
    fn watched(&self, va: u64, size: u64, kind: AccessKind) -> Option<Stop> {
        let matches = |point: &&Watchpoint| match point.kind {
            WatchKind::Read => kind == AccessKind::Read,
            WatchKind::Write => kind == AccessKind::Write,
            WatchKind::Access => true,
        };
        self.points.watchpoints.iter().filter(matches).find_map(|point| {
            // The first byte of one lies in the other, whatever wraps around the end of the address space.
            let address = if va.wrapping_sub(point.address) < point.length {
                va
            } else if point.address.wrapping_sub(va) < size {
                point.address
            } else {
                return None;
            };
            Some(Stop::Watchpoint { address, kind: point.kind })
        })
    }

    /// Whether an access to the page of `va` may touch something that is watched.
    fn watches_page(&self, va: u64) -> bool {
        let page = va & !(PAGE_SIZE - 1);
        let touches = |point: &Watchpoint| {
            page.wrapping_sub(point.address) < point.length || point.address.wrapping_sub(page) < PAGE_SIZE
        };
        self.points.watchpoints.iter().any(touches)
    }
}

impl Cpu {
    /// Keeps what a debugger wants, which is nothing at all most of the time.
    pub(super) fn set_debugging(&mut self, points: Points, step: bool) {
        let idle = points == Points::default() && !step;
        self.debug = (!idle).then(|| Box::new(Debugging { points, step }));
    }

    /// Whether the CPU is to carry out one instruction.
    pub(crate) fn is_stepped(&self) -> bool {
        self.debug.as_ref().is_some_and(|debug| debug.step)
    }

    /// The stop of a breakpoint at the program counter, which a step does not heed.
    pub(crate) fn breakpoint_here(&self) -> Option<Trap> {
        let debug = self.debug.as_ref().filter(|debug| !debug.step)?;
        debug.points.breakpoints.contains(&self.pc).then_some(Trap::Debug(Stop::Breakpoint))
    }

    /// The offsets of the breakpoints in the page of `va`.
    pub(crate) fn breakpoints_in_page(&self, va: u64) -> Vec<u64> {
        self.debug.as_ref().map(|debug| debug.breakpoints_of(va & !(PAGE_SIZE - 1))).unwrap_or_default()
    }

    /// Whether the page of `va` has to stay out of the data TLB.
    pub(crate) fn watches_page(&self, va: u64) -> bool {
        self.debug.as_ref().is_some_and(|debug| debug.watches_page(va))
    }

    /// Stops before an access to something that is watched.
    pub(crate) fn check_watchpoints(&self, va: u64, size: u64, kind: AccessKind) -> Result<(), Trap> {
        let hit = self.debug.as_ref().and_then(|debug| debug.watched(va, size, kind));
        hit.map_or(Ok(()), |stop| Err(Trap::Debug(stop)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_touches_what_it_overlaps() {
        let watch = |address, length, kind| Debugging {
            points: Points { breakpoints: Vec::new(), watchpoints: vec![Watchpoint { address, length, kind }] },
            step: false,
        };
        for (address, length, va, size, touched) in [
            (0x1004, 4, 0x1004, 4, Some(0x1004)),
            (0x1004, 4, 0x1000, 4, None),
            (0x1004, 4, 0x1000, 5, Some(0x1004)),
            (0x1004, 4, 0x1007, 1, Some(0x1007)),
            (0x1004, 4, 0x1008, 8, None),
            (0x1000, 0x3000, 0x2010, 2, Some(0x2010)),
            (u64::MAX, 1, u64::MAX - 7, 8, Some(u64::MAX)),
        ] {
            let all = watch(address, length, WatchKind::Access);
            let stop = touched.map(|address| Stop::Watchpoint { address, kind: WatchKind::Access });
            assert_eq!(all.watched(va, size, AccessKind::Read), stop, "{va:#x}+{size}");
            if touched.is_some() {
                assert!(all.watches_page(va) || all.watches_page(va + size - 1));
                assert!(watch(address, length, WatchKind::Write).watched(va, size, AccessKind::Read).is_none());
                assert!(watch(address, length, WatchKind::Read).watched(va, size, AccessKind::Write).is_none());
            }
        }
        assert!(watch(0x1fff, 2, WatchKind::Read).watches_page(0x2ff0));
        assert!(!watch(0x1fff, 1, WatchKind::Read).watches_page(0x2000));
    }
}
