//! Submission and completion queues in guest memory (4.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::{Condvar, Mutex};
use vm_memory::{Bytes, GuestAddress, GuestMemory as _, Permissions};

use super::command::{Command, Completion};
use super::spec::{COMMAND, COMPLETION};
use crate::GuestMemory;

/// A queue's memory: contiguous, and known to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    base: u64,
    entries: u16,
}

impl Ring {
    /// A ring of `entries` entries of `size` bytes at `base`; `None` when it is not all in guest memory or not aligned
    /// to a page, of which 4 KiB are the smallest.
    pub(super) fn new(memory: &GuestMemory, base: u64, entries: u16, size: usize, access: Permissions) -> Option<Self> {
        let right = base.is_multiple_of(4096)
            && entries >= 2
            && memory.check_range(GuestAddress(base), usize::from(entries) * size, access);
        right.then_some(Self { base, entries })
    }

    fn after(self, index: u16) -> u16 {
        if index + 1 == self.entries { 0 } else { index + 1 }
    }

    /// How many entries there are from `from` up to `to`.
    fn distance(self, from: u16, to: u16) -> u16 {
        if to >= from { to - from } else { self.entries - from + to }
    }

    fn at(self, index: u16, size: usize) -> GuestAddress {
        // Checked to be in memory, so that it does not wrap.
        GuestAddress(self.base + u64::from(index) * size as u64)
    }
}

/// The value written to a doorbell is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidValue;

/// A submission queue.
///
/// Fixed: number, memory, the queue for completions. State: tail (the guest's), head, commands that are being done.
pub(super) struct SubmissionQueue {
    id: u16,
    ring: Ring,
    completions: Arc<CompletionQueue>,
    tail: AtomicU16,
    state: Mutex<Fetching>,
    quiet: Condvar,
}

#[derive(Default)]
struct Fetching {
    head: u16,
    in_flight: u32,
    closed: bool,
}

impl SubmissionQueue {
    pub(super) fn new(id: u16, ring: Ring, completions: Arc<CompletionQueue>) -> Self {
        let (tail, state) = (AtomicU16::new(0), Mutex::default());
        Self { id, ring, completions, tail, state, quiet: Condvar::new() }
    }

    pub(super) fn completions(&self) -> &Arc<CompletionQueue> {
        &self.completions
    }

    /// The guest writes the tail doorbell.
    pub(super) fn set_tail(&self, value: u32) -> Result<(), InvalidValue> {
        let tail = u16::try_from(value).ok().filter(|tail| *tail < self.ring.entries).ok_or(InvalidValue)?;
        self.tail.store(tail, Ordering::Release);
        Ok(())
    }

    /// Whether the guest has put commands here that were not fetched.
    pub(super) fn has_more(&self) -> bool {
        self.state.lock().head != self.tail.load(Ordering::Acquire)
    }

    /// Fetches a command, if there is one and room for its completion. It has to be [finished](Self::finish).
    pub(super) fn fetch(&self, memory: &GuestMemory) -> Option<Command> {
        let mut state = self.state.lock();
        if state.closed || state.head == self.tail.load(Ordering::Acquire) || !self.completions.reserve() {
            return None;
        }
        let mut bytes = [0; COMMAND];
        // The ring is in memory, which does not go away.
        let read = memory.read_slice(&mut bytes, self.ring.at(state.head, COMMAND));
        debug_assert!(read.is_ok());
        state.head = self.ring.after(state.head);
        state.in_flight += 1;
        Some(Command::new(&bytes))
    }

    /// A completion of a command of this queue.
    pub(super) fn completion(&self, command_id: u16, status: super::Status, result: u32) -> Completion {
        Completion { result, sq_head: self.state.lock().head, sq_id: self.id, command_id, status }
    }

    /// A command that was fetched is done with; its completion, if it has one, was posted before.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 && state.closed {
            self.quiet.notify_all();
        }
    }

    /// Fetches nothing any more, and waits for what is being done.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        while state.in_flight > 0 {
            self.quiet.wait(&mut state);
        }
    }
}

/// A completion queue.
///
/// Fixed: memory, the interrupt vector. State: head (the guest's), tail, places promised to commands that are being done.
pub(super) struct CompletionQueue {
    ring: Ring,
    vector: Option<u16>,
    state: Mutex<Posting>,
}

struct Posting {
    head: u16,
    tail: u16,
    phase: bool,
    reserved: u16,
}

impl CompletionQueue {
    /// `vector`: what it interrupts by, if the guest wants interrupts.
    pub(super) fn new(ring: Ring, vector: Option<u16>) -> Self {
        Self { ring, vector, state: Mutex::new(Posting { head: 0, tail: 0, phase: true, reserved: 0 }) }
    }

    /// Promises a place for a completion, so that nobody ever waits for the guest to make room; `false`: there is none.
    pub(super) fn reserve(&self) -> bool {
        let mut state = self.state.lock();
        let room = self.ring.distance(state.head, state.tail) + state.reserved < self.ring.entries - 1;
        state.reserved += u16::from(room);
        room
    }

    /// Takes a promise back.
    pub(super) fn release(&self) {
        self.state.lock().reserved -= 1;
    }

    /// Posts a completion for which a place was [reserved](Self::reserve), and gives the vector to interrupt by.
    pub(super) fn post(&self, memory: &GuestMemory, completion: &Completion) -> Option<u16> {
        let mut state = self.state.lock();
        let (head, last) = completion.encode(state.phase);
        let at = self.ring.at(state.tail, COMPLETION);
        // The ring is in memory, which does not go away. The phase tag is visible only after the rest.
        let written = memory
            .write_slice(&head, at)
            .and_then(|()| memory.store(last.to_le(), GuestAddress(at.0 + 12), Ordering::Release));
        debug_assert!(written.is_ok());
        state.reserved -= 1;
        state.tail = self.ring.after(state.tail);
        state.phase ^= state.tail == 0;
        self.vector
    }

    /// The guest writes the head doorbell.
    pub(super) fn set_head(&self, value: u32) -> Result<(), InvalidValue> {
        let mut state = self.state.lock();
        let head = u16::try_from(value).ok().filter(|head| *head < self.ring.entries).ok_or(InvalidValue)?;
        if self.ring.distance(state.head, head) > self.ring.distance(state.head, state.tail) {
            return Err(InvalidValue);
        }
        state.head = head;
        Ok(())
    }
}
