//! How the other end of a socket is found, and found again.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::SocketType;
use rustix::net::sockopt;

use super::Stream;
use super::datagram::Datagram;
use super::framing::Headers;
use crate::wire::{Connector, Wire};

/// Between two tries to reach somebody who is gone.
const RETRY: Duration = Duration::from_millis(500);
/// What vfkit sends first.
const MAGIC: &[u8; 4] = b"VFKT";
/// Buffers of a datagram socket, as vfkit asks for them, in bytes.
const SEND_BUFFER: usize = 1 << 20;
const RECEIVE_BUFFER: usize = 4 << 20;

/// Numbers our own ends of datagram sockets.
static NEXT: AtomicU32 = AtomicU32::new(0);

pub(super) struct ToDatagram {
    path: PathBuf,
    magic: bool,
}

impl ToDatagram {
    pub(super) fn new(path: &Path, magic: bool) -> Self {
        Self { path: path.to_owned(), magic }
    }
}

impl Connector for ToDatagram {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        let (socket, own) = bind_own_end()?;
        let made = socket.connect(&self.path).and_then(|()| {
            if self.magic {
                socket.send(MAGIC)?;
            }
            // Hints: a kernel that allows less gives less.
            let _ = sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
            let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
            Datagram::new(socket.into(), Some(own.clone()))
        });
        if made.is_err() {
            let _ = fs::remove_file(&own);
        }
        Ok(Some(Box::new(made?)))
    }

    fn retry(&self) -> Option<Duration> {
        Some(RETRY)
    }
}

/// A datagram socket with an address of its own, without which the other end could not answer.
fn bind_own_end() -> io::Result<(UnixDatagram, PathBuf)> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("russet-{}-{number}.sock", std::process::id()));
        match UnixDatagram::bind(&path) {
            // Left by a process that had this number before.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && number < 1000 => {}
            bound => return bound.map(|socket| (socket, path)),
        }
    }
}

pub(super) struct ToStream(PathBuf);

impl ToStream {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Connector for ToStream {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        Ok(Some(Box::new(Stream::new(UnixStream::connect(&self.0)?.into(), Headers::None)?)))
    }

    fn retry(&self) -> Option<Duration> {
        Some(RETRY)
    }
}

pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let socket = super::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned() })
    }
}

impl Connector for Listener {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        match self.socket.accept() {
            Ok((socket, _)) => Ok(Some(Box::new(Stream::new(socket.into(), Headers::None)?))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn listener(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    /// One that knocked while another was here is found by looking again.
    fn retry(&self) -> Option<Duration> {
        Some(RETRY)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A socket that can be had once.
pub(super) struct Given(Option<(OwnedFd, SocketType)>);

impl Given {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let kind = sockopt::socket_type(&socket)?;
        if ![SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET].contains(&kind) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a stream nor a datagram socket"));
        }
        rustix::net::getpeername(&socket)?;
        Ok(Self(Some((socket, kind))))
    }
}

impl Connector for Given {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        Ok(match self.0.take() {
            None => None,
            Some((socket, SocketType::STREAM)) => Some(Box::new(Stream::new(socket, Headers::None)?)),
            Some((socket, _)) => Some(Box::new(Datagram::new(socket, None)?)),
        })
    }
}
