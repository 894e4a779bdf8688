//! A disk in memory for the tests of controllers: it can lose power, fail, and count.

use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::sync::Weak;

use parking_lot::{Mutex, MutexGuard};

use crate::{Disk, Error, Extent, ExtentKind, Geometry, SizeWatcher, SizeWatchers, check_bounds};

/// A disk in memory. What was discarded reads as `0xdb`, so that nobody takes discarded bytes for zeroes.
pub struct MemoryDisk {
    geometry: Geometry,
    read_only: bool,
    state: Mutex<State>,
    watchers: SizeWatchers,
}

struct State {
    now: Vec<u8>,
    durable: Vec<u8>,
    flushes: usize,
    failing: bool,
}

impl MemoryDisk {
    /// A disk of `size` zeroes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::holding(vec![0; size])
    }

    /// A disk with these contents, which are durable.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        let state = State { durable: bytes.clone(), now: bytes, flushes: 0, failing: false };
        Self {
            geometry: Geometry::default(),
            read_only: false,
            state: Mutex::new(state),
            watchers: SizeWatchers::default(),
        }
    }

    /// The same, read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The same with other block sizes.
    #[must_use]
    pub fn with_geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = geometry;
        self
    }

    /// The contents that a reader sees now.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.state.lock().now.clone()
    }

    /// The power fails: what was not flushed is gone.
    pub fn lose_power(&self) {
        let mut state = self.state.lock();
        state.now = state.durable.clone();
    }

    /// How often the disk was flushed.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.state.lock().flushes
    }

    /// From now on (or no longer) every request fails with an I/O error.
    pub fn set_failing(&self, failing: bool) {
        self.state.lock().failing = failing;
    }

    fn start(&self, offset: u64, len: u64, change: bool) -> Result<(MutexGuard<'_, State>, Range<usize>), Error> {
        if change && self.read_only {
            return Err(Error::ReadOnly);
        }
        let state = self.state.lock();
        check_bounds(offset, len, state.now.len() as u64)?;
        if state.failing {
            return Err(Error::Io { what: "fault injection", source: io::Error::other("told to fail") });
        }
        Ok((state, offset as usize..(offset + len) as usize))
    }
}

impl Disk for MemoryDisk {
    fn size(&self) -> u64 {
        self.state.lock().now.len() as u64
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn id(&self) -> &str {
        "memory"
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let (state, range) = self.start(offset, bufs.iter().map(|b| b.len() as u64).sum(), false)?;
        let mut from = &state.now[range];
        for buf in bufs {
            let (part, rest) = from.split_at(buf.len());
            buf.copy_from_slice(part);
            from = rest;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let (mut state, range) = self.start(offset, bufs.iter().map(|b| b.len() as u64).sum(), true)?;
        let data: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        state.now[range].copy_from_slice(&data);
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        let (mut state, _) = self.start(0, 0, false)?;
        let state = &mut *state;
        state.flushes += 1;
        state.durable.clone_from(&state.now);
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        let (mut state, range) = self.start(offset, len, true)?;
        state.now[range].fill(0xdb);
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> Result<(), Error> {
        let (mut state, range) = self.start(offset, len, true)?;
        state.now[range].fill(0);
        Ok(())
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        let (state, range) = self.start(offset, len, false)?;
        let zero = state.now.get(range.start) == Some(&0);
        let len = state.now[range].iter().take_while(|byte| (**byte == 0) == zero).count() as u64;
        Ok(Extent { len, kind: if zero { ExtentKind::Zero } else { ExtentKind::Data } })
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        let bytes = usize::try_from(size).map_err(|_| Error::Unsupported("hold so many bytes"))?;
        self.start(0, 0, true)?.0.now.resize(bytes, 0);
        self.watchers.tell(size);
        Ok(())
    }

    fn watch_size(&self, watcher: Weak<dyn SizeWatcher>) {
        self.watchers.add(watcher);
    }
}
