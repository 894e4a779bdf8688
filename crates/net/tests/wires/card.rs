//! A card without a machine: the test is the guest.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use net::{Backend, Link, Meta, Offloads, Port, Wake};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct State {
    to_network: VecDeque<(Vec<u8>, Meta)>,
    to_guest: VecDeque<(Vec<u8>, Meta)>,
    carrier: Option<bool>,
    /// How many frames to the guest find room at once.
    room: usize,
    starved: bool,
}

#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

/// The network's side.
struct CardPort {
    lines: Arc<Lines>,
    offloads: Offloads,
}

impl Port for CardPort {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        let (bytes, meta) = self.lines.state.lock().unwrap().to_network.pop_front()?;
        *frame = bytes;
        Some(meta)
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        assert!(self.offloads.contains(meta.needs()) && meta.check(frame), "{meta:?} for {:?}", self.offloads);
        let mut state = self.lines.state.lock().unwrap();
        if state.to_guest.len() >= state.room {
            state.starved = true;
            return false;
        }
        state.to_guest.push_back((frame.to_vec(), meta));
        self.lines.changed.notify_all();
        true
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn set_carrier(&mut self, up: bool) {
        self.lines.state.lock().unwrap().carrier = Some(up);
        self.lines.changed.notify_all();
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        !self.lines.state.lock().unwrap().to_network.is_empty() || self.arm_for_room()
    }

    fn arm_for_room(&mut self) -> bool {
        let state = self.lines.state.lock().unwrap();
        state.starved && state.to_guest.len() < state.room
    }
}

/// The guest's side of a card that is plugged in.
pub(crate) struct Card {
    lines: Arc<Lines>,
    wake: Wake,
    link: Option<Link<CardPort>>,
}

impl Card {
    pub(crate) fn plug(network: impl Backend + 'static, offloads: Offloads) -> Self {
        let lines = Arc::new(Lines::default());
        lines.state.lock().unwrap().room = 200;
        let (wake, port) = (network.wake(), CardPort { lines: lines.clone(), offloads });
        let link = Link::start("card", Arc::new(Mutex::new(Box::new(network))), wake.clone(), port).unwrap();
        Self { lines, wake, link: Some(link) }
    }

    pub(crate) fn send(&self, frame: &[u8], meta: Meta) {
        self.lines.state.lock().unwrap().to_network.push_back((frame.to_vec(), meta));
        self.wake.wake();
    }

    /// The next frame, if one comes in time.
    pub(crate) fn receive_within(&self, patience: Duration) -> Option<(Vec<u8>, Meta)> {
        let state = self.lines.state.lock().unwrap();
        let (mut state, _) =
            self.lines.changed.wait_timeout_while(state, patience, |state| state.to_guest.is_empty()).unwrap();
        let frame = state.to_guest.pop_front()?;
        let starved = std::mem::take(&mut state.starved);
        drop(state);
        if starved {
            self.wake.wake();
        }
        Some(frame)
    }

    pub(crate) fn receive(&self) -> (Vec<u8>, Meta) {
        self.receive_within(PATIENCE).expect("no frame came")
    }

    pub(crate) fn wait_carrier(&self, up: bool) {
        let state = self.lines.state.lock().unwrap();
        let wrong = |state: &mut State| state.carrier != Some(up);
        let (state, _) = self.lines.changed.wait_timeout_while(state, PATIENCE, wrong).unwrap();
        assert_eq!(state.carrier, Some(up));
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            drop(link.stop());
        }
    }
}
