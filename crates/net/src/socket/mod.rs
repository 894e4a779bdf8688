//! Networks behind a socket: another program's user-mode network, or another machine.
//!
//! A *datagram* socket carries a frame in each datagram, as vfkit and gvproxy do; a *stream* carries frames each after
//! its length, as QEMU's `-netdev stream`, passt and socket_vmnet do.

mod connect;
mod datagram;
pub mod framing;
mod stream;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

pub(crate) use stream::Stream;

use crate::wire::Pump;

/// A frame in each datagram to the socket at `path`. With `magic` the four bytes `VFKT` go first, by which gvproxy knows
/// vfkit. When the other end goes away, it is looked for again. `mtu`: the largest IP packet, in bytes.
pub fn datagram(path: &Path, magic: bool, mtu: u16) -> io::Result<Pump> {
    Pump::new(Box::new(connect::ToDatagram::new(path, magic)), mtu, true)
}

/// A stream to the socket at `path`, which is looked for again when it ends.
pub fn stream(path: &Path, mtu: u16) -> io::Result<Pump> {
    Pump::new(Box::new(connect::ToStream::new(path)), mtu, true)
}

/// A stream from whoever connects to a new socket at `path`, one at a time; the card has no carrier until then. A file
/// that is there already is an error, unless it is a socket that nobody listens to. The socket is removed at the end.
pub fn listen(path: &Path, mtu: u16) -> io::Result<Pump> {
    Pump::new(Box::new(connect::Listener::bind(path)?), mtu, false)
}

/// Listens at `path`; a socket there that nobody listens to any more, as a process that was killed leaves it, is
/// replaced. What is no socket is left as it is: connecting to a plain file is refused, too.
///
/// # Errors
/// Somebody listens there, there is something else, and the system's reason.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// A connected socket that is there already: datagrams or a stream, as its type says. When it ends, the card has no
/// carrier any more.
pub fn connected(socket: OwnedFd, mtu: u16) -> io::Result<Pump> {
    Pump::new(Box::new(connect::Given::new(socket)?), mtu, true)
}
