//! The header of a sparse extent ("Hosted Sparse Extents").

use std::ops::Range;

use super::{SECTOR, descriptor};
use crate::store::read_vec;
use crate::{Disk, Error};

/// How a sparse extent begins.
pub const MAGIC: [u8; 4] = *b"KDMV";

/// Bytes of a header.
const SIZE: u64 = 512;
/// Where the footer of a compressed extent is, from the end: its marker, it, the marker of the end.
const FOOTER: u64 = 1024;
/// "The tables are told by the footer", as offset of the directory.
const IN_FOOTER: u64 = u64::MAX;
/// Flags: an entry of 1 is a grain of zeroes; grains are compressed; there are markers before them.
const ZEROED_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;
/// Compression of grains: Deflate in zlib's wrapper.
const DEFLATE: u16 = 1;
/// Sectors of a grain, of a disk; entries of a table, of all directories: at most.
const GRAIN: u64 = 4096;
const CAPACITY: u64 = 1 << 51;
const ENTRIES: u32 = 4096;
pub(super) const DIRECTORY: u64 = 4 << 20;

/// A header that was checked.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// Sectors of the extent.
    pub(super) capacity: u64,
    /// Sectors of a grain, a power of two.
    pub(super) grain: u64,
    /// Entries of a grain table.
    pub(super) entries: u32,
    /// Sector of the grain directory, and how many entries it has.
    pub(super) directory: u64,
    pub(super) tables: usize,
    /// An entry of 1 means a grain of zeroes.
    pub(super) zeroed_grains: bool,
    pub(super) compressed: bool,
    /// Sectors with the descriptor: where, and how many.
    inside: (u64, u64),
}

impl Header {
    /// The header of `file`; `None` when it does not begin like a sparse extent.
    pub(super) fn read(file: &dyn Disk) -> Result<Option<Self>, Error> {
        if file.size() < SIZE {
            return Ok(None);
        }
        let first = read_vec(file, 0, SIZE as usize)?;
        if !first.starts_with(&MAGIC) {
            return Ok(None);
        }
        if u64_at(&first, 56) != IN_FOOTER {
            return Self::parse(&first).map(Some);
        }
        let footer = file.size().checked_sub(FOOTER).map(|at| read_vec(file, at, SIZE as usize)).transpose()?;
        match footer {
            Some(footer) if footer.starts_with(&MAGIC) && u64_at(&footer, 56) != IN_FOOTER => {
                // The descriptor is told by the first.
                let inside = (u64_at(&first, 28), u64_at(&first, 36));
                Ok(Some(Self { inside, ..Self::parse(&footer)? }))
            }
            _ => Err(Error::image("it has no footer: it is not complete")),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |what: &str, value: u64| Error::image(format!("its header is damaged: {what} of {value}"));
        let (version, flags, entries) = (u32_at(bytes, 4), u32_at(bytes, 8), u32_at(bytes, 44));
        if !(1..=3).contains(&version) {
            return Err(Error::image(format!("version {version} of the format cannot be read: 1 to 3 can")));
        }
        let (capacity, grain, directory) = (u64_at(bytes, 12), u64_at(bytes, 20), u64_at(bytes, 56));
        if capacity > CAPACITY {
            return Err(wrong("a size in sectors", capacity));
        }
        if !grain.is_power_of_two() || !(8..=GRAIN).contains(&grain) {
            return Err(wrong("a grain size", grain));
        }
        if !(1..=ENTRIES).contains(&entries) {
            return Err(wrong("a table size", entries.into()));
        }
        let tables = capacity.div_ceil(grain * u64::from(entries));
        if tables > DIRECTORY {
            return Err(wrong("a directory size", tables));
        }
        let compressed = flags & COMPRESSED != 0;
        let algorithm = u16::from_le_bytes([bytes[77], bytes[78]]);
        if compressed && (flags & MARKERS == 0 || algorithm != DEFLATE) {
            return Err(wrong("a compression", algorithm.into()));
        }
        Ok(Self {
            capacity,
            grain,
            entries,
            directory,
            tables: tables as usize,
            zeroed_grains: flags & ZEROED_GRAINS != 0,
            compressed,
            inside: (u64_at(bytes, 28), u64_at(bytes, 36)),
        })
    }

    /// Where in the file of `size` bytes the descriptor is, in bytes, if it has one.
    pub(super) fn descriptor(&self, size: u64) -> Result<Option<Range<u64>>, Error> {
        let (at, sectors) = self.inside;
        if at == 0 {
            return Ok(None);
        }
        let start = at.checked_mul(SECTOR).filter(|start| *start < size);
        let start = start.ok_or_else(|| Error::image("its descriptor lies behind its end"))?;
        let len = sectors.saturating_mul(SECTOR).min(descriptor::LONGEST).min(size - start);
        Ok(Some(start..start + len))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
