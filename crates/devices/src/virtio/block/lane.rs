//! A queue and the threads that serve it: one while requests are quick, more while they wait for the medium.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Shared;
use super::request::Request;
use crate::GuestMemory;
use crate::virtio::{Chain, Interrupt, Malformed, Virtqueue, Waker};

/// Requests that are completed before the driver hears of it, while there are more and they are quick.
const BATCH: u32 = 16;
/// How long a thread stays that has done a batch, for more which then come without a kick: about as long as it takes to
/// put it to sleep and to wake it.
const STAY: Duration = Duration::from_micros(30);

/// A queue, and what its threads need to serve it.
///
/// Each thread takes a request, does it and gives it back. As long as requests are quick the first thread to wake does
/// them all, and the driver is interrupted once for many. Before one that is likely to take long a thread tells the
/// driver what is done, and leaves what is in the queue, or comes meanwhile, to another: as many wait for a medium at
/// the same time as there are threads.
pub(super) struct Lane {
    /// Held for a few steps on the rings only. Nobody whom an interrupt reaches takes it.
    state: Mutex<State>,
    shared: Arc<Shared>,
    memory: GuestMemory,
    interrupt: Arc<dyn Interrupt>,
    index: u16,
}

struct State {
    queue: Virtqueue,
    /// Requests completed since the driver was told.
    untold: u32,
}

/// A request that was done, with how many bytes were written.
type Done = (Chain, Result<u32, Malformed>);

impl Lane {
    pub(super) fn new(queue: Virtqueue, shared: Arc<Shared>) -> Self {
        Self {
            shared,
            memory: queue.memory().clone(),
            interrupt: queue.interrupt().clone(),
            index: queue.index(),
            state: Mutex::new(State { queue, untold: 0 }),
        }
    }

    pub(super) fn into_queue(self) -> Virtqueue {
        self.state.into_inner().queue
    }

    /// Serves what is in the queue.
    pub(super) fn turn(&self, waker: &Waker) {
        let (mut done, mut count) = (None, 0);
        while let Some(chain) = self.exchange(done, waker).or_else(|| self.stay(count, waker)) {
            count = BATCH.min(count + 1);
            let written = Request::new(&chain, &self.memory).map(|request| {
                let (kind, bytes) = request.pace();
                if self.shared.pace.is_long(kind, bytes) {
                    self.before_long(self.shared.pace.is_shared(kind), waker);
                }
                self.shared.serve(request)
            });
            done = Some((chain, written));
        }
    }

    /// Gives a request back that was done, and takes the next, if there is one.
    fn exchange(&self, done: Option<Done>, waker: &Waker) -> Option<Chain> {
        let (next, tell) = {
            let mut state = self.state.lock();
            if let Some(done) = done {
                state.complete(done);
            }
            let next = if waker.is_stopping() { None } else { state.take() };
            let tell = (next.is_none() || state.untold >= BATCH) && state.tell();
            (next, tell)
        };
        if tell {
            self.interrupt.queue(self.index);
        }
        next
    }

    /// The next request, when there was none. Waits for it if the queue is busy: it has given `count` to this turn.
    fn stay(&self, count: u32, waker: &Waker) -> Option<Chain> {
        let start = Instant::now();
        while count >= BATCH && start.elapsed() < STAY && self.state.lock().queue.is_empty() {
            thread::yield_now();
        }
        if waker.is_stopping() { None } else { self.state.lock().next() }
    }

    /// Lets nobody wait for a long request: the driver hears of those that are done, and others have the queue if
    /// that is of use.
    fn before_long(&self, is_shared: bool, waker: &Waker) {
        let (tell, help) = {
            let mut state = self.state.lock();
            (state.tell(), is_shared && state.is_waited_for())
        };
        if help {
            waker.wake();
        }
        if tell {
            self.interrupt.queue(self.index);
        }
    }
}

impl State {
    fn complete(&mut self, (chain, written): Done) {
        match written {
            Ok(written) => {
                self.queue.complete(chain, written);
                self.untold += 1;
            }
            Err(why) => self.queue.fail(why),
        }
    }

    /// The next request.
    fn take(&mut self) -> Option<Chain> {
        self.queue.disable_notification();
        self.queue.pop()
    }

    /// The next request. When there is none, the driver has been asked to kick.
    fn next(&mut self) -> Option<Chain> {
        loop {
            match self.take() {
                None if self.queue.enable_notification() => {}
                next => return next,
            }
        }
    }

    /// Whether there are requests. When there are none, the driver has been asked to kick.
    fn is_waited_for(&mut self) -> bool {
        !self.queue.is_empty() || self.queue.enable_notification()
    }

    fn tell(&mut self) -> bool {
        self.untold = 0;
        self.queue.take_signal()
    }
}
