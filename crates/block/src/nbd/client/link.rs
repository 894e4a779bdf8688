//! One connection with many requests under way.
//!
//! There is no thread for it. Whoever waits for an answer and finds nobody receiving receives, also for the others,
//! until its own answer has come; then it wakes one of those who wait, to go on. So a lone request changes no thread.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::handshake::Offer;
use super::reply::{Head, Reply, timed_out};
use crate::nbd::spec::{self, cmd};
use crate::nbd::stream::{Input, Sender};
use crate::nbd::{Error, Socket};

/// Requests under way at most.
const SLOTS: usize = 64;

/// A request, without its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Request {
    pub(super) fn new(kind: u16, flags: u16, offset: u64, len: u32) -> Self {
        Self { kind, flags, offset, len }
    }

    /// The bytes that follow it.
    pub(super) fn payload(&self) -> u32 {
        if self.kind == cmd::WRITE { self.len } else { 0 }
    }

    fn header(&self, cookie: u64) -> [u8; spec::REQUEST_LEN] {
        let mut bytes = [0; spec::REQUEST_LEN];
        bytes[..4].copy_from_slice(&spec::REQUEST_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.kind.to_be_bytes());
        bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_be_bytes());
        bytes[24..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }
}

/// A connection in its transmission phase.
pub(super) struct Link {
    socket: Arc<Socket>,
    structured: bool,
    context: Option<u32>,
    silence: Duration,
    /// `None` while somebody sends.
    sender: Mutex<Option<Sender>>,
    sender_free: Condvar,
    table: Mutex<Table>,
    slot_free: Condvar,
    /// For each slot: its answer is there, or it is its turn to receive.
    woken: Vec<Condvar>,
    broken: AtomicBool,
    /// Requests under way, for the choice between links.
    load: AtomicUsize,
}

struct Table {
    slots: Vec<Slot>,
    /// `None` while somebody receives.
    input: Option<Input>,
    serial: u64,
    /// Whose owners wait to be woken.
    asleep: [bool; SLOTS],
}

enum Slot {
    Free,
    /// No answer, or not all of it; the number is the cookie.
    Waiting(u64, Reply),
    /// A part of the answer is being received.
    Receiving,
    Done(Reply),
}

impl Link {
    pub(super) fn new(offer: &Offer, input: Input, sender: Sender, silence: Duration) -> io::Result<Self> {
        let socket = input.receiver().socket().clone();
        socket.set_receive_timeout(Some(silence))?;
        socket.set_send_timeout(Some(silence))?;
        let slots = std::iter::repeat_with(|| Slot::Free).take(SLOTS).collect();
        Ok(Self {
            socket,
            structured: offer.structured,
            context: offer.context,
            silence,
            sender: Mutex::new(Some(sender)),
            sender_free: Condvar::new(),
            table: Mutex::new(Table { slots, input: Some(input), serial: 0, asleep: [false; SLOTS] }),
            slot_free: Condvar::new(),
            woken: std::iter::repeat_with(Condvar::new).take(SLOTS).collect(),
            broken: AtomicBool::new(false),
            load: AtomicUsize::new(0),
        })
    }

