//! What differs between the host's systems for all sockets.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::SendFlags;

/// A peer that has gone is an error of the call alone. Hosts without such a flag also send SIGPIPE, which programs in Rust
/// ignore.
#[cfg(not(target_vendor = "apple"))]
const QUIET: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const QUIET: SendFlags = SendFlags::empty();

/// Sends to whom the socket is connected to, as much of `bytes` as it takes.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(socket, bytes, QUIET)
}
