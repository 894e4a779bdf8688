//! Threads of a connection for requests that wait for the medium.

use std::collections::VecDeque;
use std::thread::{self, Scope};

use parking_lot::{Condvar, Mutex};

use super::execute::{self, Medium};
use super::outbox::Outbox;
use super::request::Request;
use crate::nbd::spec::{chunk, cmd, cmd_flag};

/// Threads of a connection at most: as many requests can wait for the medium at once.
const MAX_THREADS: usize = 16;
/// Requests that are under way at most.
const MAX_REQUESTS: usize = 256;
/// Their payloads at most, in bytes.
const MAX_MEMORY: usize = 64 << 20;
/// What a thread has for its stack, in bytes.
const STACK: usize = 512 << 10;

/// A request for a worker.
pub(super) struct Job {
    pub(super) request: Request,
    /// Of a write.
    pub(super) payload: Vec<u8>,
}

/// What the workers of a connection share.
pub(super) struct Workers<'a> {
    medium: &'a Medium<'a>,
    structured: bool,
    outbox: &'a Outbox,
    state: Mutex<State>,
    /// There is a job, or will not be any more.
    work: Condvar,
    /// A job is done.
    room: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    requests: usize,
    memory: usize,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl<'a> Workers<'a> {
    pub(super) fn new(medium: &'a Medium<'a>, structured: bool, outbox: &'a Outbox) -> Self {
        let state = Mutex::default();
        Self { medium, structured, outbox, state, work: Condvar::new(), room: Condvar::new() }
    }

    /// Whether none of the requests that they got is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().requests == 0
    }

    /// Waits until there is room for a request: before its payload is taken from the socket.
    pub(super) fn wait_for_room(&self, request: &Request) {
        let mut state = self.state.lock();
        while state.requests >= MAX_REQUESTS || state.requests > 0 && state.memory + request.memory() > MAX_MEMORY {
            self.room.wait(&mut state);
        }
    }

    /// Gives a job to some thread, a new one where all are busy.
    pub(super) fn give<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, job: Job) {
        let mut state = self.state.lock();
        state.requests += 1;
        state.memory += job.request.memory();
        state.queue.push_back(job);
        let grow = state.idle < state.queue.len() && state.threads < MAX_THREADS;
        state.threads += usize::from(grow);
        drop(state);
        self.work.notify_one();
        if grow {
            let thread = thread::Builder::new().name("nbd-worker".to_owned()).stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, || self.work()) {
                tracing::warn!(%error, "no further thread for a connection");
                let mut state = self.state.lock();
                state.threads -= 1;
                let job = if state.threads == 0 { state.queue.pop_front() } else { None };
                drop(state);
                if let Some(job) = job {
                    self.execute(job);
                }
            }
        }
    }

    /// Waits for all requests, and ends the threads.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        while state.requests > 0 {
            self.room.wait(&mut state);
        }
        state.ended = true;
        drop(state);
        self.work.notify_all();
    }

    fn work(&self) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if let Some(job) = state.queue.pop_front() {
                    break job;
                }
                if state.ended {
                    return;
                }
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
            };
            drop(state);
            self.execute(job);
        }
    }

    fn execute(&self, job: Job) {
        let Job { request, payload } = job;
        // Also when the disk panics: the connection must not wait for ever.
        let _done = Done(self, request);
        let reply = match request.kind {
            cmd::READ => self.read(&request),
            cmd::WRITE => Err(self.medium.write(request.offset, &payload, request.has(cmd_flag::FUA))),
            cmd::BLOCK_STATUS => self.medium.block_status(&request).map_err(Err),
            _ => Err(self.medium.plain(&request)),
        };
        self.outbox.push(reply.unwrap_or_else(|done| execute::answer(&request, self.structured, done)));
    }

    /// The whole answer to a read.
    fn read(&self, request: &Request) -> Result<Vec<u8>, Result<(), u32>> {
        let head = match self.structured {
            true if request.len == 0 => execute::chunk_header(request.cookie, chunk::DONE, chunk::NONE, 0).to_vec(),
            true => {
                let len = 8 + request.len;
                let header = execute::chunk_header(request.cookie, chunk::DONE, chunk::OFFSET_DATA, len);
                [&header[..], &request.offset.to_be_bytes()].concat()
            }
            false => execute::simple_header(request.cookie, 0).to_vec(),
        };
        let mut reply = vec![0; head.len() + request.len as usize];
        reply[..head.len()].copy_from_slice(&head);
        self.medium.read(request.offset, &mut reply[head.len()..]).map_err(Err)?;
        Ok(reply)
    }
}

/// Takes a request off the books.
struct Done<'a>(&'a Workers<'a>, Request);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.requests -= 1;
        state.memory -= self.1.memory();
        drop(state);
        self.0.room.notify_one();
    }
}
