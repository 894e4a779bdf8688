//! Flows by what they connect and by the token of their host socket.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use mio::Token;

/// What a flow connects: an address and port of the guest, and the ones that it wants to reach. For pings the
/// guest's port is the identifier and the other zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) guest: SocketAddr,
    pub(super) peer: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Ping,
}

/// Flows of one sort, and which of them have something to do. A token is never used twice, so that a late event
/// cannot hit another flow.
pub(super) struct Table<F> {
    by_key: HashMap<Key, Token>,
    flows: HashMap<Token, (Key, F)>,
    ready: VecDeque<Token>,
}

impl<F> Table<F> {
    pub(super) fn new() -> Self {
        Self { by_key: HashMap::new(), flows: HashMap::new(), ready: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn find(&self, key: &Key) -> Option<Token> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&mut self, token: Token) -> Option<&mut F> {
        self.flows.get_mut(&token).map(|(_, flow)| flow)
    }

    /// Adds a flow under a token and a key that are both new.
    pub(super) fn insert(&mut self, token: Token, key: Key, flow: F) {
        self.by_key.insert(key, token);
        self.flows.insert(token, (key, flow));
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<F> {
        let (key, flow) = self.flows.remove(&token)?;
        self.by_key.remove(&key);
        Some(flow)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &F)> {
        self.flows.iter().map(|(token, (_, flow))| (*token, flow))
    }

    /// Puts a flow in the line of those that have something to do. The caller sees to it that it stands there once.
    pub(super) fn queue(&mut self, token: Token) {
        self.ready.push_back(token);
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        self.ready.pop_front()
    }

    pub(super) fn waiting(&self) -> usize {
        self.ready.len()
    }
}
