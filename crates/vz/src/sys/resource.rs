//! What the helpers of a plan give the executor.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::Path;

use objc2::AnyThread;
use objc2::rc::Retained;
use objc2_foundation::{NSFileHandle, NSString, NSURL};

use super::Error;

/// What a helper has ready, in the order of [`Plan::helpers`](crate::Plan::helpers).
#[derive(Debug)]
pub enum Resource {
    /// The URI of an export, of a [`NbdServer`](crate::Helper::NbdServer).
    Export(String),
    /// A connected datagram socket that carries frames, of everything that is a network.
    Frames(OwnedFd),
    /// A terminal or a stream, of everything that is a console.
    Stream(OwnedFd),
    /// Nothing: vsock ports are bound when the machine runs.
    Later,
}

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
