//! Copies of image files that cost no more than they must: shared blocks, an overlay, or bytes without zeroes.

use std::fs::{self, File};
use std::path::Path;

use super::{Progress, copy};
use crate::qcow2::{self, BackingName, CreateOptions};
use crate::{Disk, Error, RawDisk, RawOptions, SyncMode, lock, sys};

/// Smaller files are copied as they are, in bytes.
const SMALL: u64 = 1 << 20;

/// Makes the new file `to` a copy of `from` without copying. `false`: the file system cannot, and there is no file.
///
/// The original is locked against writers meanwhile, and `to` must not exist.
pub fn reflink(from: &Path, to: &Path) -> Result<bool, Error> {
    let source = File::open(from).map_err(opening(from))?;
    lock::lock(&source, from, false)?;
    sys::reflink(&source, to).map_err(opening(to))
}

/// Makes the new file `to` a copy of `from`, which is locked against writers meanwhile: with shared blocks where the
/// file system can, else without zeroes. `progress` is told of bytes of the file. After an error there may be a part.
pub fn copy_file(from: &Path, to: &Path, progress: &mut Progress<'_>) -> Result<(), Error> {
    if reflink(from, to)? {
        return Ok(());
    }
    let source = RawDisk::open(from, RawOptions { read_only: true, ..RawOptions::default() })?;
    if source.size() < SMALL {
        return fs::copy(from, to).map(drop).map_err(opening(to));
    }
    let target = new_file(to, SyncMode::Full)?;
    let copied = target.resize(source.size()).and_then(|()| copy(&source, &target, progress));
    copied.map_err(|error| Error::in_file(to, error))
}

/// Makes the new file `path` an empty qcow2 overlay of `size` bytes above `below`.
pub fn overlay(path: &Path, below: BackingName, size: u64) -> Result<(), Error> {
    // It is made durable once, as a whole.
    let file = new_file(path, SyncMode::None)?;
    let options = CreateOptions { backing: Some(below), ..CreateOptions::new(size) };
    qcow2::create(&file, &options).map_err(|error| Error::in_file(path, error))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(opening(path))
}

fn new_file(path: &Path, sync: SyncMode) -> Result<RawDisk, Error> {
    File::create_new(path).map_err(opening(path))?;
    RawDisk::open(path, RawOptions { sync, ..RawOptions::default() })
}

fn opening(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Open { path, source }
}
