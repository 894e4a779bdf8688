//! The states of a virtual machine, and what its subscribers hear.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::{Condvar, Mutex};

use crate::DiskName;

/// The state of a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It does not run: it has not been started yet, or has ended.
    Stopped,
    /// It is being built.
    Starting,
    /// The guest runs.
    Running,
    /// It is being paused.
    Pausing,
    /// The guest stands still.
    Paused,
    /// It is being resumed.
    Resuming,
    /// It stands still, and its state is being saved into a file.
    Saving,
    /// It is being taken apart.
    Stopping,
    /// It has ended because something failed. It can be started again.
    Error,
}

impl State {
    /// The name in messages and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "being paused",
            Self::Paused => "paused",
            Self::Resuming => "being resumed",
            Self::Saving => "being saved",
            Self::Stopping => "stopping",
            Self::Error => "in error",
        }
    }

    /// Whether it can be started.
    #[must_use]
    pub const fn can_start(self) -> bool {
        matches!(self, Self::Stopped | Self::Error)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a virtual machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The guest powered off.
    PoweredOff,
    /// [`VirtualMachine::stop`](crate::VirtualMachine::stop) was called.
    Killed,
    /// Its state is in a file, from which it can go on.
    Suspended,
    /// The guest did something that cannot go on, or the engine failed. The text says what.
    Crashed(String),
    /// It could not be started, or not again after a reset. The text says why.
    Failed(String),
}

impl Outcome {
    fn state(&self) -> State {
        match self {
            Self::PoweredOff | Self::Killed | Self::Suspended => State::Stopped,
            Self::Crashed(_) | Self::Failed(_) => State::Error,
        }
    }
}

/// What subscribers hear.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state has changed to this.
    State(State),
    /// The guest asked for a reset: it starts anew.
    Reset,
    /// A network card, by its place in the configuration, lost what it was plugged into. The text says why.
    Disconnected(usize, String),
    /// A network card that was disconnected is plugged in again.
    Reconnected(usize),
    /// A disk works no more, and the guest gets errors from it. The text says why.
    DiskFailed(DiskName, String),
    /// It has ended. The event of the state follows.
    Ended(Outcome),
}

/// The state, and who wants to know of it.
pub(crate) struct Life {
    now: Mutex<Now>,
    changed: Condvar,
}

struct Now {
    state: State,
    outcome: Option<Outcome>,
    subscribers: Vec<Sender<Event>>,
}

impl Now {
    fn tell(&mut self, event: &Event) {
        self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    fn set(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.tell(&Event::State(state));
        }
    }
}

impl Life {
    pub(crate) fn new() -> Self {
        let now = Now { state: State::Stopped, outcome: None, subscribers: Vec::new() };
        Self { now: Mutex::new(now), changed: Condvar::new() }
    }

    pub(crate) fn state(&self) -> State {
        self.now.lock().state
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.now.lock().outcome.clone()
    }

    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = channel();
        self.now.lock().subscribers.push(sender);
        receiver
    }

    /// Goes from a state that is `allowed` to `next`, and does `also`, which neither waits nor calls back, before any
    /// other change can be. The state that it is in when that cannot be.
    pub(crate) fn change(
        &self,
        allowed: impl Fn(State) -> bool,
        next: State,
        also: impl FnOnce(),
    ) -> Result<(), State> {
        let mut now = self.now.lock();
        if !allowed(now.state) {
            return Err(now.state);
        }
        if next == State::Starting {
            now.outcome = None;
        }
        now.set(next);
        also();
        drop(now);
        self.changed.notify_all();
        Ok(())
    }

    /// The state is another, as somebody else has decided.
    pub(crate) fn enter(&self, state: State) {
        // One who may go there asks nobody.
        let _ = self.change(|_| true, state, || ());
    }

    /// Something happened that changes no state.
    pub(crate) fn tell(&self, event: &Event) {
        self.now.lock().tell(event);
    }

    pub(crate) fn end(&self, outcome: Outcome) {
        let mut now = self.now.lock();
        now.tell(&Event::Ended(outcome.clone()));
        now.set(outcome.state());
        now.outcome = Some(outcome);
        drop(now);
        self.changed.notify_all();
    }

    /// Waits until there is an outcome; `None` when the machine has not been started.
    pub(crate) fn wait(&self) -> Option<Outcome> {
        let mut now = self.now.lock();
        loop {
            match (&now.outcome, now.state) {
                (Some(outcome), _) => return Some(outcome.clone()),
                (None, State::Stopped | State::Error) => return None,
                _ => self.changed.wait(&mut now),
            }
        }
    }
}
