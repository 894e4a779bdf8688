//! Raw disks: a regular file or a block device, byte for byte.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use vm_memory::VolatileSlice;

use crate::{Disk, Error, Extent, Geometry, SizeWatcher, SizeWatchers, check_bounds, lock, sys, volatile};

/// What a flush does, as in `VZDiskImageSynchronizationMode` of Apple's Virtualization framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// The data is on permanent storage: `F_FULLFSYNC` on macOS, `fdatasync` on Linux.
    #[default]
    Full,
    /// The data has left the host's cache: `fsync` on macOS, where a drive may still hold it in its own cache when
    /// the power fails; on Linux the same as `Full`.
    Fsync,
    /// Nothing: the loss of power loses what was written. For disks that are thrown away.
    None,
}

/// What the host's page cache keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caching {
    /// Whatever it likes.
    #[default]
    Cached,
    /// Nothing after a read or a flush: for disks that would push everything else out.
    Uncached,
}

/// How to open a raw disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawOptions {
    /// Refuse every change, and share the disk with other readers.
    pub read_only: bool,
    /// What a flush does.
    pub sync: SyncMode,
    /// What the page cache keeps.
    pub caching: Caching,
}

/// A regular file or a block device as a disk.
///
/// The bytes of the file are the bytes of the disk; whatever a guest writes there, the file stays a raw disk. A
/// regular file is sparse: discarded ranges become holes.
#[derive(Debug)]
pub struct RawDisk {
    file: File,
    size: AtomicU64,
    resizable: bool,
    watchers: SizeWatchers,
    geometry: Geometry,
    options: RawOptions,
    id: String,
    /// A flush has failed; see [`Disk`].
    flush_failed: AtomicBool,
}

/// How many slices one `preadv` takes on every system that we know (`IOV_MAX`).
pub(crate) const IOV_MAX: usize = 1024;
/// How many zeroes are written at once where the file system cannot make them itself.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

impl RawDisk {
    /// Opens and locks `path`: for this process alone when it may be written to, else shared with other readers.
    pub fn open(path: &Path, options: RawOptions) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.into(), source };
        // Looked at before it is opened, because opening a FIFO would wait and opening a device may do things.
        let meta = path.metadata().map_err(failed)?;
        let kind = meta.file_type();
        if let Some(kind) = not_a_disk(kind) {
            return Err(Error::NotADisk { path: path.into(), kind });
        }
        // The system would let the superuser write to it.
        if !options.read_only && kind.is_file() && meta.permissions().readonly() {
            return Err(Error::WriteProtected { path: path.into() });
        }
        let mut open = OpenOptions::new();
        open.read(true).write(!options.read_only);
        let exclusive = kind.is_block_device() && !options.read_only;
        if exclusive {
            // Without O_CREAT: refuses a block device that the system itself uses.
            open.custom_flags(rustix::fs::OFlags::EXCL.bits() as i32);
        }
        let file = open.open(path).map_err(|e| match e.kind() {
            io::ErrorKind::ResourceBusy if exclusive => busy(path),
            _ => failed(e),
        })?;
        lock::lock(&file, path, !options.read_only)?;
        let (size, geometry) = if kind.is_block_device() {
            sys::block_device(&file).map_err(failed)?
        } else {
            (file.metadata().map_err(failed)?.len(), Geometry::default())
        };
        if options.caching == Caching::Uncached {
            sys::set_uncached(&file);
        }
        let id = stable_id(&path.canonicalize().map_err(failed)?);
        Ok(Self {
            file,
            size: AtomicU64::new(size),
            resizable: !kind.is_block_device(),
            watchers: SizeWatchers::default(),
            geometry,
            options,
            id,
            flush_failed: AtomicBool::new(false),
        })
    }

    /// A file that is open and that nobody else can have.
    pub(crate) fn from_file(file: File, options: RawOptions, id: String) -> Result<Self, Error> {
        let size = file.metadata().map_err(Error::io("look at a file"))?.len();
        Ok(Self {
            file,
            size: AtomicU64::new(size),
            resizable: true,
            watchers: SizeWatchers::default(),
            geometry: Geometry::default(),
            options,
            id,
            flush_failed: AtomicBool::new(false),
        })
    }

    fn check_change(&self, offset: u64, len: u64) -> Result<(), Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        check_bounds(offset, len, self.size())
    }

    fn write_zeroes_by_hand(&self, mut offset: u64, mut len: u64) -> Result<(), Error> {
        while len > 0 {
            let part = len.min(ZEROES.len() as u64);
            self.file.write_all_at(&ZEROES[..part as usize], offset).map_err(Error::io("write zeroes"))?;
            (offset, len) = (offset + part, len - part);
        }
        Ok(())
    }
}

