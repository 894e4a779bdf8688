//! A pair of queues in guest memory.

use std::sync::atomic::Ordering;

use vm_memory::{Bytes, GuestAddress};

use super::Command;
use crate::Guest;

/// A completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The command's identifier.
    pub id: u16,
    /// Status Code Type and Status Code; 0 is success.
    pub status: u16,
    /// Dword 0.
    pub result: u32,
    /// Where the controller's head was.
    pub sq_head: u16,
}

/// A submission queue and its completion queue.
pub struct QueuePair {
    id: u16,
    entries: u16,
    vector: u16,
    submission: u64,
    completion: u64,
    tail: u16,
    head: u16,
    phase: bool,
    next_id: u16,
}

impl QueuePair {
    /// Memory for a pair with this number.
    #[must_use]
    pub fn new(guest: &Guest, id: u16, entries: u16, vector: u16) -> Self {
        let place = |size: u64| guest.alloc(u64::from(entries) * size, 4096);
        let (submission, completion) = (place(64), place(16));
        Self { id, entries, vector, submission, completion, tail: 0, head: 0, phase: true, next_id: 0 }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The interrupt vector.
    #[must_use]
    pub fn vector(&self) -> u16 {
        self.vector
    }

    /// Address of the submission queue.
    #[must_use]
    pub fn submission(&self) -> u64 {
        self.submission
    }

    /// Address of the completion queue.
    #[must_use]
    pub fn completion(&self) -> u64 {
        self.completion
    }

    /// The tail of the submission queue.
    #[must_use]
    pub fn tail(&self) -> u16 {
        self.tail
    }

    /// The head of the completion queue.
    #[must_use]
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Puts a command at the tail, without a doorbell; its identifier.
    pub fn put(&mut self, guest: &Guest, command: &Command) -> u16 {
        let mut command = *command;
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        command[0] |= u32::from(id) << 16;
        let bytes: Vec<u8> = command.iter().flat_map(|dword| dword.to_le_bytes()).collect();
        guest.memory().write_slice(&bytes, GuestAddress(self.submission + 64 * u64::from(self.tail))).unwrap();
        self.tail = (self.tail + 1) % self.entries;
        id
    }

    /// Takes a completion, without a doorbell.
    pub fn take(&mut self, guest: &Guest) -> Option<Completion> {
        let at = self.completion + 16 * u64::from(self.head);
        let last: u32 = guest.memory().load(GuestAddress(at + 12), Ordering::Acquire).unwrap();
        if (last >> 16 & 1 == 1) != self.phase {
            return None;
        }
        let (result, head): (u32, u32) = (
            guest.memory().read_obj(GuestAddress(at)).unwrap(),
            guest.memory().read_obj(GuestAddress(at + 8)).unwrap(),
        );
        assert_eq!(head >> 16, u32::from(self.id), "a completion of another queue's command");
        self.head = (self.head + 1) % self.entries;
        self.phase ^= self.head == 0;
        let status = (last >> 17) as u16;
        // Whoever fails is told not to try again.
        assert_eq!(status & 0x7ff != 0, status & 1 << 14 != 0);
        Some(Completion { id: last as u16, status: status & 0x7ff, result, sq_head: head as u16 })
    }
}
