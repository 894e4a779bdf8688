//! What is done to a disk: one of fio's patterns, in fio's terms.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;

use super::MIB;

/// In which order, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
    RandRead,
    RandWrite,
}

impl Way {
    /// fio's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::RandRead => "randread",
            Self::RandWrite => "randwrite",
        }
    }

    pub(super) fn is_random(self) -> bool {
        matches!(self, Self::RandRead | Self::RandWrite)
    }

    pub(super) fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::RandWrite)
    }
}

/// Requests of one size, so many of them under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) way: Way,
    /// Bytes of a request.
    pub(super) block: u64,
    pub(super) depth: u16,
}

impl Pattern {
    pub(super) const fn new(way: Way, block: u64, depth: u16) -> Self {
        Self { way, block, depth }
    }

    /// Where in a request the driver looks whether the right bytes came, or puts them: at its first and last piece. All
    /// of them would take as long as the request itself.
    pub(super) fn checked(self) -> [u64; 2] {
        [0, self.block - STAMPED]
    }

    /// As in `randread 4k depth 32`.
    pub(super) fn name(self) -> String {
        let Self { way, block, depth } = self;
        let size = if block >= MIB { format!("{}M", block / MIB) } else { format!("{}k", block >> 10) };
        format!("{} {size} depth {depth}", way.name())
    }
}

/// The pieces of a disk that say where they are.
const STAMPED: u64 = 4096;

/// Makes `path` a disk of `size` bytes without a hole, each piece of which begins with its offset.
pub(super) fn make_disk(path: &Path, size: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let mut bytes = vec![0u8; MIB as usize];
    let mut word = 1u32;
    bytes.iter_mut().for_each(|byte| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (word >> 24) as u8;
    });
    for at in (0..size).step_by(bytes.len()) {
        for (piece, offset) in bytes.chunks_mut(STAMPED as usize).zip((at..).step_by(STAMPED as usize)) {
            piece[..8].copy_from_slice(&offset.to_le_bytes());
        }
        file.write_all(&bytes)?;
    }
    Ok(file.sync_all()?)
}

/// Where requests go: one after the other, or to places that are the same in each run.
pub(super) struct Places {
    pattern: Pattern,
    blocks: u64,
    next: u64,
}

impl Places {
    /// On a disk of `size` bytes.
    pub(super) fn new(pattern: Pattern, size: u64) -> Self {
        Self { pattern, blocks: size / pattern.block, next: 1 }
    }

    /// The offset of the next request.
    pub(super) fn next(&mut self) -> u64 {
        let block = if self.pattern.way.is_random() {
            // xorshift64, Marsaglia 2003.
            self.next ^= self.next << 13;
            self.next ^= self.next >> 7;
            self.next ^= self.next << 17;
            self.next % self.blocks
        } else {
            self.next += 1;
            (self.next - 2) % self.blocks
        };
        block * self.pattern.block
    }
}
