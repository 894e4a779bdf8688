//! Where clients come in.

use std::fs;
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::nbd::{Address, Error, Socket};

/// A socket that takes connections. A unix socket's file goes away with it.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf, inode: (u64, u64) },
}

impl Listener {
    /// Listens on `address`. Port 0 takes any that is free. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`Error::Listen`] says why not.
    pub fn bind(address: &Address) -> Result<Self, Error> {
        let failed = |e: io::Error| Error::Listen { address: address.to_string(), what: reason(&e, address) };
        let kind = match address {
            Address::Tcp { host, port } => {
                let addresses: Vec<_> = (host.as_str(), *port).to_socket_addrs().map_err(failed)?.collect();
                Kind::Tcp(TcpListener::bind(&addresses[..]).map_err(failed)?)
            }
            Address::Unix(path) => {
                remove_stale(path).map_err(failed)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                Kind::Unix { listener, path: path.clone(), inode: inode(path).map_err(failed)? }
            }
        };
        match &kind {
            Kind::Tcp(listener) => listener.set_nonblocking(true),
            Kind::Unix { listener, .. } => listener.set_nonblocking(true),
        }
        .map_err(failed)?;
        Ok(Self { kind })
    }

    /// Where it listens, with the port that was taken.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(Address::Tcp { host: address.ip().to_string(), port: address.port() })
            }
            Kind::Unix { path, .. } => Ok(Address::Unix(path.clone())),
        }
    }

    /// A connection, if one is waiting.
    pub(super) fn accept(&self) -> io::Result<Option<Socket>> {
        let accepted = match &self.kind {
            Kind::Tcp(listener) => listener.accept().and_then(|(socket, _)| {
                // Some systems hand the mode of the listener down.
                socket.set_nonblocking(false)?;
                Ok(Socket::Tcp(socket))
            }),
            Kind::Unix { listener, .. } => listener.accept().and_then(|(socket, _)| {
                socket.set_nonblocking(false)?;
                Ok(Socket::Unix(socket))
            }),
        };
        match accepted {
            Ok(socket) => Ok(Some(socket)),
            // A client which left while it was waiting, or another listener's.
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(listener) => listener.as_fd(),
            Kind::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix { path, inode: ours, .. } = &self.kind
            && inode(path).is_ok_and(|found| found == *ours)
        {
            // Somebody may be quicker.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the socket that a server left which was killed.
fn remove_stale(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(e) => Err(e),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|found| (found.dev(), found.ino()))
}

fn reason(error: &io::Error, address: &Address) -> String {
    match (error.kind(), address) {
        (io::ErrorKind::AlreadyExists, Address::Unix(_)) => {
            "a file that is no socket is there; choose another path".to_owned()
        }
        (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
            "another server listens there; stop it or choose another path".to_owned()
        }
        (io::ErrorKind::AddrInUse, Address::Tcp { .. }) => {
            "another program listens there; stop it or choose another port".to_owned()
        }
        (io::ErrorKind::InvalidInput, Address::Unix(_)) => format!("{error}; choose a shorter path"),
        _ => error.to_string(),
    }
}
