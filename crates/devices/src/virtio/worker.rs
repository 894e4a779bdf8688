//! A device's own thread, which owns the device's queues while it runs and gives them back when it is stopped.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use parking_lot::{Condvar, Mutex};

/// Wakes a [`Worker`]. It can be made before the worker and outlive it, so that a back end may hold it for good;
/// a wake without a worker is kept for the next one.
#[derive(Clone, Default)]
pub struct Waker(Arc<Bell>);

#[derive(Default)]
struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Default)]
struct Rung {
    wake: bool,
    stop: bool,
}

impl Waker {
    /// A waker for a worker that is yet to come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the worker take another turn, after the current one if it is in one. Any thread; never blocks for long.
    pub fn wake(&self) {
        self.0.rung.lock().wake = true;
        self.0.changed.notify_one();
    }

    /// Waits for a wake; `false` when the worker is to stop.
    fn wait(&self) -> bool {
        let mut rung = self.0.rung.lock();
        while !rung.wake && !rung.stop {
            self.0.changed.wait(&mut rung);
        }
        rung.wake = false;
        !rung.stop
    }
}

/// A thread that takes a turn each time it is woken, and once at its beginning.
pub struct Worker<S> {
    waker: Waker,
    thread: JoinHandle<S>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts a thread named `name` which owns `state`. `turn` does all the work there is and returns; it may block
    /// on work that ends by itself, but must not wait for what [`Waker`] is to announce.
    pub fn spawn(
        name: &str,
        waker: &Waker,
        mut state: S,
        mut turn: impl FnMut(&mut S) + Send + 'static,
    ) -> io::Result<Self> {
        waker.0.rung.lock().stop = false;
        let (waker, bell) = (waker.clone(), waker.clone());
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                turn(&mut state);
                if !bell.wait() {
                    return state;
                }
            }
        })?;
        Ok(Self { waker, thread })
    }

    /// Lets the current turn come to its end, ends the thread and returns its state. `None`: the thread had panicked,
    /// and the state went with it.
    pub fn stop(self) -> Option<S> {
        self.waker.0.rung.lock().stop = true;
        self.waker.0.changed.notify_one();
        self.thread.join().ok()
    }
}
