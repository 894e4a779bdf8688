//! What the helpers of a plan give the executor, as the framework takes it.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::Path;

use objc2::AnyThread;
use objc2::rc::Retained;
use objc2_foundation::{NSFileHandle, NSString, NSURL};

use super::Error;
use crate::Resource;

/// A file's URL.
pub(super) fn file_url(path: &Path) -> Retained<NSURL> {
    NSURL::fileURLWithPath(&NSString::from_str(&path.to_string_lossy()))
}

/// A handle that closes the descriptor when the framework has let go of it.
pub(super) fn file_handle(fd: OwnedFd) -> Retained<NSFileHandle> {
    NSFileHandle::initWithFileDescriptor_closeOnDealloc(NSFileHandle::alloc(), fd.into_raw_fd(), true)
}

/// The resource of a helper, which is taken once.
pub(super) fn take(resources: &mut [Option<Resource>], helper: usize) -> Result<Resource, Error> {
    let resource = resources.get_mut(helper).and_then(Option::take);
    resource.ok_or_else(|| Error::new(format!("helper {helper}"), "it has nothing ready for the machine"))
}
