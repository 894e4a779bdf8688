//! The threads that do I/O: as many as there is work for, several for one queue.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::core::Core;

/// How many threads there are for the I/O of a controller: so many requests are on their way at the same time.
const THREADS: usize = 4;

/// The bell of the threads.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    stopping: bool,
    asleep: usize,
}

impl Pool {
    /// Makes one of the threads look for work, the next to be idle if none is.
    pub(super) fn ring(&self) {
        let mut state = self.state.lock();
        state.rung = true;
        if state.asleep > 0 {
            self.changed.notify_one();
        }
    }

    /// Waits to be rung; `false` when the threads are to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.rung && !state.stopping {
            state.asleep += 1;
            self.changed.wait(&mut state);
            state.asleep -= 1;
        }
        state.rung = false;
        !state.stopping
    }

    fn set_stopping(&self, stopping: bool) {
        self.state.lock().stopping = stopping;
        self.changed.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }
}

/// The threads. They end when this is dropped, with what they are doing done.
pub(super) struct Threads {
    core: Arc<Core>,
    all: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them.
    pub(super) fn start(core: &Arc<Core>) -> io::Result<Self> {
        core.io.set_stopping(false);
        let mut threads = Self { core: core.clone(), all: Vec::new() };
        for index in 0..THREADS {
            let core = core.clone();
            threads.all.push(Builder::new().name(format!("nvme {index}")).spawn(move || work(&core))?);
        }
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.core.io.set_stopping(true);
        for thread in self.all.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn work(core: &Core) {
    let mut buffer = Vec::new();
    loop {
        while !core.io.is_stopping()
            && let Some(_permit) = core.requester.permit()
            && let Some(job) = core.fetch()
        {
            // This one may take long: another thread takes the next.
            if core.has_more() {
                core.io.ring();
            }
            core.perform(&job, &mut buffer);
        }
        if !core.io.wait() {
            return;
        }
    }
}
