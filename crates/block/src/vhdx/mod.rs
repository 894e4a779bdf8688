//! VHDX, Hyper-V's format ("[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format", Microsoft), read only: fixed and
//! dynamic images that were closed. Sections in this folder are of that document.
//!
//! A disk is a row of blocks, and a table of them, the BAT, says where each is. Changes over a parent are refused, and so
//! are images with changes in their log, which somebody who may write has to apply first.

mod header;
mod metadata;

use std::io::IoSliceMut;
use std::sync::Arc;

use self::header::{Region, Regions};
use self::metadata::Metadata;
use crate::pieces::{Target, total};
use crate::read_only::ReadOnly;
use crate::recent::Recent;
use crate::store::read_vec;
use crate::{Disk, Error, Extent, ExtentKind, Geometry, check_bounds};

pub use self::header::{MAGIC, checksum};

/// Entries of the table that are read at once, and bytes of one.
const PAGE: u64 = 512;
const ENTRY: u64 = 8;
/// Sectors that a bitmap block describes, which is how often its entry stands between those of payload blocks ("2.5
/// BAT").
const BITMAP_SECTORS: u64 = 1 << 23;
/// The states of a payload block ("2.5.1.1 Payload BAT Entry States"): zeroes, or what nobody may care for; its bytes.
const NOT_PRESENT: u64 = 0;
const UNDEFINED: u64 = 1;
const ZERO: u64 = 2;
const UNMAPPED: u64 = 3;
const FULLY_PRESENT: u64 = 6;

/// A VHDX image as a disk.
///
/// Fixed: the file, what its metadata says, where its table is. State: the parts of the table that were read last.
pub struct Vhdx {
    file: Arc<dyn Disk>,
    metadata: Metadata,
    bat: Region,
    /// Payload blocks between two entries of bitmap blocks.
    chunk: u64,
    pages: Recent<u64, Arc<[u64]>, 64>,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Hole,
    /// At this byte of the file.
    At(u64),
}

impl Vhdx {
    /// The disk in `file`.
    ///
    /// # Errors
    /// When the image is damaged, was not closed, or is a change over another one.
    pub fn open(file: Arc<dyn Disk>) -> Result<Self, Error> {
        let regions = Regions::read(&*file)?;
        let metadata = Metadata::read(&*file, regions.metadata)?;
        let chunk = BITMAP_SECTORS * u64::from(metadata.logical_sector) / metadata.block;
        let last = metadata.size.div_ceil(metadata.block) - 1;
        let bat = regions.bat;
        if (last + last / chunk + 1) * ENTRY > bat.len {
            return Err(Error::image(format!("its block allocation table of {} bytes is too short", bat.len)));
        }
        Ok(Self { file, metadata, bat, chunk, pages: Recent::default() })
    }

    /// Block number `index`, which lies on the disk.
    fn find(&self, index: u64) -> Result<Block, Error> {
        let at = index + index / self.chunk;
        let entry = self.pages.get(at / PAGE, || self.page(at / PAGE))?[(at % PAGE) as usize];
        match entry & 7 {
            NOT_PRESENT | UNDEFINED | ZERO | UNMAPPED => Ok(Block::Hole),
            FULLY_PRESENT => {
                let at = entry >> 20 << 20;
                let inside = at.checked_add(self.metadata.block).is_some_and(|end| end <= self.file.size());
                inside
                    .then_some(Block::At(at))
                    .ok_or_else(|| Error::image(format!("its block {index} lies behind its end")))
            }
            state => Err(Error::image(format!("its block {index} is damaged: it is in state {state}"))),
        }
    }

    /// Part `number` of the table.
    fn page(&self, number: u64) -> Result<Arc<[u64]>, Error> {
        let start = number * PAGE * ENTRY;
        let len = (self.bat.len - start).min(PAGE * ENTRY);
        let bytes = read_vec(&*self.file, self.bat.start + start, len as usize)?;
        Ok(bytes.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect())
    }
}

impl ReadOnly for Vhdx {
    fn size(&self) -> u64 {
        self.metadata.size
    }

    fn geometry(&self) -> Geometry {
        let Metadata { logical_sector, physical_sector, .. } = self.metadata;
        Geometry {
            logical_block: logical_sector,
            physical_block: physical_sector.max(logical_sector),
            ..Geometry::default()
        }
    }

    fn id(&self) -> &str {
        self.file.id()
    }

    fn read(&self, mut offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let mut left = total(bufs.iter().map(|buf| buf.len()))?;
        check_bounds(offset, left, self.metadata.size)?;
        let mut target = Target::new(bufs);
        while left > 0 {
            let (index, within) = (offset / self.metadata.block, offset % self.metadata.block);
            let len = left.min(self.metadata.block - within);
            let mut bufs = target.take(len);
            match self.find(index)? {
                Block::Hole => bufs.iter_mut().for_each(|buf| buf.fill(0)),
                Block::At(at) => self.file.read(at + within, &mut bufs)?,
            }
            (offset, left) = (offset + len, left - len);
        }
        Ok(())
    }

    /// A run ends with its part of the table.
    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        check_bounds(offset, len, self.metadata.size)?;
        if len == 0 {
            return Ok(Extent { len, kind: ExtentKind::Data });
        }
        let first = offset / self.metadata.block;
        let is_hole = |index| Ok::<_, Error>(self.find(index)? == Block::Hole);
        let hole = is_hole(first)?;
        let end = (offset + len).div_ceil(self.metadata.block).min(first + PAGE);
        let mut next = first + 1;
        while next < end && is_hole(next)? == hole {
            next += 1;
        }
        let kind = if hole { ExtentKind::Hole } else { ExtentKind::Data };
        Ok(Extent { len: len.min(next * self.metadata.block - offset), kind })
    }
}
