//! What the helpers of a plan have ready for its objects.

use std::os::fd::OwnedFd;

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
