//! The server: disks for any NBD client.
//!
//! A connection has a thread, which takes many requests from one system call, does those that are quick itself, and
//! sends their replies together: no request changes threads where that would cost more than it brings. Requests
//! that have to wait for a medium are given to further threads of the connection ([`Pace`](crate::Pace) says when), so that one
//! slow client or request holds up no other.
//!
//! What a peer can make the server hold: [`ServerOptions::max_connections`] connections, for each about 1 MiB and at
//! most 64 MiB of requests under way by 16 threads; a negotiation of at most 30 s and 1,000 options of 16 KiB.

mod execute;
mod handshake;
mod listener;
mod outbox;
mod request;
mod transmission;
mod vigil;
mod workers;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};

pub use listener::Listener;

use super::{Credentials, Error, Socket};
use crate::Disk;

/// How long a server that stops waits for clients to take their replies.
const GRACE: Duration = Duration::from_secs(10);
/// How long it waits before it accepts again when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(200);

/// A disk that is offered.
pub struct Export {
    /// Its name, at most 4096 bytes. A client that asks for no name gets the only export, or the one named "".
    pub name: String,
    /// Words for people, at most 4096 bytes.
    pub description: String,
    /// Refuse every change, also when the disk would take it.
    pub read_only: bool,
    /// The disk.
    pub disk: Arc<dyn Disk>,
}

/// How to serve.
#[derive(Clone)]
pub struct ServerOptions {
    /// Connections at the same time; more are closed at once. With more than 1 clients are told that they may use several.
    pub max_connections: usize,
    /// Clients must use TLS.
    pub tls: Option<Credentials>,
    /// Stop when the last client which had an export has left.
    pub once: bool,
}

impl Default for ServerOptions {
    /// 64 plain connections, until it is stopped.
    fn default() -> Self {
        Self { max_connections: 64, tls: None, once: false }
    }
}

/// Offers disks.
pub struct Server {
    exports: Vec<Export>,
    options: ServerOptions,
    connections: Mutex<Connections>,
    /// A connection has ended.
    ended: Condvar,
    stopper: Stopper,
    woken: UnixStream,
}

#[derive(Default)]
struct Connections {
    sockets: HashMap<u64, Arc<Socket>>,
    next: u64,
    /// One of them came to an export.
    negotiated: bool,
}

/// Stops a [`Server`], from any thread.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    wake: Arc<UnixStream>,
}

impl Stopper {
    /// Makes the server accept no more and finish what is under way. Returns at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        // It may be awake or gone.
        let _ = (&*self.wake).write(&[0]);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl Server {
    /// A server which does not listen yet.
    ///
    /// # Errors
    /// When the system has no more file descriptors.
    pub fn new(exports: Vec<Export>, options: ServerOptions) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let stopper = Stopper { stop: Arc::default(), wake: Arc::new(wake) };
        Ok(Self { exports, options, connections: Mutex::default(), ended: Condvar::new(), stopper, woken })
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped, then finishes what is under way and flushes. It can be called once.
    ///
    /// # Errors
    /// When a listener fails, or a flush: then what clients wrote and did not flush may be lost.
    pub fn run(self: &Arc<Self>, listeners: &[Listener]) -> Result<(), crate::Error> {
        let accepted = self.accept(listeners);
        self.finish();
        // All of them, also when one fails.
        let flush = |done: Result<(), crate::Error>, export: &Export| {
            let flushed = export.disk.flush();
            done.and(flushed)
        };
        let flushed = self.exports.iter().filter(|e| !e.disk.read_only()).fold(Ok(()), flush);
        accepted.map_err(crate::Error::io("wait for clients")).and(flushed)
    }

    fn accept(self: &Arc<Self>, listeners: &[Listener]) -> io::Result<()> {
        while !self.stopper.is_stopped() {
            let mut fds: Vec<_> =
                listeners.iter().map(|l| PollFd::from_borrowed_fd(l.as_fd(), PollFlags::IN)).collect();
            fds.push(PollFd::new(&self.woken, PollFlags::IN));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            let ready = |i: usize| !fds[i].revents().is_empty();
            for listener in listeners.iter().enumerate().filter(|(i, _)| ready(*i)).map(|(_, l)| l) {
                match listener.accept() {
                    Ok(Some(socket)) => self.admit(socket),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        thread::sleep(NO_ROOM);
                    }
                }
            }
        }
        Ok(())
    }

    /// Serves a connection on a thread of its own, if there is room for it.
    fn admit(self: &Arc<Self>, socket: Socket) {
        socket.tune();
        let socket = Arc::new(socket);
        let id = {
            let mut connections = self.connections.lock();
            if connections.sockets.len() >= self.options.max_connections {
                tracing::warn!("closed a connection: all {} are taken", self.options.max_connections);
                return;
            }
            connections.next += 1;
            let id = connections.next;
            connections.sockets.insert(id, socket.clone());
            id
        };
        let connection = Connection { server: self.clone(), id };
        let serve = move || {
            if let Err(error) = connection.server.serve(&socket) {
                tracing::debug!(%error, "a connection ended");
            }
            socket.shutdown(Shutdown::Both);
            drop(connection);
        };
        if let Err(error) = thread::Builder::new().name("nbd".to_owned()).spawn(serve) {
            tracing::warn!(%error, "closed a connection: no thread for it");
        }
    }

    /// One connection from its first byte to its last, on this thread.
    ///
    /// # Errors
    /// Why it did not end as the protocol wants.
    pub fn serve(&self, socket: &Arc<Socket>) -> Result<(), Error> {
        let Some(session) = handshake::negotiate(&self.exports, &self.options, socket)? else { return Ok(()) };
        self.connections.lock().negotiated = true;
        transmission::serve(session)
    }

    fn finish(&self) {
        let mut connections = self.connections.lock();
        for socket in connections.sockets.values() {
            socket.shutdown(Shutdown::Read);
        }
        let deadline = Instant::now() + GRACE;
        while !connections.sockets.is_empty() {
            if Instant::now() < deadline {
                self.ended.wait_until(&mut connections, deadline);
                continue;
            }
            for socket in connections.sockets.values() {
                socket.shutdown(Shutdown::Both);
            }
            self.ended.wait(&mut connections);
        }
    }
}

/// A connection in the table, as long as this lives.
struct Connection {
    server: Arc<Server>,
    id: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let server = &self.server;
        let mut connections = server.connections.lock();
        connections.sockets.remove(&self.id);
        let last = connections.sockets.is_empty() && connections.negotiated;
        drop(connections);
        server.ended.notify_all();
        if last && server.options.once {
            server.stopper.stop();
        }
    }
}
