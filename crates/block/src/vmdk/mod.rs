//! VMDK, VMware's format ("Virtual Disk Format 5.0", VMware, 2011), read only: sparse, compressed and flat, in one file
//! or many. Sections in this folder are of that document.
//!
//! A disk is a row of extents. A text, the descriptor, names them; a sparse file that is a whole disk by itself may have
//! it inside. Changes over a parent (delta links) are refused.

mod descriptor;
mod header;
mod sparse;

use std::io::IoSliceMut;
use std::sync::Arc;

use self::descriptor::{Descriptor, Kind};
use self::header::Header;
use self::sparse::{Kept, Sparse};
use crate::pieces::{Target, total};
use crate::read_only::ReadOnly;
use crate::store::read_vec;
use crate::{Disk, Error, Extent, ExtentKind, Geometry, check_bounds};

pub use self::descriptor::SIGNATURE as DESCRIPTOR;
pub use self::header::MAGIC;

/// Bytes of a sector, in which the format counts.
const SECTOR: u64 = 512;

/// Opens a file that an image names.
pub type Open<'a> = dyn FnMut(&str) -> Result<Arc<dyn Disk>, Error> + 'a;

/// A VMDK image as a disk.
pub struct Vmdk {
    parts: Vec<Part>,
    size: u64,
    id: String,
}

/// An extent.
struct Part {
    /// Where it begins and ends on the disk, in bytes.
    start: u64,
    end: u64,
    content: Content,
}

enum Content {
    /// The bytes of a file from an offset on.
    Flat(Arc<dyn Disk>, u64),
    Sparse(Sparse),
    Zero,
}

impl Vmdk {
    /// The disk in `file`, which is a descriptor or a sparse extent. `open` opens other files.
    ///
    /// # Errors
    /// When the image is damaged, or of a kind that cannot be read.
    pub fn open(file: Arc<dyn Disk>, open: &mut Open<'_>) -> Result<Self, Error> {
        let id = file.id().to_owned();
        let Some(header) = Header::read(&*file)? else {
            let text = read_vec(&*file, 0, file.size().min(descriptor::LONGEST) as usize)?;
            let parts = parts(&Descriptor::parse(&text)?, open)?;
            return Ok(Self { size: parts.last().map_or(0, |part| part.end), parts, id });
        };
        if let Some(place) = header.descriptor(file.size())? {
            // The only extent is this file, whatever its name was when the descriptor was written.
            Descriptor::parse(&read_vec(&*file, place.start, (place.end - place.start) as usize)?)?;
        }
        let sparse = Sparse::open(0, file, header, &Arc::default())?;
        let size = sparse.size();
        Ok(Self { parts: vec![Part { start: 0, end: size, content: Content::Sparse(sparse) }], size, id })
    }

    /// The extent at `offset`, which is on the disk.
    fn part(&self, offset: u64) -> &Part {
        &self.parts[self.parts.partition_point(|part| part.end <= offset)]
    }
}

fn parts(descriptor: &Descriptor, open: &mut Open<'_>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let (mut start, mut tables) = (0, 0);
    let kept = Arc::<Kept>::default();
    for extent in &descriptor.extents {
        let len = extent.sectors * SECTOR;
        let short = |name: &str| Error::image(format!("its extent {name} is shorter than it says"));
        let content = match &extent.kind {
            Kind::Zero => Content::Zero,
            Kind::Flat { name, sector } => {
                let file = open(name)?;
                let from = sector.checked_mul(SECTOR).ok_or_else(|| short(name))?;
                check_bounds(from, len, file.size()).map_err(|_| short(name))?;
                Content::Flat(file, from)
            }
            Kind::Sparse { name } => {
                let file = open(name)?;
                let missing = || Error::image(format!("its extent {name} has no header"));
                let header = Header::read(&*file)?.ok_or_else(missing)?;
                tables += header.tables as u64;
                if tables > header::DIRECTORY {
                    return Err(Error::image(format!("its extents have {tables} tables, more than can be read")));
                }
                let sparse = Sparse::open(parts.len(), file, header, &kept)?;
                if sparse.size() < len {
                    return Err(short(name));
                }
                Content::Sparse(sparse)
            }
        };
        // The descriptor has bounded the sum.
        parts.push(Part { start, end: start + len, content });
        start += len;
    }
    Ok(parts)
}

impl Part {
    /// Reads from `offset` of the extent.
    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        match &self.content {
            Content::Flat(file, start) => file.read(start + offset, bufs),
            Content::Sparse(sparse) => sparse.read(offset, bufs),
            Content::Zero => {
                bufs.iter_mut().for_each(|buf| buf.fill(0));
                Ok(())
            }
        }
    }

    /// What is at `offset` of the extent, within `len` bytes of it.
    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        match &self.content {
            Content::Flat(file, start) => file.extent(start + offset, len),
            Content::Sparse(sparse) => sparse.extent(offset, len),
            Content::Zero => Ok(Extent { len, kind: ExtentKind::Hole }),
        }
    }
}

impl ReadOnly for Vmdk {
    fn size(&self) -> u64 {
        self.size
    }

    fn geometry(&self) -> Geometry {
        Geometry::default()
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn read(&self, mut offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let mut left = total(bufs.iter().map(|buf| buf.len()))?;
        check_bounds(offset, left, self.size)?;
        let mut target = Target::new(bufs);
        while left > 0 {
            let part = self.part(offset);
            let len = left.min(part.end - offset);
            part.read(offset - part.start, &mut target.take(len))?;
            (offset, left) = (offset + len, left - len);
        }
        Ok(())
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        check_bounds(offset, len, self.size)?;
        if len == 0 {
            return Ok(Extent { len, kind: ExtentKind::Data });
        }
        let part = self.part(offset);
        part.extent(offset - part.start, len.min(part.end - offset))
    }
}
