//! A port of the console as its back end has it, and a back end made of two buffers in memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::virtio::Waker;

/// The host's end of a port.
///
/// Called on the console's thread, except `write`, which a vCPU thread may call with one byte of emergency output.
/// Nothing here blocks. What the back end does not take is offered again after it has called the waker, so nothing is
/// lost; a guest whose output is not taken is held up.
pub trait PortBackend: Send + Sync {
    /// Gives the back end what it wakes when there is something to read, or room again, or when it opens or closes.
    fn set_waker(&self, waker: Waker);
    /// Takes bytes for the guest, up to `buf.len()`; 0 when there are none now.
    fn read(&self, buf: &mut [u8]) -> usize;
    /// Gives bytes of the guest; returns how many were taken.
    fn write(&self, data: &[u8]) -> usize;
    /// Whether somebody is there. The guest is told if the console has several ports.
    fn is_open(&self) -> bool {
        true
    }
    /// A program in the guest has opened or closed the port (only with several ports).
    fn set_guest_open(&self, open: bool) {
        let _ = open;
    }
}

/// How many bytes each direction of a [`pipe`] holds.
const CAPACITY: usize = 64 * 1024;

/// A back end for a port, and the host's end of it for threads that read and write.
#[must_use]
pub fn pipe() -> (Arc<PipePort>, PipeEnd) {
    let shared = Arc::new(Shared::default());
    (Arc::new(PipePort(shared.clone())), PipeEnd(Arc::new(Closer(shared))))
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    to_guest: VecDeque<u8>,
    to_host: VecDeque<u8>,
    waker: Option<Waker>,
    /// The console is gone.
    guest_gone: bool,
    /// The host's end is gone or was closed.
    host_gone: bool,
    guest_open: bool,
}

/// The console's end of a [`pipe`].
pub struct PipePort(Arc<Shared>);

impl PortBackend for PipePort {
    fn set_waker(&self, waker: Waker) {
        self.0.state.lock().waker = Some(waker);
    }

    fn read(&self, buf: &mut [u8]) -> usize {
        let n = take(&mut self.0.state.lock().to_guest, buf);
        self.0.changed.notify_all();
        n
    }

    fn write(&self, data: &[u8]) -> usize {
        let mut state = self.0.state.lock();
        if state.host_gone {
            // Nobody will ever read it, and the guest must not hang for that.
            return data.len();
        }
        let n = put(&mut state.to_host, data);
        drop(state);
        self.0.changed.notify_all();
        n
    }

    fn is_open(&self) -> bool {
        !self.0.state.lock().host_gone
    }

    fn set_guest_open(&self, open: bool) {
        self.0.state.lock().guest_open = open;
    }
}

impl Drop for PipePort {
    fn drop(&mut self) {
        self.0.state.lock().guest_gone = true;
        self.0.changed.notify_all();
    }
}

/// The host's end of a [`pipe`]: reads block until the guest has written something, writes until there is room.
/// Several threads can use clones of it; when the last is dropped the pipe is closed.
#[derive(Clone)]
pub struct PipeEnd(Arc<Closer>);

struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl PipeEnd {
    /// Closes the pipe: readers and writers of all clones come back, output of the guest is discarded from now on.
    pub fn close(&self) {
        close(&self.0.0);
    }

    /// Whether a program in the guest has the port open (only with several ports).
    #[must_use]
    pub fn is_guest_open(&self) -> bool {
        self.0.0.state.lock().guest_open
    }

    /// Takes bytes for the host without waiting; 0 when there are none now.
    #[must_use]
    pub fn try_read(&self, buf: &mut [u8]) -> usize {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        let n = take(&mut state.to_host, buf);
        let waker = state.waker.clone().filter(|_| n > 0);
        drop(state);
        wake(waker);
        n
    }

    /// Gives bytes to the guest without waiting; returns how many there was room for.
    #[must_use]
    pub fn try_write(&self, data: &[u8]) -> usize {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        let n = put(&mut state.to_guest, data);
        let waker = state.waker.clone().filter(|_| n > 0);
        drop(state);
        wake(waker);
        n
    }

    /// Waits until `ready` or the end: `false`.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> bool {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        while !ready(&state) {
            if state.guest_gone || state.host_gone {
                return false;
            }
            shared.changed.wait(&mut state);
        }
        true
    }
}

/// The end of file is the end of the console or of the pipe.
impl Read for &PipeEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.try_read(buf);
            if n > 0 || buf.is_empty() || !self.wait(|s| !s.to_host.is_empty()) {
                return Ok(n);
            }
        }
    }
}

/// A write after the end is a broken pipe.
impl Write for &PipeEnd {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            let open = self.wait(|s| s.to_guest.len() < CAPACITY && !s.guest_gone && !s.host_gone);
            if !open {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let n = self.try_write(data);
            if n > 0 || data.is_empty() {
                return Ok(n);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn close(shared: &Shared) {
    let waker = {
        let mut state = shared.state.lock();
        state.host_gone = true;
        state.waker.clone()
    };
    shared.changed.notify_all();
    wake(waker);
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn take(from: &mut VecDeque<u8>, buf: &mut [u8]) -> usize {
    // A deque of bytes reads without fail.
    from.read(buf).unwrap_or(0)
}

fn put(into: &mut VecDeque<u8>, data: &[u8]) -> usize {
    let n = data.len().min(CAPACITY - into.len());
    into.extend(&data[..n]);
    n
}
