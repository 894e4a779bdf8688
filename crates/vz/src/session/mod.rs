//! The life of a machine on the framework: which call may follow which, and what its answers mean.
//!
//! The framework answers late: between a call and its completion the guest may power off, the user may change their
//! mind, and a delegate may report an error. [`Session`] is where that is put in order, without a thread, a lock or the
//! framework, so that every order of events can be tried on any host.

mod devices;
mod framework;
mod start;

use std::path::PathBuf;

pub use devices::{Accept, Answer, Devices, DiskId, DriveId};
pub use framework::{Call, Framework, Signal};
pub use start::{Provisioning, StartOptions};

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started, or ended.
    Stopped,
    /// Being started, or restored from a file.
    Starting,
    /// The guest runs.
    Running,
    /// Being paused.
    Pausing,
    /// The guest stands still.
    Paused,
    /// Being resumed.
    Resuming,
    /// Paused, and being saved into a file.
    Saving,
    /// To be stopped, as soon as the framework lets it.
    Stopping,
}

/// What a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// From power-on.
    Start(StartOptions),
    /// From power-on, for the first time, with an account to be made.
    Provision(Provisioning),
    /// From a saved state; it is paused then, so that the state can be taken away before the guest changes its disks.
    Restore(PathBuf),
    /// Makes the guest stand still.
    Pause,
    /// Lets it run on.
    Resume,
    /// Writes a paused guest into a file.
    Save(PathBuf),
    /// Asks the guest to power off.
    RequestStop,
    /// Pulls the plug.
    Stop,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The guest powered off.
    PoweredOff,
    /// It was stopped.
    Killed,
    /// The framework gave up. The text says why.
    Crashed(String),
    /// It could not be started or restored. The text says why.
    Failed(String),
}

/// What a session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The state is another now.
    State(State),
    /// Not in this state.
    Refused(Command, State),
    /// The framework did not do it. The text says why; the machine is as it was.
    Failed(Call, String),
    /// The guest could not be asked to power off. The text says why.
    NotAsked(String),
    /// The guest's state is in the file.
    Saved,
    /// A network card, by its place in the configuration, lost what it was plugged into.
    Disconnected(usize, String),
    /// A disk works no more.
    DiskFailed(DiskId, String),
    /// It has ended.
    Ended(End),
}

/// A machine on the framework.
pub struct Session<F> {
    framework: F,
    state: State,
    /// Where the machine stands when the answer that is awaited is no: running, or paused.
    rest: State,
    /// The call whose answer is awaited. There is never a second: the framework refuses it.
    pending: Option<Call>,
    notices: Vec<Notice>,
}

impl<F: Framework> Session<F> {
    /// A session that has not been started.
    pub fn new(framework: F) -> Self {
        Self { framework, state: State::Stopped, rest: State::Stopped, pending: None, notices: Vec::new() }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The framework.
    pub fn framework(&mut self) -> &mut F {
        &mut self.framework
    }

    /// The framework, for its devices.
    ///
    /// # Errors
    /// In this state there are none: the machine neither runs nor is paused.
    pub fn devices(&mut self) -> Result<&mut F, State>
    where
        F: Devices,
    {
        match self.state {
            State::Running | State::Paused => Ok(&mut self.framework),
            state => Err(state),
        }
    }

    /// Does what a user asks for, and says what came of it so far.
    pub fn command(&mut self, command: Command) -> Vec<Notice> {
        let idle = self.pending.is_none();
        match (command, self.state) {
            (Command::Start(options), State::Stopped) if idle => self.go(State::Starting, Call::Start(options)),
            (Command::Provision(account), State::Stopped) if idle => {
                self.go(State::Starting, Call::Provision(account));
            }
            (Command::Restore(path), State::Stopped) if idle => self.go(State::Starting, Call::Restore(path)),
            (Command::Pause, State::Running) if idle => self.go(State::Pausing, Call::Pause),
            (Command::Resume, State::Paused) if idle => self.go(State::Resuming, Call::Resume),
            (Command::Save(path), State::Paused) if idle => match self.framework.check_save() {
                Ok(()) => self.go(State::Saving, Call::Save(path)),
                Err(reason) => self.notices.push(Notice::Failed(Call::Save(path), reason)),
            },
            (Command::RequestStop, State::Running) if idle => {
                if let Err(reason) = self.framework.request_stop() {
                    self.notices.push(Notice::NotAsked(reason));
                }
            }
            (Command::Stop, State::Stopped) => {}
            // The framework cannot stop what is in between: the answer to the call at hand comes first.
            (Command::Stop, State::Stopping) => {}
            (Command::Stop, _) if idle => self.go(State::Stopping, Call::Stop),
            (Command::Stop, _) => self.enter(State::Stopping),
            (command, state) => self.notices.push(Notice::Refused(command, state)),
        }
        std::mem::take(&mut self.notices)
    }

    /// Takes what the framework reports.
    pub fn signal(&mut self, signal: Signal) -> Vec<Notice> {
        match signal {
            Signal::Done(call, result) => {
                if self.pending.as_ref() == Some(&call) {
                    self.pending = None;
                    self.done(call, result);
                }
            }
            Signal::GuestStopped => self.end(End::PoweredOff),
            Signal::StoppedWithError(reason) => self.end(End::Crashed(reason)),
            Signal::Disconnected(network, reason) if self.state != State::Stopped => {
                self.notices.push(Notice::Disconnected(network, reason));
            }
            Signal::DiskFailed(disk, reason) if self.state != State::Stopped => {
                self.notices.push(Notice::DiskFailed(disk, reason));
            }
            Signal::Disconnected(..) | Signal::DiskFailed(..) => {}
        }
        std::mem::take(&mut self.notices)
    }

    fn done(&mut self, call: Call, result: Result<(), String>) {
        // The guest had stopped before the answer came.
        if self.state == State::Stopped {
            return;
        }
        let stop = self.state == State::Stopping;
        let rest = match (&call, &result) {
            (Call::Stop, Ok(())) => return self.end(End::Killed),
            (Call::Stop, Err(_)) => self.rest,
            // What could not be started needs no stop.
            (Call::Start(_) | Call::Provision(_) | Call::Restore(_), Err(_)) if stop => return self.end(End::Killed),
            (Call::Start(_) | Call::Provision(_) | Call::Restore(_), Err(reason)) => {
                return self.end(End::Failed(reason.clone()));
            }
            (Call::Start(_) | Call::Provision(_) | Call::Resume, Ok(())) | (Call::Pause, Err(_)) => State::Running,
            (Call::Pause | Call::Restore(_), Ok(())) | (Call::Resume, Err(_)) | (Call::Save(_), _) => State::Paused,
        };
        self.rest = rest;
        match result {
            Ok(()) if matches!(call, Call::Save(_)) => self.notices.push(Notice::Saved),
            Ok(()) => {}
            Err(reason) => self.notices.push(Notice::Failed(call.clone(), reason)),
        }
        match call {
            // Not again by itself.
            Call::Stop => self.enter(rest),
            // It was asked for meanwhile.
            _ if stop => self.go(State::Stopping, Call::Stop),
            _ => self.enter(rest),
        }
    }

    fn go(&mut self, state: State, call: Call) {
        self.enter(state);
        self.pending = Some(call.clone());
        self.framework.call(call);
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.notices.push(Notice::State(state));
        }
    }

    fn end(&mut self, end: End) {
        if self.state != State::Stopped {
            self.notices.push(Notice::Ended(end));
            self.enter(State::Stopped);
        }
    }
}
