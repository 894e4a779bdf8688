//! What every [`Disk`] must do, as tests against a model in memory: random operations by seed.
//!
//! An image format runs them on itself, a controller on a driver that implements [`Disk`] over its rings, a network
//! disk on its client. They panic with the seed and the step at the first difference. The disk may have any contents
//! at the start, and should be small (some MiB): the model holds it all.

mod faulty;
mod logged;
mod memory;
mod random;

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

pub use faulty::FaultyDisk;
pub use logged::LoggedDisk;
pub use memory::MemoryDisk;
pub use random::Random;

use parking_lot::Mutex;
use vm_memory::VolatileSlice;

use crate::{Disk, Error, Extent, SizeWatcher};

/// The longest request that [`operations`] makes, in bytes.
const LONGEST: u64 = 200_000;

/// `steps` random operations, each checked: reads, writes (scattered, of any alignment), zeroes, discards, flushes,
/// and requests beyond the end; then the whole disk is compared.
pub fn operations(disk: &dyn Disk, seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let mut model = Model::of(disk);
    for step in 0..steps {
        let at = format!("seed {seed} step {step}");
        let (offset, len) = random.range(disk.size(), LONGEST);
        match random.below(12) {
            0..4 => model.check(disk, offset, len, &mut random, &at),
            4..8 => {
                let data = random.bytes(len as usize);
                write_scattered(disk, offset, &data, &mut random).unwrap_or_else(|e| panic!("{at}: write: {e}"));
                model.set(offset, &data);
            }
            8 => {
                let unmap = random.below(2) == 0;
                disk.write_zeroes(offset, len, unmap).unwrap_or_else(|e| panic!("{at}: zeroes: {e}"));
                model.set(offset, &vec![0; len as usize]);
            }
            9 => {
                disk.discard(offset, len).unwrap_or_else(|e| panic!("{at}: discard: {e}"));
                model.forget(offset, len);
            }
            10 => disk.flush().unwrap_or_else(|e| panic!("{at}: flush: {e}")),
            _ => refuses_what_lies_outside(disk, &mut random, &at),
        }
    }
    model.check(disk, 0, disk.size(), &mut random, &format!("seed {seed} at the end"));
}

/// Several threads, each with random operations in its own part of the disk and a common flush now and then.
pub fn threads(disk: &dyn Disk, seed: u64, steps: usize) {
    const THREADS: u64 = 4;
    let part = disk.size() / THREADS;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let slice = Slice { disk, start: thread * part, size: part };
            scope.spawn(move || operations(&slice, seed.wrapping_add(thread), steps));
        }
    });
}

/// Overlapping writes at the same time: each byte is afterwards what one of the writers wrote.
pub fn overlapping(disk: &dyn Disk, seed: u64, rounds: usize) {
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let (offset, len) = random.range(disk.size(), LONGEST);
        std::thread::scope(|scope| {
            for value in 1..=3u8 {
                scope.spawn(move || disk.write(offset, &[IoSlice::new(&vec![value; len as usize])]).unwrap());
            }
        });
        let got = read(disk, offset, len).unwrap();
        assert!(got.iter().all(|b| (1..=3).contains(b)), "seed {seed} round {round}: a byte that nobody wrote");
    }
}

/// What was written and flushed is there when `open` opens the disk again, and so is its name.
pub fn reopened(mut open: impl FnMut() -> Box<dyn Disk>, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..4 {
        let disk = open();
        let (id, (offset, len)) = (disk.id().to_owned(), random.range(disk.size(), LONGEST));
        assert!(id.len() <= 20 && id.bytes().all(|b| (0x20..0x7f).contains(&b)), "{id:?} is no serial number");
        let data = random.bytes(len as usize);
        disk.write(offset, &[IoSlice::new(&data)]).unwrap();
        disk.flush().unwrap();
        drop(disk);
        let disk = open();
        assert_eq!(read(&*disk, offset, len).unwrap(), data, "seed {seed}: flushed data was lost");
        assert_eq!(disk.id(), id);
    }
}

