//! The host's end of a TCP connection of the guest: a TCP connection or a unix one.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::sys;

/// A connected socket of the host, or one that is being connected; it never blocks.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Why connecting has failed; `WouldBlock`-like `NotConnected`: it is not decided yet.
    pub(super) fn failure(&self) -> Option<io::Error> {
        match self {
            Self::Tcp(stream) => match stream.take_error() {
                Ok(failed) => failed.or_else(|| stream.peer_addr().err()),
                Err(error) => Some(error),
            },
            Self::Unix(_) => None,
        }
    }

    /// Sets what makes a connection quick, and notices a peer that is gone.
    pub(super) fn tune(&self) {
        if let Self::Tcp(stream) = self {
            // Both only cost speed when they fail.
            let _ = stream.set_nodelay(true);
            let _ = rustix::net::sockopt::set_socket_keepalive(stream, true);
        }
    }

    /// Says that there is no more to come.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Makes the end of the connection a reset for the peer, where there are such.
    pub(super) fn reset_when_dropped(&self) {
        if let Self::Tcp(stream) = self {
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => Ok(sys::send(stream, buffer)?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_gone_is_noticed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(stream);
        assert!(!rustix::net::sockopt::socket_keepalive(&stream).unwrap());
        let stream = Stream::Tcp(stream);
        stream.tune();
        let Stream::Tcp(stream) = stream else { unreachable!("it is one of TCP") };
        assert!(rustix::net::sockopt::socket_keepalive(&stream).unwrap());
        assert!(stream.nodelay().unwrap());
    }
}
