//! The driver's side of a controller as a [`Disk`] of bytes, so that the contract of disks runs over it.

use std::io::{IoSlice, IoSliceMut};

use block::{Disk, Error, Geometry, check_bounds};
use parking_lot::Mutex;

use super::{BlockDriver, Failed, Request};

/// Reads and writes whole blocks, as guests do: what is not whole is read before it is written.
pub struct Bytes {
    driver: Mutex<Box<dyn BlockDriver>>,
    block: u64,
    longest: u64,
    size: u64,
}

impl Bytes {
    /// The disk behind `driver`.
    #[must_use]
    pub fn new(driver: Box<dyn BlockDriver>) -> Self {
        let (block, longest) = (driver.block(), driver.longest());
        Self { block, longest, size: driver.blocks() * block, driver: Mutex::new(driver) }
    }

    fn send(&self, request: &Request) -> Result<Vec<u8>, Error> {
        let mut driver = self.driver.lock();
        if !driver.can(request) {
            return Ok(Vec::new());
        }
        let told = |Failed| Error::Io { what: "request", source: std::io::Error::other("told by the controller") };
        driver.request(request).map_err(told)
    }

    /// The blocks of a range and the offset in the first.
    fn blocks(&self, offset: u64, len: u64) -> Result<(u64, u64, usize), Error> {
        check_bounds(offset, len, self.size)?;
        let first = offset / self.block;
        Ok((first, (offset + len).div_ceil(self.block) - first, (offset % self.block) as usize))
    }

    fn pieces(&self, first: u64, count: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let longest = self.longest;
        (first..first + count).step_by(longest as usize).map(move |at| (at, longest.min(first + count - at)))
    }

    fn get(&self, first: u64, count: u64) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        for (first, count) in self.pieces(first, count) {
            data.extend(self.send(&Request::Read { first, count })?);
        }
        Ok(data)
    }

    /// A request for the whole blocks of a range, cut into pieces.
    fn whole(&self, first: u64, end: u64, request: impl Fn(u64, u64) -> Request) -> Result<(), Error> {
        for (first, count) in self.pieces(first, end.saturating_sub(first)) {
            self.send(&request(first, count))?;
        }
        Ok(())
    }
}

impl Disk for Bytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn geometry(&self) -> Geometry {
        Geometry { logical_block: self.block as u32, ..Geometry::default() }
    }

    fn read_only(&self) -> bool {
        self.driver.lock().read_only()
    }

    fn id(&self) -> &str {
        "driver"
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let (first, count, skip) = self.blocks(offset, bufs.iter().map(|buf| buf.len() as u64).sum())?;
        let data = self.get(first, count)?;
        let mut from = &data[skip..];
        for buf in bufs {
            let (part, rest) = from.split_at(buf.len());
            buf.copy_from_slice(part);
            from = rest;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let (first, count, skip) = self.blocks(offset, bufs.iter().map(|buf| buf.len() as u64).sum())?;
        let mut data = self.get(first, count)?;
        let new: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
        data[skip..][..new.len()].copy_from_slice(&new);
        for (at, count) in self.pieces(first, count) {
            let from = ((at - first) * self.block) as usize;
            let data = data[from..][..(count * self.block) as usize].to_vec();
            self.send(&Request::Write { first: at, data })?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        self.send(&Request::Flush).map(drop)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        check_bounds(offset, len, self.size)?;
        let (first, end) = (offset.div_ceil(self.block), (offset + len) / self.block);
        self.whole(first, end, |first, count| Request::Discard { first, count })
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        let (first, count, skip) = self.blocks(offset, len)?;
        let zeroes = Request::Zeroes { first, count, unmap };
        if skip != 0 || !len.is_multiple_of(self.block) || !self.driver.lock().can(&zeroes) {
            return self.write(offset, &[IoSlice::new(&vec![0; len as usize])]);
        }
        self.whole(first, first + count, |first, count| Request::Zeroes { first, count, unmap })
    }
}
