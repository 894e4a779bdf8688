//! Ports of the host that lead to the guest, added and removed while the network runs.
//!
//! A socket is bound by whoever adds the forward, so that he learns at once when it cannot be; the network's thread
//! then takes it over.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::{TcpListener, UdpSocket, UnixListener};

use super::stream::Stream;
use crate::{Wake, socket};

/// How many forwards a network has at most; each is a socket of the host.
pub const MAX_FORWARDS: usize = 1024;

/// A port of the host, or a unix socket, that leads to a port of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where connections or datagrams come in.
    pub host: HostEnd,
    /// The guest's port.
    pub guest_port: u16,
}

/// Where a forward begins. Port zero lets the host choose; [`Control::add`] tells what it chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEnd {
    /// TCP at an address and port of the host.
    Tcp(SocketAddr),
    /// UDP at an address and port of the host.
    Udp(SocketAddr),
    /// A unix stream socket, which is made; it leads to TCP.
    Unix(PathBuf),
}

impl fmt::Display for HostEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}/tcp"),
            Self::Udp(address) => write!(f, "{address}/udp"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why a forward was not added or removed.
#[derive(Debug)]
pub enum ForwardError {
    /// The host does not give the address, port or path.
    Bind {
        /// Which.
        host: HostEnd,
        /// Why.
        source: io::Error,
    },
    /// There are [`MAX_FORWARDS`] already.
    TooMany,
    /// There is none with this end.
    Unknown(HostEnd),
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { host, source } => {
                let mend = match source.kind() {
                    io::ErrorKind::AddrInUse => "something has it already: choose another, or stop what has it",
                    io::ErrorKind::PermissionDenied => "ports below 1024 may need rights: choose a higher one",
                    io::ErrorKind::AddrNotAvailable => "the host has no such address: name one of its own",
                    _ => "choose another",
                };
                write!(f, "{host} cannot be forwarded ({source}): {mend}")
            }
            Self::TooMany => write!(f, "there are {MAX_FORWARDS} forwards already: remove some"),
            Self::Unknown(host) => write!(f, "{host} is not forwarded: list what is"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Adds and removes forwards of a network; any thread may.
#[derive(Clone)]
pub struct Control {
    pub(super) shared: Arc<Mutex<Shared>>,
    wake: Wake,
}

/// The forwards, and what the network's thread has not heard of yet.
#[derive(Default)]
pub(super) struct Shared {
    forwards: Vec<Forward>,
    pub(super) news: Vec<News>,
}

/// What the network's thread is to do.
pub(super) enum News {
    Added(Forward, Bound),
    Removed(HostEnd),
}

/// A socket that waits for somebody to come.
pub(super) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
    Unix(UnixSocket),
}

/// A listening unix socket; its file goes with it.
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a forwarded socket cannot be removed");
        }
    }
}

impl Control {
    pub(super) fn new(wake: Wake) -> Self {
        Self { shared: Arc::default(), wake }
    }

    /// Forwards from now on; gives the forward with the port that was chosen where it was zero.
    ///
    /// # Errors
    /// The host does not give the port, or there are too many.
    pub fn add(&self, forward: &Forward) -> Result<Forward, ForwardError> {
        if self.lock().forwards.len() >= MAX_FORWARDS {
            return Err(ForwardError::TooMany);
        }
        let (host, bound) =
            bind(&forward.host).map_err(|source| ForwardError::Bind { host: forward.host.clone(), source })?;
        let forward = Forward { host, guest_port: forward.guest_port };
        let mut shared = self.lock();
        shared.forwards.push(forward.clone());
        shared.news.push(News::Added(forward.clone(), bound));
        drop(shared);
        self.wake.wake();
        Ok(forward)
    }

    /// Takes no more connections at `host`; those that stand go on. The port is free a moment later.
    ///
    /// # Errors
    /// Nothing is forwarded there.
    pub fn remove(&self, host: &HostEnd) -> Result<(), ForwardError> {
        let mut shared = self.lock();
        let at = shared.forwards.iter().position(|forward| forward.host == *host);
        shared.forwards.remove(at.ok_or_else(|| ForwardError::Unknown(host.clone()))?);
        shared.news.push(News::Removed(host.clone()));
        drop(shared);
        self.wake.wake();
        Ok(())
    }

