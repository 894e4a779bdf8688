//! TCP and unix sockets under one name.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::nbd::{Address, Error};

/// What the system may hold for us in each direction, in bytes; it may choose less.
const KERNEL_BUFFER: usize = 1 << 20;

/// A connected stream socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A unix domain socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self::Unix(socket)
    }
}

impl Socket {
    /// Connects within `limit`, trying each address that a host name has.
    pub(crate) fn connect(address: &Address, limit: Duration) -> Result<Self, Error> {
        let failed = |source| Error::Connect { address: address.to_string(), source };
        match address {
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix).map_err(failed),
            Address::Tcp { host, port } => {
                let deadline = Instant::now() + limit;
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for address in (host.as_str(), *port).to_socket_addrs().map_err(failed)? {
                    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                    match TcpStream::connect_timeout(&address, left) {
                        Ok(socket) => return Ok(Self::Tcp(socket)),
                        Err(e) => last = e,
                    }
                }
                Err(failed(last))
            }
        }
    }

    /// Sets what a connection of this protocol wants. All of it is advice.
    pub(crate) fn tune(&self) {
        use rustix::net::sockopt;
        if let Self::Tcp(socket) = self {
            // Replies are gathered here, by us; the system's own gathering would only add waits.
            let _ = socket.set_nodelay(true);
            // Finds peers that have gone without a word while nothing is asked of them.
            let _ = sockopt::set_socket_keepalive(socket, true);
        } else {
            let _ = sockopt::set_socket_send_buffer_size(self, KERNEL_BUFFER);
            let _ = sockopt::set_socket_recv_buffer_size(self, KERNEL_BUFFER);
        }
    }

    /// From now on receiving fails with `WouldBlock` after `limit`. `None` waits for ever.
    pub(crate) fn set_receive_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(limit),
            Self::Unix(socket) => socket.set_read_timeout(limit),
        }
    }

    /// The same until `deadline`, which may be in the past: then it is an error of the kind `TimedOut`.
    pub(crate) fn set_receive_deadline(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.set_receive_timeout(Some(left.max(Duration::from_millis(1))))
    }

    /// The same for sending.
    pub(crate) fn set_send_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_write_timeout(limit),
            Self::Unix(socket) => socket.set_write_timeout(limit),
        }
    }

    /// Ends one direction or both; whoever waits there wakes up. A socket that has ended already stays so.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(how),
            Self::Unix(socket) => socket.shutdown(how),
        };
    }

    /// Whether receiving would not wait: there are bytes, the end, or an error.
    pub(crate) fn has_news(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        !matches!(rustix::net::recv(self, &mut [0; 1], flags), Err(Errno::WOULDBLOCK | Errno::INTR))
    }

    pub(crate) fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let done = match self {
                Self::Tcp(socket) => (&*socket).read(buf),
                Self::Unix(socket) => (&*socket).read(buf),
            };
            match done {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    pub(crate) fn send(&self, mut bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            let done = match self {
                Self::Tcp(socket) => (&*socket).write_vectored(bufs),
                Self::Unix(socket) => (&*socket).write_vectored(bufs),
            };
            match done {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(done) => IoSlice::advance_slices(&mut bufs, done),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// For the TLS handshake.
impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(buf)
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(&mut [IoSlice::new(buf)])?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
