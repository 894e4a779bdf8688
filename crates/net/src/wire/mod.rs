//! Ways of the host for frames (a tap, a socket), and the network that carries frames between one and a card.

mod fitter;
mod header;
mod pump;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

pub(crate) use header::VnetHeader;
pub use pump::Pump;

use crate::{Meta, Offloads};

/// A way for frames which does not block. An error from any method means that it is broken for good.
pub(crate) trait Wire: Send {
    /// What becomes readable and writable.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Takes the next frame that has come into `frame`, which is replaced. `None`: there is none now, and the
    /// descriptor will become readable with the next.
    fn receive(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<Meta>>;

    /// Sends a frame. `false`: not now, and the descriptor will become writable. What can never be sent is dropped.
    fn send(&mut self, frame: &[u8], meta: Meta) -> io::Result<bool>;

    /// Sends what `send` has gathered, as far as it goes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What [`send`](Self::send) takes.
    fn takes(&self) -> Offloads;

    /// What a received frame may leave to the receiver, as far as the wire is able to.
    fn offer(&mut self, offloads: Offloads) -> io::Result<()> {
        let _ = offloads;
        Ok(())
    }
}

/// Makes a [`Wire`], and a new one when that has broken. Does not block for long.
pub(crate) trait Connector: Send {
    /// Tries to make one. `None`: not now.
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>>;

    /// What becomes readable when it is worth trying again.
    fn listener(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// How long to wait between two tries; `None`: the first wire is the last, or `listener` tells.
    fn retry(&self) -> Option<Duration> {
        None
    }
}
