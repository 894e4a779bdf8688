//! A sparse extent: grains, and tables of two levels that say where each is ("Grain Directory and Grain Tables",
//! "Stream-Optimized Compressed Sparse Extents").

use std::io::IoSliceMut;
use std::sync::Arc;

use super::SECTOR;
use super::header::Header;
use crate::pieces::Target;
use crate::recent::Recent;
use crate::store::{read_padded, read_vec};
use crate::{Disk, Error, Extent, ExtentKind};

/// Bytes of the marker before a compressed grain: its first sector on the disk, the length of what follows.
const MARKER: u64 = 12;

/// An extent.
///
/// Fixed: its number on the disk, the file, its header, the directory. State: what the disk's extents keep together.
pub(super) struct Sparse {
    number: usize,
    file: Arc<dyn Disk>,
    header: Header,
    /// The sector of each table; 0: there is none.
    directory: Vec<u32>,
    kept: Arc<Kept>,
}

/// The tables and compressed grains that were read last, by extent and place: of all extents of a disk together, since
/// there can be many.
#[derive(Default)]
pub(super) struct Kept {
    tables: Recent<(usize, u32), Arc<[u32]>, 64>,
    inflated: Recent<(usize, u64), Arc<[u8]>, 16>,
}

/// What a grain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grain {
    Hole,
    /// At this byte of the file.
    At(u64),
}

impl Sparse {
    /// Extent `number` of a disk.
    pub(super) fn open(number: usize, file: Arc<dyn Disk>, header: Header, kept: &Arc<Kept>) -> Result<Self, Error> {
        let directory = words(&*file, header.directory, header.tables)?;
        Ok(Self { number, file, header, directory, kept: kept.clone() })
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.header.capacity * SECTOR
    }

    /// Bytes of a grain.
    fn grain(&self) -> u64 {
        self.header.grain * SECTOR
    }

    /// Grain number `index`, which lies on the disk.
    fn find(&self, index: u64) -> Result<Grain, Error> {
        let (table, entry) = (index / u64::from(self.header.entries), index % u64::from(self.header.entries));
        let sector = self.directory[table as usize];
        if sector == 0 {
            return Ok(Grain::Hole);
        }
        let read = || words(&*self.file, sector.into(), self.header.entries as usize).map(Into::into);
        Ok(match self.kept.tables.get((self.number, sector), read)?[entry as usize] {
            0 => Grain::Hole,
            1 if self.header.zeroed_grains => Grain::Hole,
            sector => Grain::At(u64::from(sector) * SECTOR),
        })
    }

    /// Fills `bufs` from `offset`; the range was checked.
    pub(super) fn read(&self, mut offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let mut left: u64 = bufs.iter().map(|buf| buf.len() as u64).sum();
        let mut target = Target::new(bufs);
        while left > 0 {
            let (index, within) = (offset / self.grain(), offset % self.grain());
            let len = left.min(self.grain() - within);
            let mut bufs = target.take(len);
            match self.find(index)? {
                Grain::Hole => bufs.iter_mut().for_each(|buf| buf.fill(0)),
                Grain::At(at) if self.header.compressed => {
                    let grain = self.kept.inflated.get((self.number, at), || self.inflate(index, at))?;
                    let mut from = &grain[within as usize..];
                    for buf in &mut bufs {
                        let (part, rest) = from.split_at(buf.len());
                        buf.copy_from_slice(part);
                        from = rest;
                    }
                }
                Grain::At(at) => read_padded(&*self.file, at + within, &mut bufs, len)?,
            }
            (offset, left) = (offset + len, left - len);
        }
        Ok(())
    }

    /// The run of one kind that begins at `offset`, within `len` bytes, at least 1; it ends with its table.
    pub(super) fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        let (first, entries) = (offset / self.grain(), u64::from(self.header.entries));
        let is_hole = |index| Ok::<_, Error>(self.find(index)? == Grain::Hole);
        let hole = is_hole(first)?;
        let end = (offset + len).div_ceil(self.grain()).min((first / entries + 1) * entries);
        let mut next = first + 1;
        while next < end && is_hole(next)? == hole {
            next += 1;
        }
        let kind = if hole { ExtentKind::Hole } else { ExtentKind::Data };
        Ok(Extent { len: len.min(next * self.grain() - offset), kind })
    }

    /// Reads and decompresses grain `index`, whose marker is at `at`: always a whole one.
    fn inflate(&self, index: u64, at: u64) -> Result<Arc<[u8]>, Error> {
        let broken = || Error::image(format!("the compressed grain at {at:#x} is damaged"));
        let marker = read_vec(&*self.file, at, MARKER as usize)?;
        let (sector, len) = marker.split_at(8);
        let sector = sector.try_into().map(u64::from_le_bytes).map_err(|_| broken())?;
        let len = len.try_into().map(u32::from_le_bytes).map_err(|_| broken())?;
        // What does not shrink grows by a few bytes.
        if sector != index * self.header.grain || u64::from(len) > 2 * self.grain() {
            return Err(broken());
        }
        let packed = read_vec(&*self.file, at + MARKER, len as usize)?;
        let mut grain = vec![0; self.grain() as usize];
        let mut inflate = flate2::Decompress::new(true);
        inflate.decompress(&packed, &mut grain, flate2::FlushDecompress::Finish).map_err(|_| broken())?;
        // The last grain may end with the disk.
        if inflate.total_out() < self.grain().min(self.size() - index * self.grain()) {
            return Err(broken());
        }
        Ok(grain.into())
    }
}

/// `count` words of the file, which the caller has bounded, from a sector on.
fn words(file: &dyn Disk, sector: u64, count: usize) -> Result<Vec<u32>, Error> {
    let at = sector.checked_mul(SECTOR).ok_or_else(|| Error::image("its tables lie behind its end"))?;
    let inside = at.checked_add(4 * count as u64).is_some_and(|end| end <= file.size());
    if !inside {
        return Err(Error::image(format!("its table at {at:#x} lies behind its end")));
    }
    let bytes = read_vec(file, at, 4 * count)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
}