/// Growing adds zeroes, shrinking cuts off, the watcher hears of both, and extents that promise zeroes hold it.
pub fn resized(disk: &dyn Disk, seed: u64) {
    struct Heard(Mutex<Vec<u64>>);
    impl SizeWatcher for Heard {
        fn size_changed(&self, size: u64) {
            self.0.lock().push(size);
        }
    }
    let heard = Arc::new(Heard(Mutex::new(Vec::new())));
    disk.watch_size(Arc::downgrade(&(heard.clone() as Arc<dyn SizeWatcher>)));
    let mut random = Random::new(seed);
    let mut expected = read(disk, 0, disk.size()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..12 {
        let size = match random.below(2) {
            0 => disk.size() / 1024 * 512 + 512 * random.below(64),
            _ => disk.size() + 512 * random.below(4096),
        };
        disk.resize(size).unwrap();
        sizes.push(size);
        expected.resize(size as usize, 0);
        assert_eq!(disk.size(), size);
        assert!(matches!(disk.read(size, &mut [IoSliceMut::new(&mut [0])]), Err(Error::OutOfBounds { .. })));
        assert!(read(disk, 0, size).unwrap() == expected, "seed {seed} round {round}: resized to {size}");
        let (offset, len) = random.range(size, LONGEST);
        let data = random.bytes(len as usize);
        disk.write(offset, &[IoSlice::new(&data)]).unwrap();
        expected[offset as usize..(offset + len) as usize].copy_from_slice(&data);
        extents(disk);
    }
    assert_eq!(*heard.0.lock(), sizes);
}

/// The extents cover the disk, and where they promise zeroes there are zeroes.
pub fn extents(disk: &dyn Disk) {
    let mut at = 0;
    while at < disk.size() {
        let rest = disk.size() - at;
        let extent = disk.extent(at, rest).unwrap();
        assert!((1..=rest).contains(&extent.len), "an extent of {} bytes at {at}, where {rest} are left", extent.len);
        if extent.kind.is_zero() {
            assert!(read(disk, at, extent.len).unwrap().iter().all(|byte| *byte == 0), "no zeroes at {at}: {extent:?}");
        }
        at += extent.len;
    }
    assert!(matches!(disk.extent(at, 1), Err(Error::OutOfBounds { .. })));
}

/// A disk opened read-only refuses every change, changes nothing, and flushes.
pub fn read_only(disk: &dyn Disk) {
    assert!(disk.read_only());
    let before = read(disk, 0, disk.size()).unwrap();
    assert!(matches!(disk.write(0, &[IoSlice::new(&[1; 512])]), Err(Error::ReadOnly)));
    assert!(matches!(disk.discard(0, 512), Err(Error::ReadOnly)));
    assert!(matches!(disk.write_zeroes(0, 512, true), Err(Error::ReadOnly)));
    assert!(matches!(disk.write_zeroes(0, 512, false), Err(Error::ReadOnly)));
    assert!(matches!(disk.write_durable(0, &[IoSlice::new(&[1; 512])]), Err(Error::ReadOnly)));
    assert!(matches!(disk.resize(disk.size() + 512), Err(Error::ReadOnly)));
    disk.flush().unwrap();
    assert!(read(disk, 0, disk.size()).unwrap() == before, "a read-only disk changed");
}

fn refuses_what_lies_outside(disk: &dyn Disk, random: &mut Random, at: &str) {
    let size = disk.size();
    let (offset, len) = match random.below(4) {
        0 => (size, 1),
        1 => (size - 1, 2),
        2 => (u64::MAX, 1),
        _ => (size + random.below(1 << 40), 1 + random.below(512)),
    };
    let buf = vec![0xee; len as usize];
    for (what, got) in [
        ("read", read(disk, offset, len).map(|_| ())),
        ("write", disk.write(offset, &[IoSlice::new(&buf)])),
        ("discard", disk.discard(offset, len)),
        ("zeroes", disk.write_zeroes(offset, len, false)),
        ("zeroes with unmap", disk.write_zeroes(offset, len, true)),
        ("discard of all", disk.discard(1, u64::MAX)),
    ] {
        assert!(matches!(got, Err(Error::OutOfBounds { .. })), "{at}: {what} at {offset}+{len} of {size}: {got:?}");
    }
}

/// Reads `len` bytes at `offset` into one buffer.
fn read(disk: &dyn Disk, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0xa5; len as usize];
    disk.read(offset, &mut [IoSliceMut::new(&mut buf)])?;
    Ok(buf)
}

