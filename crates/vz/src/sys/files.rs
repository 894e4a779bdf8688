//! Files and descriptors, as the framework takes them.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::Path;

use objc2::AnyThread;
use objc2::rc::Retained;
use objc2_foundation::{NSData, NSFileHandle, NSString, NSURL};

use crate::Error;

/// A file's URL.
pub(super) fn file_url(path: &Path) -> Retained<NSURL> {
    NSURL::fileURLWithPath(&NSString::from_str(&path.to_string_lossy()))
}

/// A handle that closes the descriptor when the framework has let go of it.
pub(super) fn file_handle(fd: OwnedFd) -> Retained<NSFileHandle> {
    NSFileHandle::initWithFileDescriptor_closeOnDealloc(NSFileHandle::alloc(), fd.into_raw_fd(), true)
}

/// A file's contents.
pub(super) fn data(path: &Path) -> Result<Retained<NSData>, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::new(path.display().to_string(), error.to_string()))?;
    Ok(NSData::with_bytes(&bytes))
}
