//! A datagram socket as a wire.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::net::sockopt;

use crate::wire::Wire;
use crate::{MAX_FRAME, Meta, Offloads, sys};

/// Datagrams that are frames.
pub(super) struct Datagram {
    socket: OwnedFd,
    buffer: Box<[u8]>,
    /// An empty datagram is the end: so it is with those that keep a connection.
    ends: bool,
    /// Our own end, to be removed.
    path: Option<PathBuf>,
}

impl Datagram {
    /// Over a connected socket, whose own end is at `path`.
    pub(super) fn new(socket: OwnedFd, path: Option<PathBuf>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let ends = sockopt::socket_type(&socket)? == SocketType::SEQPACKET;
        // One more byte, by which a datagram that is too long is known.
        Ok(Self { socket, buffer: vec![0; MAX_FRAME + 1].into(), ends, path })
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

impl Wire for Datagram {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<Meta>> {
        loop {
            match rustix::io::read(&self.socket, &mut self.buffer[..]) {
                Ok(0) if self.ends => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    frame.clear();
                    // One that is too long is no frame, as an empty one.
                    if count <= MAX_FRAME {
                        frame.extend_from_slice(&self.buffer[..count]);
                    }
                    return Ok(Some(Meta::default()));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send(&mut self, frame: &[u8], _: Meta) -> io::Result<bool> {
        loop {
            match sys::send(&self.socket, frame) {
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                // No memory for it, or longer than the socket takes: lost, as on any wire.
                Err(Errno::NOBUFS | Errno::MSGSIZE) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn takes(&self) -> Offloads {
        Offloads::empty()
    }
}
