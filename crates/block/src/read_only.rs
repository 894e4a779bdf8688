//! Images that are only read.

use std::io::{IoSlice, IoSliceMut};

use crate::{Disk, Error, Extent, Geometry};

/// What a disk is that nobody writes to: the methods are those of [`Disk`].
pub(crate) trait ReadOnly: Send + Sync {
    fn size(&self) -> u64;
    fn geometry(&self) -> Geometry;
    fn id(&self) -> &str;
    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error>;
    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error>;
}

impl<D: ReadOnly> Disk for D {
    fn size(&self) -> u64 {
        ReadOnly::size(self)
    }

    fn geometry(&self) -> Geometry {
        ReadOnly::geometry(self)
    }

    fn read_only(&self) -> bool {
        true
    }

    fn id(&self) -> &str {
        ReadOnly::id(self)
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        ReadOnly::read(self, offset, bufs)
    }

    fn write(&self, _: u64, _: &[IoSlice<'_>]) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn discard(&self, _: u64, _: u64) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        ReadOnly::extent(self, offset, len)
    }
}
