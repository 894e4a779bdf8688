//! Memory types and permissions (DDI 0487, D8.4 and D8.5).

use bitflags::bitflags;

use super::{Access, AccessKind};

/// A memory type as `MAIR_EL1` encodes it in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(u8);

impl Memory {
    /// What data accesses get with the MMU off.
    pub const DEVICE_NGNRNE: Self = Self(0x00);
    /// What instruction fetches get with the MMU off and the caches on.
    pub const NORMAL_WRITE_THROUGH: Self = Self(0xaa);

    /// The type with the encoding `attr`.
    #[must_use]
    pub const fn new(attr: u8) -> Self {
        Self(attr)
    }

    /// The encoding.
    #[must_use]
    pub const fn attr(self) -> u8 {
        self.0
    }

    /// Device memory: unaligned accesses fault and nothing is gathered from beyond what is accessed.
    #[must_use]
    pub const fn is_device(self) -> bool {
        self.0 & 0xf0 == 0
    }
}

bitflags! {
    /// Who may do what with a page, after everything that restricts it: table attributes, WXN and the rule that what
    /// EL0 can write EL1 does not execute.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Permissions: u8 {
        /// EL1 may load.
        const EL1_READ = 1 << 0;
        /// EL1 may store.
        const EL1_WRITE = 1 << 1;
        /// EL1 may execute.
        const EL1_EXECUTE = 1 << 2;
        /// EL0 may load.
        const EL0_READ = 1 << 3;
        /// EL0 may store.
        const EL0_WRITE = 1 << 4;
        /// EL0 may execute.
        const EL0_EXECUTE = 1 << 5;
        /// EL0's data accesses are allowed, so that `PSTATE.PAN` keeps EL1 out. Clear with the MMU off.
        const PAN_APPLIES = 1 << 6;
        /// Writable, but hardware has to mark the descriptor dirty first: both write bits are clear, and a walk for
        /// a store does it and sets them.
        const CLEAN = 1 << 7;
    }
}

impl Permissions {
    /// With the MMU off nothing is refused.
    pub(super) const FLAT: Self = Self::from_bits_retain(0x3f);

    /// The permissions of a leaf descriptor with AP[2:1] `ap`, its execute-never bits joined with those of the
    /// tables above it, and `wxn` in force.
    pub(super) const fn of_leaf(ap: u64, pxn: bool, uxn: bool, wxn: bool) -> Self {
        let user = ap & 1 != 0;
        let writable = ap & 2 == 0;
        let user_writable = user && writable;
        let mut bits = Self::EL1_READ.bits();
        if writable {
            bits |= Self::EL1_WRITE.bits();
        }
        if user {
            bits |= Self::EL0_READ.bits() | Self::PAN_APPLIES.bits();
        }
        if user_writable {
            bits |= Self::EL0_WRITE.bits();
        }
        if !(pxn || user_writable || wxn && writable) {
            bits |= Self::EL1_EXECUTE.bits();
        }
        if !(uxn || wxn && user_writable) {
            bits |= Self::EL0_EXECUTE.bits();
        }
        Self::from_bits_retain(bits)
    }

    /// The same where EL0 is kept out.
    pub(super) fn without_el0(self) -> Self {
        self.difference(Self::EL0_READ.union(Self::EL0_WRITE).union(Self::EL0_EXECUTE))
    }

    /// The same, read-only until hardware has marked the page dirty.
    pub(super) fn clean(self) -> Self {
        self.difference(Self::EL1_WRITE.union(Self::EL0_WRITE)).union(Self::CLEAN)
    }
}

/// Whether `permissions` allow `access`.
#[must_use]
pub const fn check(permissions: Permissions, access: Access) -> bool {
    let needed = match (access.kind, access.el0) {
        (AccessKind::Read, false) => Permissions::EL1_READ,
        (AccessKind::Write, false) => Permissions::EL1_WRITE,
        (AccessKind::Execute, false) => Permissions::EL1_EXECUTE,
        (AccessKind::Read, true) => Permissions::EL0_READ,
        (AccessKind::Write, true) => Permissions::EL0_WRITE,
        (AccessKind::Execute, true) => Permissions::EL0_EXECUTE,
    };
    let pan = access.pan && !access.el0 && !matches!(access.kind, AccessKind::Execute);
    permissions.contains(needed) && !(pan && permissions.contains(Permissions::PAN_APPLIES))
}
