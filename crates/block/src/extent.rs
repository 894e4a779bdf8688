//! What a disk knows about a range without reading it.

/// A run of bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many bytes, at least 1.
    pub len: u64,
    /// What they are.
    pub kind: ExtentKind,
}

/// What the bytes of an [`Extent`] are. In `base:allocation` of the NBD protocol: no flag, `ZERO`, `HOLE | ZERO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Anything: the bytes have to be read to know.
    Data,
    /// Zeroes, for which there is room on the medium.
    Zero,
    /// Zeroes that take no room: a write to them may find the medium full.
    Hole,
}

impl ExtentKind {
    /// Whether the bytes are known to read as zeroes.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self != Self::Data
    }
}
