//! Clients of a socket: each on a thread of its own, a few at a time, and none cut off in the middle of an answer.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many may ask at once; more are turned away.
const MAX_CLIENTS: usize = 16;

/// How long an answer that is being given holds up the end of the process.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// The pause after a client that could not be let in, as when the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// How many requests are being answered.
#[derive(Default)]
pub(super) struct Answering {
    count: Mutex<usize>,
    done: Condvar,
}

impl Answering {
    /// Answers by `answer`, which the end of the process waits for.
    pub(super) fn during<R>(&self, answer: impl FnOnce() -> R) -> R {
        self.add(|count| *count += 1);
        let result = answer();
        self.add(|count| *count -= 1);
        result
    }

    fn add(&self, change: impl FnOnce(&mut usize)) {
        change(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner));
        self.done.notify_all();
    }

    /// Waits until all are answered, or until it has been long enough.
    pub(super) fn finish(&self) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was in time makes no difference any more.
        let _ = self.done.wait_timeout_while(count, LAST_ANSWER, |count| *count > 0);
    }
}

/// Lets clients in by `accept`, on a thread of its own, for as long as the process lives, and serves each by `serve`.
pub(super) fn serve<S: Send + 'static>(
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    serve: impl Fn(S) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<()> {
    let clients = Arc::new(AtomicUsize::new(0));
    let serve = Arc::new(serve);
    let accept = move || loop {
        let stream = match accept() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a client was not let in");
                thread::sleep(PAUSE);
                continue;
            }
        };
        if clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
            clients.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (serve, count) = (serve.clone(), clients.clone());
        let spawned = thread::Builder::new().name("control client".to_owned()).spawn(move || {
            if let Err(error) = serve(stream) {
                tracing::debug!(%error, "a client has gone");
            }
            count.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = spawned {
            clients.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%error, "a client was turned away");
        }
    };
    thread::Builder::new().name("control".to_owned()).spawn(accept).map(drop)
}