    /// Requests under way.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the connection is lost; it is then of no more use.
    pub(super) fn request(&self, request: &Request, payload: &[IoSlice<'_>]) -> Result<Reply, Error> {
        self.load.fetch_add(1, Ordering::Relaxed);
        let Some((slot, cookie)) = self.take_slot(request) else {
            self.load.fetch_sub(1, Ordering::Relaxed);
            return Err(lost());
        };
        let done = self.send(&request.header(cookie), payload).and_then(|()| self.wait(slot));
        if let Err(error) = &done {
            tracing::debug!(%error, "an NBD connection broke");
            self.close();
            let mut table = self.table.lock();
            table.slots[slot] = Slot::Free;
            drop(table);
            self.slot_free.notify_one();
        }
        self.load.fetch_sub(1, Ordering::Relaxed);
        done
    }

    /// Ends the connection at once, and all requests on it.
    pub(super) fn close(&self) {
        self.broken.store(true, Ordering::Release);
        self.socket.shutdown(Shutdown::Both);
        // With the locks, so that nobody is between looking and waiting.
        drop(self.sender.lock());
        self.sender_free.notify_all();
        drop(self.table.lock());
        self.slot_free.notify_all();
        self.woken.iter().for_each(|woken| _ = woken.notify_all());
    }

    /// Leaves as the protocol wants it.
    pub(super) fn disconnect(&self) {
        if !self.broken.load(Ordering::Acquire) {
            // The server may have left as well.
            let _ = self.send(&Request::new(cmd::DISC, 0, 0, 0).header(0), &[]);
            if let Some(sender) = self.sender.lock().as_mut() {
                sender.close();
            }
        }
        self.close();
    }

    /// A free slot and the cookie for it. `None`: the connection broke.
    fn take_slot(&self, request: &Request) -> Option<(usize, u64)> {
        let mut table = self.table.lock();
        loop {
            if self.broken.load(Ordering::Acquire) {
                return None;
            }
            if let Some(slot) = table.slots.iter().position(|slot| matches!(slot, Slot::Free)) {
                table.serial += 1;
                let cookie = table.serial << 8 | slot as u64;
                table.slots[slot] = Slot::Waiting(cookie, Reply::to(*request));
                return Some((slot, cookie));
            }
            self.slot_free.wait(&mut table);
        }
    }

    fn send(&self, header: &[u8], payload: &[IoSlice<'_>]) -> Result<(), Error> {
        let mut place = self.sender.lock();
        let mut sender = loop {
            if self.broken.load(Ordering::Acquire) {
                return Err(lost());
            }
            match place.take() {
                Some(sender) => break sender,
                None => self.sender_free.wait(&mut place),
            }
        };
        drop(place);
        let mut bufs: Vec<_> = [IoSlice::new(header)].into_iter().chain(payload.iter().copied()).collect();
        let sent = sender.send(&mut bufs).map_err(Error::io("send"));
        *self.sender.lock() = Some(sender);
        self.sender_free.notify_one();
        sent
    }

    fn wait(&self, slot: usize) -> Result<Reply, Error> {
        let mut table = self.table.lock();
        loop {
            if matches!(table.slots[slot], Slot::Done(_)) {
                let Slot::Done(reply) = std::mem::replace(&mut table.slots[slot], Slot::Free) else {
                    return Err(lost());
                };
                drop(table);
                self.slot_free.notify_one();
                return Ok(reply);
            }
            if self.broken.load(Ordering::Acquire) {
                return Err(lost());
            }
            let Some(mut input) = table.input.take() else {
                table.asleep[slot] = true;
                self.woken[slot].wait(&mut table);
                table.asleep[slot] = false;
                continue;
            };
            drop(table);
            let received = self.receive_until(slot, &mut input);
            table = self.table.lock();
            table.input = Some(input);
            // Not to one who still sends: the server may take nothing more until somebody takes its answers.
            let asleep = |s: &usize| table.asleep[*s] && matches!(table.slots[*s], Slot::Waiting(..));
            if let Some(next) = (0..SLOTS).find(asleep) {
                self.woken[next].notify_one();
            }
            received?;
        }
    }

    /// Receives answers until that of `slot` is there.
    fn receive_until(&self, slot: usize, input: &mut Input) -> Result<(), Error> {
        loop {
            let answered = self.receive(input).map_err(|error| match timed_out(&error) {
                true => Error::Io { what: "wait for an answer", source: silent(self.silence) },
                false => error,
            })?;
            if answered == Some(slot) {
                return Ok(());
            }
        }
    }

    /// Receives an answer or a part of it. Gives the slot whose answer is complete.
    fn receive(&self, input: &mut Input) -> Result<Option<usize>, Error> {
        let head = Head::receive(input)?;
        let slot = (head.cookie & 0xff) as usize;
        let mut table = self.table.lock();
        let mut reply = match table.slots.get_mut(slot) {
            Some(found) => match std::mem::replace(found, Slot::Receiving) {
                Slot::Waiting(cookie, reply) if cookie == head.cookie => reply,
                other => {
                    *found = other;
                    return Err(Error::Protocol("an answer to nothing"));
                }
            },
            None => return Err(Error::Protocol("an answer to nothing")),
        };
        drop(table);
        let last = reply.receive(&head, self.structured, self.context, input)?;
        let mut table = self.table.lock();
        table.slots[slot] = if last { Slot::Done(reply) } else { Slot::Waiting(head.cookie, reply) };
        drop(table);
        if last {
            self.woken[slot].notify_one();
        }
        Ok(last.then_some(slot))
    }
}

fn lost() -> Error {
    Error::Io { what: "wait for an answer", source: io::ErrorKind::ConnectionAborted.into() }
}

fn silent(silence: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the server was silent for {silence:?}"))
}
