//! The driver as a disk in blocks, for the rules of all controllers.

use std::collections::HashMap;
use std::sync::Arc;

use block::Disk;
use devices::nvme::Nvme;
use vm_memory::{Bytes, GuestAddress};

use super::{Command, Driver, QueuePair, command, with};
use crate::Guest;
use crate::disk::{BlockDriver, Ended, Failed, Request};

/// Requests on their way at once, and bytes of each: the buffers of all of them are made at the beginning.
const DEPTH: usize = 12;
const LONGEST: usize = 1 << 20;
const PAGE: usize = 4096;

/// A disk behind two pairs of I/O queues, which take turns.
pub struct NvmeDisk {
    driver: Driver,
    queues: Vec<QueuePair>,
    next: usize,
    block: u64,
    /// What Identify said of it.
    namespace: Vec<u8>,
    /// Buffers that are free: the pages and a list of them.
    free: Vec<(u64, u64)>,
    flying: HashMap<(u16, u16), Flight>,
    submitted: u64,
}

struct Flight {
    number: u64,
    buffer: (u64, u64),
    /// Offset in the buffer and length of what was read.
    read: (usize, usize),
}

impl NvmeDisk {
    /// A controller of `disk`, enabled, with its queues.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        let guest = Guest::new();
        let mut driver = Driver::attach(&guest, &Nvme::new(disk, 2, None));
        driver.enable(16);
        let queues = vec![driver.create(1, 8), driver.create(2, 64)];
        let namespace = driver.ask(command(6, 1));
        let buffer = || (guest.alloc((LONGEST + PAGE) as u64, PAGE as u64), guest.alloc(2 * PAGE as u64, PAGE as u64));
        let free = (0..DEPTH).map(|_| buffer()).collect();
        let block = 1 << namespace[130];
        Self { driver, queues, next: 0, block, namespace, free, flying: HashMap::new(), submitted: 0 }
    }

    /// The driver, for more than reading and writing.
    pub fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// The PRPs of `len` bytes at offset `skip` of a buffer: its pages in reverse order, so that they are not in one
    /// piece, and a list that goes on over a second page.
    fn describe(&self, command: &mut Command, (pages, list): (u64, u64), skip: usize, len: usize) {
        let count = (skip + len).div_ceil(PAGE);
        let page = |n: usize| pages + ((count - 1 - n) * PAGE) as u64;
        let mut put = |at: usize, value: u64| (command[at], command[at + 1]) = (value as u32, (value >> 32) as u32);
        put(6, page(0) + skip as u64);
        match count {
            0 | 1 => {}
            2 => put(8, page(1)),
            _ => {
                // The list begins near the end of its page.
                let (entries, room) = (count - 1, 3);
                let begin = list + (PAGE - 8 * room) as u64;
                put(8, begin);
                let chained = entries > room;
                let write = |at: u64, value: u64| {
                    self.driver.guest().memory().write_obj(value.to_le(), GuestAddress(at)).unwrap();
                };
                for n in 0..entries {
                    let at = match n {
                        _ if !chained || n < room - 1 => begin + 8 * n as u64,
                        _ => list + PAGE as u64 + 8 * (n - (room - 1)) as u64,
                    };
                    write(at, page(n + 1));
                }
                if chained {
                    write(begin + 8 * (room as u64 - 1), list + PAGE as u64);
                }
            }
        }
    }

    /// Copies between `bytes` and the buffer that [`describe`](Self::describe) describes.
    fn copy(&self, (pages, _): (u64, u64), skip: usize, bytes: &mut [u8], to_guest: bool) {
        let count = (skip + bytes.len()).div_ceil(PAGE);
        let (mut at, mut done) = (skip, 0);
        while done < bytes.len() {
            let part = (PAGE - at % PAGE).min(bytes.len() - done);
            let place = GuestAddress(pages + ((count - 1 - at / PAGE) * PAGE + at % PAGE) as u64);
            let memory = self.driver.guest().memory();
            let piece = &mut bytes[done..done + part];
            if to_guest { memory.write_slice(piece, place) } else { memory.read_slice(piece, place) }.unwrap();
            (at, done) = (at + part, done + part);
        }
    }
}

impl BlockDriver for NvmeDisk {
    fn block(&self) -> u64 {
        self.block
    }

    fn blocks(&self) -> u64 {
        u64::from_le_bytes(self.namespace[..8].try_into().unwrap())
    }

    fn read_only(&self) -> bool {
        self.namespace[99] & 1 == 1
    }

    fn depth(&self) -> usize {
        DEPTH
    }

    fn longest(&self) -> u64 {
        LONGEST as u64 / self.block
    }

    fn can(&self, _: &Request) -> bool {
        true
    }

    fn submit(&mut self, request: &Request) -> u64 {
        let buffer = self.free.pop().expect("too many requests");
        let halves = |first: u64| [first as u32, (first >> 32) as u32];
        // Data begin somewhere in a page, on a dword.
        let skip = (self.submitted as usize * 52) % PAGE;
        let count = |count: u64| (count - 1) as u32 & 0xffff;
        let mut read = (skip, 0);
        let command = match request {
            Request::Read { first, count: blocks } => {
                let [low, high] = halves(*first);
                read.1 = (blocks * self.block) as usize;
                let mut read = with(command(2, 1), &[low, high, count(*blocks)]);
                self.describe(&mut read, buffer, skip, (blocks * self.block) as usize);
                read
            }
            Request::Write { first, data } => {
                let [low, high] = halves(*first);
                let mut write = with(command(1, 1), &[low, high, count(data.len() as u64 / self.block)]);
                self.describe(&mut write, buffer, skip, data.len());
                self.copy(buffer, skip, &mut data.clone(), true);
                write
            }
            Request::Zeroes { first, count: blocks, unmap } => {
                let [low, high] = halves(*first);
                with(command(8, 1), &[low, high, count(*blocks) | u32::from(*unmap) << 25])
            }
            Request::Discard { first, count } => {
                let mut range = [&[0; 4][..], &(*count as u32).to_le_bytes(), &first.to_le_bytes()].concat();
                let mut manage = with(command(9, 1), &[0, 1 << 2]);
                self.describe(&mut manage, buffer, skip, range.len());
                self.copy(buffer, skip, &mut range, true);
                manage
            }
            Request::Flush => command(0, 1),
        };
        self.next = (self.next + 1) % self.queues.len();
        let full = self.flying.keys().filter(|(queue, _)| *queue == 1).count() >= 7;
        let queue = &mut self.queues[if full { 1 } else { self.next }];
        let id = self.driver.send(queue, &command);
        self.submitted += 1;
        self.flying.insert((queue.id(), id), Flight { number: self.submitted, buffer, read });
        self.submitted
    }

    fn wait(&mut self) -> (u64, Ended) {
        let (queue, _) = *self.flying.keys().min().expect("no request is on its way");
        let completion = self.driver.wait(&mut self.queues[usize::from(queue) - 1]);
        let flight = self.flying.remove(&(queue, completion.id)).expect("a command that was not sent completed");
        let mut data = vec![0; flight.read.1];
        self.copy(flight.buffer, flight.read.0, &mut data, false);
        self.free.push(flight.buffer);
        let ended = if completion.status == 0 { Ok(data) } else { Err(Failed) };
        (flight.number, ended)
    }
}