impl Disk for RawDisk {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read_only(&self) -> bool {
        self.options.read_only
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn read(&self, mut offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let what = "read";
        let start = offset;
        let len = total(bufs.iter().map(|b| b.len()))?;
        check_bounds(offset, len, self.size())?;
        for part in bufs.chunks_mut(IOV_MAX) {
            let mut done = retry(|| rustix::io::preadv(&self.file, part, offset)).map_err(Error::io(what))?;
            // The rest of a short read, slice by slice; a file that someone has cut short ends here in an error.
            for buf in part {
                let skip = done.min(buf.len());
                done -= skip;
                self.file.read_exact_at(&mut buf[skip..], offset + skip as u64).map_err(Error::io(what))?;
                offset += buf.len() as u64;
            }
        }
        if self.options.caching == Caching::Uncached {
            sys::drop_cache(&self.file, start, len);
        }
        Ok(())
    }

    fn write(&self, mut offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let what = "write";
        self.check_change(offset, total(bufs.iter().map(|b| b.len()))?)?;
        for part in bufs.chunks(IOV_MAX) {
            let mut done = retry(|| rustix::io::pwritev(&self.file, part, offset)).map_err(Error::io(what))?;
            for buf in part {
                let skip = done.min(buf.len());
                done -= skip;
                self.file.write_all_at(&buf[skip..], offset + skip as u64).map_err(Error::io(what))?;
                offset += buf.len() as u64;
            }
        }
        Ok(())
    }

    fn read_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        let len = total(bufs.iter().map(|b| b.len()))?;
        check_bounds(offset, len, self.size())?;
        volatile::transfer(offset, bufs, |at, part| sys::read_at(&self.file, at, part)).map_err(Error::io("read"))?;
        if self.options.caching == Caching::Uncached {
            sys::drop_cache(&self.file, offset, len);
        }
        Ok(())
    }

    fn write_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.check_change(offset, total(bufs.iter().map(|b| b.len()))?)?;
        volatile::transfer(offset, bufs, |at, part| sys::write_at(&self.file, at, part)).map_err(Error::io("write"))
    }

    fn flush(&self) -> Result<(), Error> {
        if self.options.read_only {
            return Ok(());
        }
        if self.flush_failed.load(Ordering::Acquire) {
            return Err(Error::FlushFailed);
        }
        sys::sync(&self.file, self.options.sync).map_err(|source| {
            self.flush_failed.store(true, Ordering::Release);
            Error::Io { what: "flush", source }
        })?;
        if self.options.caching == Caching::Uncached {
            sys::drop_cache(&self.file, 0, self.size());
        }
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.check_change(offset, len)?;
        if len > 0 {
            sys::punch_hole(&self.file, offset, len).map_err(Error::io("discard"))?;
        }
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        self.check_change(offset, len)?;
        let what = "write zeroes";
        if len == 0
            || unmap && sys::punch_hole(&self.file, offset, len).map_err(Error::io(what))?
            || sys::zero_range(&self.file, offset, len).map_err(Error::io(what))?
        {
            return Ok(());
        }
        self.write_zeroes_by_hand(offset, len)
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        check_bounds(offset, len, self.size())?;
        sys::extent(&self.file, offset, len).map_err(Error::io("look for holes"))
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        if !self.resizable {
            return Err(Error::Unsupported("be resized: it is a block device"));
        }
        self.file.set_len(size).map_err(Error::io("resize"))?;
        self.size.store(size, Ordering::Release);
        self.watchers.tell(size);
        Ok(())
    }

    fn watch_size(&self, watcher: Weak<dyn SizeWatcher>) {
        self.watchers.add(watcher);
    }
}

/// The sum of the lengths. More than 2^64 bytes lie in no disk.
fn total(lens: impl Iterator<Item = usize>) -> Result<u64, Error> {
    lens.map(|l| l as u64).try_fold(0u64, u64::checked_add).ok_or(Error::Unsupported("hold so many bytes"))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Who keeps the block device busy: another disk of ours, which holds its lock, or the host.
fn busy(path: &Path) -> Error {
    let held = File::open(path).ok().and_then(|file| lock::lock(&file, path, true).err());
    held.unwrap_or_else(|| Error::Busy { path: path.into() })
}

fn not_a_disk(kind: FileType) -> Option<&'static str> {
    if kind.is_file() || kind.is_block_device() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a character device")
    }
}

/// 16 hexadecimal digits made of the path (FNV-1a): stable, and telling the guest nothing.
pub(crate) fn stable_id(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}
