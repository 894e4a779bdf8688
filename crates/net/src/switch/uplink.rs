//! A network of this process (the router) at a port of the switch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;

use crate::{Meta, Offloads, Port, Wake};

/// Frames that wait in one direction at most.
const WAITING: usize = 256;

type Frames = Mutex<VecDeque<(Vec<u8>, Meta)>>;

/// What the switch and the network share.
struct Lines {
    to_network: Frames,
    to_switch: Frames,
    /// The network found no room in `to_switch`.
    starved: AtomicBool,
    switch: Arc<Waker>,
}

fn lock(frames: &Frames) -> std::sync::MutexGuard<'_, VecDeque<(Vec<u8>, Meta)>> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The switch's end.
pub(super) struct SwitchEnd {
    lines: Arc<Lines>,
    network: Wake,
}

/// The network's end.
pub(super) struct NetworkEnd {
    lines: Arc<Lines>,
    pushed: bool,
}

/// The two ends of a line between a switch, which is woken by `switch`, and a network.
pub(super) fn line(switch: Arc<Waker>, network: Wake) -> (SwitchEnd, NetworkEnd) {
    let (to_network, to_switch) = (Frames::default(), Frames::default());
    let lines = Arc::new(Lines { to_network, to_switch, starved: AtomicBool::new(false), switch });
    (SwitchEnd { lines: lines.clone(), network }, NetworkEnd { lines, pushed: false })
}

impl SwitchEnd {
    /// The next frame of the network.
    pub(super) fn receive(&self, frame: &mut Vec<u8>) -> Option<Meta> {
        let (bytes, meta) = lock(&self.lines.to_switch).pop_front()?;
        *frame = bytes;
        if self.lines.starved.swap(false, Ordering::SeqCst) {
            self.network.wake();
        }
        Some(meta)
    }

    /// Gives a frame to the network; it is lost when the network is too slow.
    pub(super) fn send(&self, frame: &[u8], meta: Meta) {
        let mut waiting = lock(&self.lines.to_network);
        if waiting.len() < WAITING {
            waiting.push_back((frame.to_vec(), meta));
        }
    }

    /// Lets the network see what was sent.
    pub(super) fn flush(&self) {
        self.network.wake();
    }
}

impl Port for NetworkEnd {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        let (bytes, meta) = lock(&self.lines.to_network).pop_front()?;
        *frame = bytes;
        Some(meta)
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        let mut waiting = lock(&self.lines.to_switch);
        if waiting.len() >= WAITING {
            return false;
        }
        waiting.push_back((frame.to_vec(), meta));
        self.pushed = true;
        true
    }

    fn offloads(&self) -> Offloads {
        Offloads::all()
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.pushed)
            && let Err(error) = self.lines.switch.wake()
        {
            tracing::error!(%error, "the switch cannot be woken");
        }
    }

    fn arm(&mut self) -> bool {
        let full = || lock(&self.lines.to_switch).len() >= WAITING;
        if full() {
            self.lines.starved.store(true, Ordering::SeqCst);
            // It may have been emptied before the flag was seen.
            if !full() {
                return true;
            }
        }
        !lock(&self.lines.to_network).is_empty()
    }
}