fn read_scattered(disk: &dyn Disk, offset: u64, len: u64, random: &mut Random) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0xa5; len as usize];
    let mut pieces = Vec::new();
    let mut rest = &mut buf[..];
    while !rest.is_empty() {
        let (a, b) = rest.split_at_mut(random.piece(rest.len()));
        pieces.push(a);
        rest = b;
    }
    if random.below(2) == 0 {
        let slices: Vec<_> = pieces.into_iter().map(VolatileSlice::from).collect();
        disk.read_volatile(offset, &slices)?;
    } else {
        let mut slices: Vec<_> = pieces.into_iter().map(IoSliceMut::new).collect();
        disk.read(offset, &mut slices)?;
    }
    Ok(buf)
}

fn write_scattered(disk: &dyn Disk, offset: u64, data: &[u8], random: &mut Random) -> Result<(), Error> {
    let mut data = data.to_vec();
    let mut pieces = Vec::new();
    let mut rest = &mut data[..];
    while !rest.is_empty() {
        let (a, b) = rest.split_at_mut(random.piece(rest.len()));
        pieces.push(a);
        rest = b;
    }
    if random.below(2) == 0 {
        let slices: Vec<_> = pieces.into_iter().map(VolatileSlice::from).collect();
        return disk.write_volatile(offset, &slices);
    }
    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    disk.write(offset, &slices)
}

/// The contents as they must be; `None` for a byte that was discarded.
struct Model(Vec<Option<u8>>);

impl Model {
    fn of(disk: &dyn Disk) -> Self {
        Self(read(disk, 0, disk.size()).expect("reading the whole disk").into_iter().map(Some).collect())
    }

    fn set(&mut self, offset: u64, data: &[u8]) {
        for (byte, value) in self.0[offset as usize..].iter_mut().zip(data) {
            *byte = Some(*value);
        }
    }

    fn forget(&mut self, offset: u64, len: u64) {
        self.0[offset as usize..(offset + len) as usize].fill(None);
    }

    fn check(&self, disk: &dyn Disk, offset: u64, len: u64, random: &mut Random, at: &str) {
        let got = read_scattered(disk, offset, len, random).unwrap_or_else(|e| panic!("{at}: read: {e}"));
        let wrong = got.iter().zip(&self.0[offset as usize..]).position(|(got, want)| want.is_some_and(|w| w != *got));
        if let Some(i) = wrong {
            let (byte, want) = (offset + i as u64, self.0[offset as usize + i]);
            panic!("{at}: byte {byte} reads {:#x} and was {want:x?} (read of {offset}+{len})", got[i]);
        }
    }
}

/// A part of a disk as a disk of its own.
struct Slice<'a> {
    disk: &'a dyn Disk,
    start: u64,
    size: u64,
}

impl Slice<'_> {
    fn place(&self, offset: u64, len: u64) -> Result<u64, Error> {
        crate::check_bounds(offset, len, self.size)?;
        Ok(self.start + offset)
    }
}

impl Disk for Slice<'_> {
    fn size(&self) -> u64 {
        self.size
    }
    fn geometry(&self) -> crate::Geometry {
        self.disk.geometry()
    }
    fn read_only(&self) -> bool {
        self.disk.read_only()
    }
    fn id(&self) -> &str {
        self.disk.id()
    }
    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let at = self.place(offset, bufs.iter().map(|b| b.len() as u64).sum())?;
        self.disk.read(at, bufs)
    }
    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let at = self.place(offset, bufs.iter().map(|b| b.len() as u64).sum())?;
        self.disk.write(at, bufs)
    }
    fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.disk.discard(self.place(offset, len)?, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        self.disk.write_zeroes(self.place(offset, len)?, len, unmap)
    }
    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        self.disk.extent(self.place(offset, len)?, len)
    }
}
