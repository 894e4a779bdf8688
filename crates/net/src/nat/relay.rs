//! DNS queries on their way through the host's name servers.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use smoltcp::time::{Duration, Instant};

/// The port of DNS.
pub(super) const DNS: u16 = 53;
/// A name server that is silent so long is given up when the guest asks again.
const SILENCE: Duration = Duration::from_secs(1);
/// Queries that are kept to be asked again elsewhere, and their length in bytes. Resolvers ask for both kinds of
/// address at once.
const MAX_QUERIES: usize = 4;
const MAX_QUERY: usize = 1024;

/// The queries of one of the guest's sockets.
pub(super) struct Relay {
    servers: Vec<SocketAddr>,
    at: usize,
    /// What was asked since the last answer, and since when.
    queries: Vec<Vec<u8>>,
    asked: Instant,
}

impl Relay {
    /// Nothing was asked yet; `servers` in order of preference.
    pub(super) fn new(servers: &[SocketAddr], now: Instant) -> Self {
        Self { servers: servers.to_vec(), at: 0, queries: Vec::new(), asked: now }
    }

    /// The server that is asked now.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.servers.get(self.at).copied()
    }

    /// Sees to it that `socket` is connected to the server that `query` is for: another one than before if that was
    /// silent for too long, or is no longer one of the host's `servers`.
    pub(super) fn ask(
        &mut self,
        query: &[u8],
        servers: &[SocketAddr],
        socket: &UdpSocket,
        now: Instant,
    ) -> io::Result<()> {
        if servers != self.servers && !servers.is_empty() {
            self.servers = servers.to_vec();
            self.at = self.servers.len() - 1;
            self.next_server(socket)?;
        }
        if self.queries.is_empty() {
            self.asked = now;
        } else if self.asked + SILENCE <= now {
            self.asked = now;
            self.queries.clear();
            self.next_server(socket)?;
        }
        if self.queries.len() < MAX_QUERIES && query.len() <= MAX_QUERY {
            self.queries.push(query.to_vec());
        }
        Ok(())
    }

    /// The server has answered.
    pub(super) fn answered(&mut self) {
        self.queries.clear();
    }

    /// The server is not there: the next one is asked what that was asked. `false`: there is none, or nothing.
    pub(super) fn ask_another(&mut self, socket: &UdpSocket) -> bool {
        if self.queries.is_empty() || self.at + 1 >= self.servers.len() {
            return false;
        }
        let asked = self.next_server(socket);
        let mut queries = self.queries.iter();
        if let Err(error) = asked.and_then(|()| queries.try_for_each(|query| socket.send(query).map(drop))) {
            tracing::debug!(%error, "the next name server cannot be asked");
        }
        true
    }

    /// Connects to the next server that can be, one of another version of IP than the first cannot.
    fn next_server(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut result = Ok(());
        for _ in 0..self.servers.len() {
            self.at = (self.at + 1) % self.servers.len();
            result = socket.connect(self.servers[self.at]);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}
