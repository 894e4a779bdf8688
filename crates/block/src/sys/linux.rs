//! Linux: `fallocate`, `fdatasync`, the page cache, block devices, and who holds a lock.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Advice, FallocateFlags, SeekFrom, fadvise, fallocate, seek};
use rustix::io::Errno;

use crate::{Extent, ExtentKind, Geometry, SyncMode};

/// Makes what was written durable.
pub(crate) fn sync(file: &File, mode: SyncMode) -> io::Result<()> {
    match mode {
        SyncMode::Full | SyncMode::Fsync => file.sync_data(),
        SyncMode::None => Ok(()),
    }
}

/// Frees the range, which then reads as zeroes. `false`: this file cannot.
pub(crate) fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    try_fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)
}

/// Makes the range read as zeroes and keeps it allocated. `false`: this file cannot.
pub(crate) fn zero_range(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    try_fallocate(file, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, offset, len)
}

fn try_fallocate(file: &File, flags: FallocateFlags, offset: u64, len: u64) -> io::Result<bool> {
    loop {
        return match fallocate(file, flags, offset, len) {
            Ok(()) => Ok(true),
            Err(Errno::INTR) => continue,
            // INVAL: a block device, when the range does not fit its blocks.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => Ok(false),
            Err(e) => Err(e.into()),
        };
    }
}

/// Up to so many bytes, a cluster of most images, it is not worth to look where data ends.
const SHORT: u64 = 64 << 10;

/// What is at `offset`, by `SEEK_DATA` and `SEEK_HOLE` (lseek(2)); data where the file cannot tell. It moves the
/// file's position, which nobody here uses.
pub(crate) fn extent(file: &File, offset: u64, len: u64) -> io::Result<Extent> {
    let run = |end: u64, kind| Ok(Extent { len: (end - offset).min(len), kind });
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) if data > offset => return run(data, ExtentKind::Hole),
        // Nothing but a hole up to the end of the file.
        Err(Errno::NXIO) => return Ok(Extent { len, kind: ExtentKind::Hole }),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Extent { len, kind: ExtentKind::Data }),
        Err(e) => return Err(e.into()),
        // Looking for the hole behind the data takes as long as there is data on some file systems (tmpfs).
        Ok(_) if len <= SHORT => return Ok(Extent { len, kind: ExtentKind::Data }),
        Ok(_) => {}
    }
    match seek(file, SeekFrom::Hole(offset)) {
        Ok(hole) if hole > offset => run(hole, ExtentKind::Data),
        // The file changes under us: whoever asks reads the bytes.
        _ => Ok(Extent { len, kind: ExtentKind::Data }),
    }
}

/// Makes the new file `to` share the blocks of `from` (`FICLONE`, ioctl_ficlone(2)). `false`: the file system cannot,
/// and there is no file.
pub(crate) fn reflink(from: &File, to: &Path) -> io::Result<bool> {
    let target = File::create_new(to)?;
    let done = match rustix::fs::ioctl_ficlone(target, from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(e) => Err(e.into()),
    };
    if !matches!(done, Ok(true)) {
        fs::remove_file(to)?;
    }
    done
}

/// Nothing to set on the file: [`drop_cache`] does it.
pub(crate) fn set_uncached(_: &File) {}

/// Asks the page cache to forget the range. Advice only, so a failure is no error.
pub(crate) fn drop_cache(file: &File, offset: u64, len: u64) {
    if let Some(len) = NonZeroU64::new(len) {
        let _ = fadvise(file, offset, Some(len), Advice::DontNeed);
    }
}

/// Size and block sizes of a block device.
pub(crate) fn block_device(mut file: &File) -> io::Result<(u64, Geometry)> {
    let size = file.seek(io::SeekFrom::End(0))?;
    let logical_block = rustix::fs::ioctl_blksszget(file)?;
    let physical_block = rustix::fs::ioctl_blkpbszget(file)?.max(logical_block);
    Ok((size, Geometry { logical_block, physical_block, discard_granularity: physical_block }))
}

/// Who holds a `flock` lock on the file, from `/proc/locks` (proc(5)): only processes that this one may see.
pub(crate) fn lock_holders(file: &File) -> io::Result<Vec<String>> {
    let meta = file.metadata()?;
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let inode = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    let mut holders: Vec<String> = fs::read_to_string("/proc/locks")?
        .lines()
        .filter_map(|line| holder(line, &inode))
        .map(|pid| match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("{} (process {pid})", name.trim_end()),
            Err(_) => format!("process {pid}"),
        })
        .collect();
    holders.dedup();
    Ok(holders)
}

/// The process in a line such as `1: FLOCK  ADVISORY  WRITE 4711 fe:01:1835018 0 EOF`. Waiters have `->` second.
fn holder(line: &str, inode: &str) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, pid, on, ..] = words[..] else { return None };
    (on == inode).then(|| pid.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::holder;

    #[test]
    fn the_holder_of_a_lock_is_read_from_proc_locks() {
        let inode = "fe:01:1835018";
        for (line, pid) in [
            ("1: FLOCK  ADVISORY  WRITE 4711 fe:01:1835018 0 EOF", Some(4711)),
            ("2: FLOCK  ADVISORY  READ  7 fe:01:1835018 0 EOF", Some(7)),
            ("2: -> FLOCK  ADVISORY  WRITE 8 fe:01:1835018 0 EOF", None),
            ("3: POSIX  ADVISORY  WRITE 9 fe:01:1835018 0 EOF", None),
            ("4: FLOCK  ADVISORY  WRITE 10 fe:01:18350180 0 EOF", None),
            ("", None),
        ] {
            assert_eq!(holder(line, inode), pid, "{line}");
        }
    }
}
