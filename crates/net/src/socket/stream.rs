//! A stream socket as a wire.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::framing::{Deframer, Headers, append};
use crate::wire::Wire;
use crate::{Meta, Offloads, sys};

/// How much is gathered before it is sent, in bytes.
const GATHER: usize = 64 << 10;
/// How much may wait when the other end does not read, in bytes.
const WAITING: usize = 256 << 10;

/// A stream of frames.
pub(crate) struct Stream {
    socket: OwnedFd,
    headers: Headers,
    deframer: Deframer,
    out: Vec<u8>,
    sent: usize,
}

impl Stream {
    /// Over a connected socket.
    pub(crate) fn new(socket: OwnedFd, headers: Headers) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, headers, deframer: Deframer::new(headers), out: Vec::new(), sent: 0 })
    }

    /// Sends what waits; whether all has gone.
    fn write(&mut self) -> io::Result<bool> {
        while self.sent < self.out.len() {
            match sys::send(&self.socket, &self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => {
                    // What has gone makes room, or the rest would creep through memory.
                    self.out.drain(..std::mem::take(&mut self.sent));
                    return Ok(false);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(true)
    }
}

impl Wire for Stream {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<Meta>> {
        loop {
            if let Some(meta) = self.deframer.next(frame).map_err(io::Error::other)? {
                return Ok(Some(meta));
            }
            match rustix::io::read(&self.socket, self.deframer.room()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.deframer.filled(count),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send(&mut self, frame: &[u8], meta: Meta) -> io::Result<bool> {
        if self.out.len() > WAITING && !self.write()? {
            return Ok(false);
        }
        append(&mut self.out, self.headers, frame, meta);
        if self.out.len() > GATHER {
            self.write()?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write().map(drop)
    }

    fn takes(&self) -> Offloads {
        match self.headers {
            Headers::None => Offloads::empty(),
            Headers::Vnet => Offloads::all(),
        }
    }
}
