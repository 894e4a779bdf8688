//! The threads that carry bytes between a console and a client on the host.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use devices::virtio::console::PipeEnd;
use parking_lot::Mutex;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::cancel::{Cancel, Cancelled, Wait, cancel};

/// What a client that comes later gets to see of the output before: a few screens.
const HISTORY: usize = 64 * 1024;
/// How long a client may take to read the rest when the console ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// A place on the host where clients come and go, one at a time.
pub(super) trait Place: Send + 'static {
    /// Waits for a client. `None`: the wait was called off, or no client can come any more.
    fn client(&mut self, cancelled: &Cancelled) -> Option<Arc<OwnedFd>>;
}

/// The threads.
pub(super) struct Pump {
    cancel: Cancel,
    outbox: Option<Arc<Mutex<Outbox>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pump {
    /// Carries bytes both ways. While nobody is there the guest's output goes by, and the last of it is kept.
    pub(super) fn start(end: PipeEnd, mut place: impl Place) -> io::Result<Self> {
        let (cancel, cancelled) = cancel()?;
        let outbox =
            Arc::new(Mutex::new(Outbox { client: None, history: VecDeque::new(), cancelled: cancelled.clone() }));
        let (from_guest, boxes) = (end.clone(), outbox.clone());
        let output = thread("console-out", move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = (&from_guest).read(&mut buf) {
                boxes.lock().send(&buf[..n]);
            }
        })?;
        let boxes = outbox.clone();
        let input = thread("console-in", move || {
            while let Some(client) = place.client(&cancelled) {
                boxes.lock().connect(client.clone());
                let on = carry(&client, &end, &cancelled);
                boxes.lock().client = None;
                if !on {
                    break;
                }
            }
        })?;
        Ok(Self { cancel, outbox: Some(outbox), threads: vec![output, input] })
    }

    /// Carries the guest's output only.
    pub(super) fn start_output(end: PipeEnd, mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (cancel, _) = cancel()?;
        let output = thread("console-out", move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = (&end).read(&mut buf) {
                if let Err(error) = to.write_all(&buf[..n]) {
                    tracing::error!(%error, "the console's output cannot be written any more");
                    end.close();
                }
            }
        })?;
        Ok(Self { cancel, outbox: None, threads: vec![output] })
    }

    pub(super) fn has_client(&self) -> bool {
        // A client that is slow to read holds the lock: it is there.
        self.outbox.as_ref().is_some_and(|outbox| outbox.try_lock().is_none_or(|outbox| outbox.client.is_some()))
    }

    /// Ends the threads, when the pipe was closed. What the guest has written goes out before.
    pub(super) fn finish(self) {
        drop(self.cancel);
        for thread in self.threads {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(body)
}

/// Carries a client's input to the guest until it goes away; `false` when the console ends.
fn carry(client: &OwnedFd, end: &PipeEnd, cancelled: &Cancelled) -> bool {
    let mut buf = [0; 1024];
    loop {
        match cancelled.wait(client, PollFlags::IN, None) {
            Ok(Wait::Ready(_) | Wait::TimedOut) => {}
            Ok(Wait::Cancelled) | Err(_) => return false,
        }
        match rustix::io::read(client, &mut buf) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            // A pseudo-terminal without a client is an input/output error.
            Ok(0) | Err(_) => return true,
            Ok(n) => {
                let mut end = end;
                if Write::write_all(&mut end, &buf[..n]).is_err() {
                    return false;
                }
            }
        }
    }
}

/// The guest's output on its way to a client.
struct Outbox {
    client: Option<Arc<OwnedFd>>,
    history: VecDeque<u8>,
    cancelled: Cancelled,
}

impl Outbox {
    /// A client is there: it gets what it missed.
    fn connect(&mut self, client: Arc<OwnedFd>) {
        self.client = Some(client);
        let history: Vec<u8> = self.history.drain(..).collect();
        self.send(&history);
    }

    /// Gives output to the client, or keeps it. A client that does not read holds the guest up.
    fn send(&mut self, mut data: &[u8]) {
        let mut deadline = None;
        while let (Some(client), false) = (&self.client, data.is_empty()) {
            let written = rustix::io::write(client, data);
            match written {
                Ok(n) => data = &data[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.wait_for_room(client, &mut deadline) => {}
                Err(_) => self.client = None,
            }
        }
        self.history.extend(data);
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
    }

    /// `false`: there will be none.
    fn wait_for_room(&self, client: &OwnedFd, deadline: &mut Option<Instant>) -> bool {
        let Some(deadline) = *deadline else {
            return match self.cancelled.wait(client, PollFlags::OUT, None) {
                Ok(Wait::Ready(flags)) => !flags.intersects(PollFlags::HUP | PollFlags::ERR),
                Ok(Wait::Cancelled) => {
                    *deadline = Some(Instant::now() + PATIENCE);
                    true
                }
                Ok(Wait::TimedOut) | Err(_) => false,
            };
        };
        std::thread::sleep(Duration::from_millis(5));
        Instant::now() < deadline
    }
}
