//! The thread that runs a network for a port, and gives the port back when it is stopped.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::{Backend, Port, Wake};

/// A network that outlives its links: it is locked by the link's thread while that runs.
pub type SharedBackend = Arc<Mutex<Box<dyn Backend>>>;

/// A running network with its port plugged in.
pub struct Link<P> {
    thread: JoinHandle<P>,
    stop: Arc<AtomicBool>,
    wake: Wake,
}

impl<P: Port + 'static> Link<P> {
    /// Plugs `port` into `backend` and runs it on a new thread called `name`. Waits, on that thread, for an earlier
    /// link of the same network to end. `wake` is the network's [`Backend::wake`].
    pub fn start(name: &str, backend: SharedBackend, wake: Wake, mut port: P) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let mut backend = backend.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = backend.run(&mut port, &stopped) {
                tracing::error!(%error, "the network has stopped");
            }
            port
        })?;
        Ok(Self { thread, stop, wake })
    }

    /// Stops the network between two frames and gives the port back; the network keeps its state for the next link.
    /// `None`: its thread had panicked, and the port went with it.
    pub fn stop(self) -> Option<P> {
        self.stop.store(true, Ordering::Release);
        self.wake.wake();
        self.thread.join().ok()
    }
}
