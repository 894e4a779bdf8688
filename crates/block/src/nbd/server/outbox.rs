//! Replies on their way to the client, from several threads: whoever finds the socket free sends what all have.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::nbd::stream::{Sender, Socket};

/// The sending half of a connection, shared.
pub(super) struct Outbox {
    socket: Arc<Socket>,
    state: Mutex<State>,
    /// The sender was given back, or will not be any more.
    free: Condvar,
}

struct State {
    /// `None` while somebody sends.
    sender: Option<Sender>,
    queue: Vec<Vec<u8>>,
    broken: bool,
}

impl Outbox {
    pub(super) fn new(socket: Arc<Socket>, sender: Sender) -> Self {
        let state = State { sender: Some(sender), queue: Vec::new(), broken: false };
        Self { socket, state: Mutex::new(state), free: Condvar::new() }
    }

    /// Sends a reply, or leaves it to the thread that is sending.
    pub(super) fn push(&self, reply: Vec<u8>) {
        let mut state = self.state.lock();
        if state.broken {
            return;
        }
        state.queue.push(reply);
        let Some(sender) = state.sender.take() else { return };
        drop(state);
        self.drain(sender);
    }

    /// Sends `bytes` on this thread.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut sender = loop {
            match state.sender.take() {
                Some(sender) => break sender,
                None if state.broken => return Err(io::ErrorKind::BrokenPipe.into()),
                None => self.free.wait(&mut state),
            }
        };
        drop(state);
        match sender.send(&mut [IoSlice::new(bytes)]) {
            Ok(()) => {
                self.drain(sender);
                Ok(())
            }
            Err(e) => {
                self.give_up();
                Err(e)
            }
        }
    }

    /// Says goodbye.
    pub(super) fn close(&self) {
        if let Some(mut sender) = self.state.lock().sender.take() {
            sender.close();
        }
    }

    /// Sends what is queued until there is nothing, and gives the sender back.
    fn drain(&self, mut sender: Sender) {
        loop {
            let mut state = self.state.lock();
            let replies = std::mem::take(&mut state.queue);
            if replies.is_empty() {
                state.sender = Some(sender);
                drop(state);
                self.free.notify_one();
                return;
            }
            drop(state);
            let mut bufs: Vec<_> = replies.iter().map(|reply| IoSlice::new(reply)).collect();
            if sender.send(&mut bufs).is_err() {
                return self.give_up();
            }
        }
    }

    /// The client is gone: nobody shall wait for it.
    fn give_up(&self) {
        let mut state = self.state.lock();
        state.broken = true;
        state.queue.clear();
        drop(state);
        self.free.notify_all();
        self.socket.shutdown(Shutdown::Both);
    }
}
