//! macOS: `F_FULLFSYNC`, `F_NOCACHE` and `clonefile`; no holes through the safe interface, so zeroes are written.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::{Extent, ExtentKind, Geometry, SyncMode};

/// Makes what was written durable. The standard library's `sync_data` is `F_FULLFSYNC` on macOS.
pub(crate) fn sync(file: &File, mode: SyncMode) -> io::Result<()> {
    match mode {
        SyncMode::Full => file.sync_data(),
        SyncMode::Fsync => Ok(rustix::fs::fsync(file)?),
        SyncMode::None => Ok(()),
    }
}

/// Frees the range: not here.
pub(crate) fn punch_hole(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// Makes the range read as zeroes: not here.
pub(crate) fn zero_range(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// What is at `offset`: whoever asks reads the bytes. macOS has `SEEK_HOLE`, but on APFS it was seen to find holes where data
/// was written (bug 61386 of GNU coreutils, which does not ask there either).
pub(crate) fn extent(_: &File, _: u64, len: u64) -> io::Result<Extent> {
    Ok(Extent { len, kind: ExtentKind::Data })
}

/// Makes the new file `to` share the blocks of `from` (`fclonefileat`, clonefile(2)). `false`: the file system cannot,
/// and there is no file.
pub(crate) fn reflink(from: &File, to: &Path) -> io::Result<bool> {
    #[cfg(target_vendor = "apple")]
    {
        use rustix::fs::{CWD, CloneFlags, fclonefileat};
        use rustix::io::Errno;

        match fclonefileat(from, CWD, to, CloneFlags::NOOWNERCOPY) {
            Ok(()) => Ok(true),
            Err(Errno::NOTSUP | Errno::XDEV) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        let _ = (from, to);
        Ok(false)
    }
}

/// Keeps the file's contents out of the cache. Advice only, so a failure is no error.
pub(crate) fn set_uncached(file: &File) {
    #[cfg(target_vendor = "apple")]
    let _ = rustix::fs::fcntl_nocache(file, true);
    #[cfg(not(target_vendor = "apple"))]
    let _ = file;
}

/// Nothing to do: [`set_uncached`] holds for every access.
pub(crate) fn drop_cache(_: &File, _: u64, _: u64) {}

/// Size and block sizes of a block device: not here.
pub(crate) fn block_device(_: &File) -> io::Result<(u64, Geometry)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "block devices can be used as disks on Linux only"))
}

/// The system does not tell who holds a lock.
pub(crate) fn lock_holders(_: &File) -> io::Result<Vec<String>> {
    Ok(Vec::new())
}