    /// All forwards, in the order in which they were added.
    #[must_use]
    pub fn list(&self) -> Vec<Forward> {
        self.lock().forwards.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bind(host: &HostEnd) -> io::Result<(HostEnd, Bound)> {
    match host {
        HostEnd::Tcp(address) => {
            let listener = StdTcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok((HostEnd::Tcp(listener.local_addr()?), Bound::Tcp(TcpListener::from_std(listener))))
        }
        HostEnd::Udp(address) => {
            let socket = StdUdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok((HostEnd::Udp(socket.local_addr()?), Bound::Udp(UdpSocket::from_std(socket))))
        }
        HostEnd::Unix(path) => {
            let listener = socket::bind(path)?;
            listener.set_nonblocking(true)?;
            Ok((
                host.clone(),
                Bound::Unix(UnixSocket { listener: UnixListener::from_std(listener), path: path.clone() }),
            ))
        }
    }
}

impl Bound {
    /// Takes the next connection, and the port of who has made it.
    pub(super) fn accept(&self) -> io::Result<(Stream, Option<u16>)> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, from)| (Stream::Tcp(stream), Some(from.port()))),
            Self::Unix(socket) => socket.listener.accept().map(|(stream, _)| (Stream::Unix(stream), None)),
            Self::Udp(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The address and port from which a forwarded flow comes in the guest's eyes: the gateway's, with `wanted` as port if
/// it is `free`, or another. `None`: there is none left.
pub(super) fn guest_view(
    gateway: IpAddr,
    wanted: Option<u16>,
    free: impl Fn(SocketAddr) -> bool,
) -> Option<SocketAddr> {
    /// The ports that hosts choose for themselves (RFC 6335, 6).
    const FIRST: u16 = 49152;
    let wanted = wanted.filter(|port| *port >= 1024);
    let start = wanted.unwrap_or(FIRST);
    let mut others = (start.max(FIRST)..=u16::MAX).chain(FIRST..start.max(FIRST));
    wanted.into_iter().chain(&mut others).map(|port| SocketAddr::new(gateway, port)).find(|address| free(*address))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as StdUnixListener;

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_said_at_once() {
        let control = Control::new(Wake::new(|| ()));
        let any = Forward { host: HostEnd::Tcp("127.0.0.1:0".parse().unwrap()), guest_port: 22 };
        let forward = control.add(&any).unwrap();
        assert_ne!(forward, any);
        let error = control.add(&forward).unwrap_err().to_string();
        assert!(error.contains("something has it already"), "{error}");
        assert_eq!(control.list(), std::slice::from_ref(&forward));
        control.remove(&forward.host).unwrap();
        assert!(matches!(control.remove(&forward.host), Err(ForwardError::Unknown(_))));
        assert_eq!(control.lock().news.len(), 2);
    }

    #[test]
    fn a_socket_that_nobody_listens_to_is_replaced() {
        let folder = std::env::temp_dir().join(format!("russet-forward-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("s");
        drop(StdUnixListener::bind(&path).unwrap());
        let (_, bound) = bind(&HostEnd::Unix(path.clone())).unwrap();
        assert!(bind(&HostEnd::Unix(path.clone())).is_err(), "somebody listens");
        drop(bound);
        assert!(!path.exists());
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn ports_in_the_guests_eyes() {
        let gateway = IpAddr::from([192, 168, 64, 1]);
        let view =
            |wanted, taken: &[u16]| guest_view(gateway, wanted, |a| !taken.contains(&a.port())).map(|a| a.port());
        assert_eq!(view(Some(5000), &[]), Some(5000));
        assert_eq!(view(Some(5000), &[5000]), Some(49152));
        assert_eq!(view(Some(22), &[49152]), Some(49153));
        assert_eq!(view(Some(65535), &[65535]), Some(49152));
        assert_eq!(guest_view(gateway, None, |_| false), None);
    }
}
