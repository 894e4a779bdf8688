//! What the threads of a controller share: its queues, settings and events, and how commands get through it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::Status;
use super::admin::{ErrorLog, Settings};
use super::command::Command;
use super::events::{Event, Events};
use super::io::Io;
use super::namespace::Namespace;
use super::pool::Pool;
use super::queue::{CompletionQueue, SubmissionQueue};
use super::registers::Registers;
use super::spec::event;
use crate::GuestMemory;
use crate::pci::{Msix, Requester};
use crate::virtio::Waker;

/// A controller without its threads.
///
/// Fixed: the namespace, guest memory, how many queues there may be. Glue: interrupts, the wakers of the threads.
/// State: registers, queues, settings, events.
pub(super) struct Core {
    pub(super) namespace: Arc<Namespace>,
    pub(super) memory: GuestMemory,
    pub(super) max_queues: u16,
    pub(super) msix: OnceLock<Arc<Msix>>,
    /// Whether the function may reach guest memory.
    pub(super) requester: Requester,
    /// Wakes the thread that manages the controller.
    pub(super) manager: Waker,
    /// Wakes the threads that do I/O.
    pub(super) io: Pool,
    pub(super) registers: Mutex<Registers>,
    pub(super) queues: RwLock<Queues>,
    pub(super) settings: Mutex<Settings>,
    pub(super) events: Mutex<Events>,
    pub(super) errors: Mutex<ErrorLog>,
    /// A namespace has changed since the list of such was read.
    pub(super) changed: AtomicBool,
    /// Whether a write that has completed may be volatile.
    pub(super) write_cache: AtomicBool,
    /// The size of a page of memory as a power of two, as the guest configured it.
    pub(super) page_shift: AtomicU32,
    /// The submission queue to look at next.
    next: AtomicUsize,
}

/// The queues by number; number 0 are the admin queues.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) submission: Vec<Option<Arc<SubmissionQueue>>>,
    pub(super) completion: Vec<Option<Arc<CompletionQueue>>>,
}

/// A command that was fetched. Its queue waits for the end of it, however it ends.
pub(super) struct Job {
    pub(super) queue: Arc<SubmissionQueue>,
    pub(super) command: Command,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

impl Core {
    pub(super) fn new(namespace: Arc<Namespace>, memory: GuestMemory, requester: Requester, max_queues: u16) -> Self {
        Self {
            namespace,
            memory,
            max_queues,
            msix: OnceLock::new(),
            requester,
            manager: Waker::new(),
            io: Pool::default(),
            registers: Mutex::default(),
            queues: RwLock::default(),
            settings: Mutex::new(Settings::new(max_queues)),
            events: Mutex::default(),
            errors: Mutex::default(),
            changed: AtomicBool::new(false),
            write_cache: AtomicBool::new(true),
            page_shift: AtomicU32::new(12),
            next: AtomicUsize::new(0),
        }
    }

    pub(super) fn write_cache(&self) -> bool {
        self.write_cache.load(Ordering::Acquire)
    }

    /// Bytes of a page.
    pub(super) fn page(&self) -> usize {
        1 << self.page_shift.load(Ordering::Acquire)
    }

    pub(super) fn submission(&self, id: usize) -> Option<Arc<SubmissionQueue>> {
        self.queues.read().submission.get(id).cloned().flatten()
    }

    pub(super) fn completion(&self, id: usize) -> Option<Arc<CompletionQueue>> {
        self.queues.read().completion.get(id).cloned().flatten()
    }

    /// A doorbell is rung. It does a bounded bit of work on a CPU's thread: the threads do the rest.
    pub(super) fn ring(&self, doorbell: u64, value: u32) {
        let id = (doorbell / 2) as usize;
        let done = if doorbell.is_multiple_of(2) {
            self.submission(id).map(|queue| queue.set_tail(value))
        } else {
            self.completion(id).map(|queue| queue.set_head(value))
        };
        match done {
            // A completion queue with room may have kept commands or events waiting.
            Some(Ok(())) if id == 0 => self.manager.wake(),
            Some(Ok(())) => self.io.ring(),
            Some(Err(_)) => self.raise(Event::Doorbell(event::INVALID_DOORBELL_VALUE)),
            // A controller that is not ready has no doorbells.
            None if self.submission(0).is_none() => {}
            None => self.raise(Event::Doorbell(event::INVALID_DOORBELL)),
        }
    }

    /// Something happened that the guest may have asked to be told.
    pub(super) fn raise(&self, event: Event) {
        self.events.lock().raise(event);
        self.manager.wake();
    }

    /// The next command of an I/O queue: queues take turns (round robin, 4.13.1).
    pub(super) fn fetch(&self) -> Option<Job> {
        let queues: Vec<_> = self.queues.read().submission.iter().skip(1).flatten().cloned().collect();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..queues.len()).find_map(|n| {
            let queue = &queues[first.wrapping_add(n) % queues.len()];
            queue.fetch(&self.memory).map(|command| Job { queue: queue.clone(), command })
        })
    }

    /// Whether there are I/O commands that were not fetched.
    pub(super) fn has_more(&self) -> bool {
        self.queues.read().submission.iter().skip(1).flatten().any(|queue| queue.has_more())
    }

    /// Does an I/O command and completes it.
    pub(super) fn perform(&self, job: &Job, buffer: &mut Vec<u8>) {
        let result = Io { core: self, buffer }.perform(&job.command);
        self.complete(job, result.map(|()| 0));
    }

    /// Completes a command.
    pub(super) fn complete(&self, job: &Job, result: Result<u32, Status>) {
        let (status, value) = match result {
            Ok(value) => (Status::SUCCESS, value),
            Err(status) => {
                self.errors.lock().note(&job.queue.completion(job.command.id(), status, 0), job.command.namespace());
                (status, 0)
            }
        };
        self.post(&job.queue, job.command.id(), status, value);
    }

    /// Posts a completion for which there is a place.
    pub(super) fn post(&self, queue: &SubmissionQueue, command: u16, status: Status, value: u32) {
        let completion = queue.completion(command, status, value);
        if let (Some(vector), Some(msix)) = (queue.completions().post(&self.memory, &completion), self.msix.get()) {
            msix.signal(vector);
        }
    }
}
