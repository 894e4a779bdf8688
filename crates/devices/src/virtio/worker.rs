//! A device's own thread, which owns the device's queues while it runs and gives them back when it is stopped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Wakes a [`Worker`], or one of several that share it. It can be made before the worker and outlive it, so that a back end may hold it for good;
/// a wake without a worker is kept for the next one.
#[derive(Clone, Default)]
pub struct Waker(Arc<Bell>);

#[derive(Default)]
struct Bell {
    wake: Mutex<Wake>,
    /// Set while `wake` is locked, so that who is about to wait sees it.
    stop: AtomicBool,
    changed: Condvar,
}

/// When there is another turn.
#[derive(Default)]
struct Wake {
    now: bool,
    at: Option<Instant>,
}

impl Waker {
    /// A waker for a worker that is yet to come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the worker take another turn, after the current one if it is in one; of several that share this waker,
    /// one that waits, else the first whose turn ends. Any thread; never blocks for long.
    pub fn wake(&self) {
        self.0.wake.lock().now = true;
        self.0.changed.notify_one();
    }

    /// From within a turn: the next one is at `time`, unless there is a reason for one before. It has to be asked for
    /// again then.
    pub fn wake_at(&self, time: Instant) {
        self.0.wake.lock().at = Some(time);
    }

    /// Whether the worker is to stop: a turn which may be long looks here between two requests.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }

    /// Waits for a wake; `false` when the worker is to stop.
    fn wait(&self) -> bool {
        let mut wake = self.0.wake.lock();
        while !wake.now && !self.is_stopping() {
            match wake.at {
                Some(time) => wake.now |= self.0.changed.wait_until(&mut wake, time).timed_out(),
                None => self.0.changed.wait(&mut wake),
            }
        }
        *wake = Wake::default();
        !self.is_stopping()
    }
}

/// A thread that takes a turn each time it is woken, and once at its beginning.
pub struct Worker<S> {
    waker: Waker,
    thread: Option<JoinHandle<S>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts a thread named `name` which owns `state`. `turn` does all the work there is and returns; it may block
    /// on work that ends by itself, but must not wait for what [`Waker`] is to announce. The guest can give it work
    /// faster than it is done, so it looks at [`Waker::is_stopping`] between two requests.
    pub fn spawn(
        name: &str,
        waker: &Waker,
        mut state: S,
        mut turn: impl FnMut(&mut S, &Waker) + Send + 'static,
    ) -> io::Result<Self> {
        waker.0.stop.store(false, Ordering::Release);
        let (waker, bell) = (waker.clone(), waker.clone());
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                turn(&mut state, &bell);
                if !bell.wait() {
                    return state;
                }
            }
        })?;
        Ok(Self { waker, thread: Some(thread) })
    }

    /// Lets the current turn come to its end, ends the thread and returns its state. `None`: the thread had panicked,
    /// and the state went with it.
    pub fn stop(mut self) -> Option<S> {
        self.ring_stop();
        self.thread.take()?.join().ok()
    }
}

impl<S> Worker<S> {
    fn ring_stop(&self) {
        {
            let _about_to_wait = self.waker.0.wake.lock();
            self.waker.0.stop.store(true, Ordering::Release);
        }
        // Those that share the waker are to stop, too.
        self.waker.0.changed.notify_all();
    }
}

/// A worker that was not stopped ends by itself, with its state.
impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        self.ring_stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_worker_takes_a_turn_at_its_beginning_and_for_each_wake_and_gives_its_state_back() {
        let waker = Waker::new();
        let (tx, rx) = mpsc::channel();
        let worker = Worker::spawn("test", &waker, 0, move |n, _| {
            *n += 1;
            tx.send(*n).unwrap();
        })
        .unwrap();
        assert_eq!(rx.recv().unwrap(), 1);
        waker.wake();
        assert_eq!(rx.recv().unwrap(), 2);
        assert_eq!(worker.stop(), Some(2));
        waker.wake();
        let worker = Worker::spawn("test", &waker, 7, |_, _| {}).unwrap();
        assert_eq!(worker.stop(), Some(7));
    }

    #[test]
    fn a_wake_during_a_turn_is_not_lost() {
        let (tx, rx) = mpsc::channel();
        let worker = Worker::spawn("test", &Waker::new(), 0, move |n, waker| {
            *n += 1;
            if *n < 100 {
                waker.wake();
            } else {
                tx.send(()).unwrap();
            }
        })
        .unwrap();
        rx.recv().unwrap();
        assert_eq!(worker.stop(), Some(100));
    }

    #[test]
    fn a_turn_that_was_asked_for_comes_at_its_time_and_once() {
        let (tx, rx) = mpsc::channel();
        let start = Instant::now();
        let worker = Worker::spawn("test", &Waker::new(), 0, move |n, waker| {
            *n += 1;
            if *n == 1 {
                waker.wake_at(start + Duration::from_millis(30));
            } else {
                tx.send(start.elapsed()).unwrap();
            }
        })
        .unwrap();
        assert!(rx.recv().unwrap() >= Duration::from_millis(30));
        assert!(rx.recv_timeout(Duration::from_millis(50)).is_err());
        assert_eq!(worker.stop(), Some(2));
    }

    #[test]
    fn the_state_of_a_worker_that_panicked_is_gone() {
        let worker = Worker::spawn("test", &Waker::new(), (), |(), _| std::panic::resume_unwind(Box::new(()))).unwrap();
        assert_eq!(worker.stop(), None);
    }
}
