//! The thread that owns a machine of the framework, and all that it is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use vz::{Call, Command, Devices, DiskId, End, Framework, Notice, Session, Signal, Status, Window, Wish};

use super::cards::Cards;
use super::drives::Drives;
use super::saved::Suspension;
use super::shares::Shares;
use super::vsock::{self, Port};
use super::window::OpenWork;
use crate::state::Life;
use crate::{DiskName, Error, Event, Outcome, State};

/// What the thread is told.
pub(super) enum Message {
    /// To do something, and to answer when it is done or cannot be.
    Ask {
        command: Command,
        /// `paused`, for words.
        wish: &'static str,
        reply: Sender<Result<(), Error>>,
    },
    /// To save the machine's state into a file and to end the machine.
    Suspend { path: PathBuf, reply: Sender<Result<(), Error>> },
    /// To stop the machine hard.
    Stop,
    /// To do something to the devices.
    Devices(Box<DeviceWork>),
    /// What the framework reports.
    Signal(Signal),
    /// What the user of the window wants.
    Wish(Wish),
    /// A window is to be opened, whose user may suspend the machine into this file.
    Open(Box<OpenWork>, Option<PathBuf>),
    /// A network card is to be plugged in again.
    Plug(usize),
    /// What came of that.
    Plugged(usize, Result<(), String>),
    /// What a window shows has changed.
    Show,
    /// To say in the window why something was not done.
    Report(String),
    /// To stop the machine and to end.
    End,
}

/// What is done to the devices of a machine, or what comes of it in a state in which there are none.
pub(super) type DeviceWork = dyn FnOnce(Result<&mut dyn Devices, State>) + Send;

/// Who waits for the answer to a call.
struct Waiting {
    reply: Sender<Result<(), Error>>,
    wish: &'static str,
}

/// The thread's own.
pub(super) struct Driver {
    pub(super) life: Arc<Life>,
    messages: Sender<Message>,
    /// vsock ports on which the host listens.
    ports: Vec<Port>,
    pub(super) drives: Arc<Drives>,
    pub(super) shares: Arc<Shares>,
    cards: Cards,
    waiting: Option<Waiting>,
    /// The machine is being suspended.
    pub(super) suspension: Option<Suspension>,
    /// Why the machine is being stopped, when nobody asked for it.
    pub(super) failure: Option<String>,
    window: Option<Box<dyn Window>>,
    /// Where the window's user may suspend the machine into.
    suspend_to: Option<PathBuf>,
    ending: bool,
}

impl Driver {
    pub(super) fn new(
        life: Arc<Life>,
        messages: Sender<Message>,
        ports: Vec<Port>,
        drives: Arc<Drives>,
        shares: Arc<Shares>,
        cards: Cards,
    ) -> Self {
        Self {
            life,
            messages,
            ports,
            drives,
            shares,
            cards,
            waiting: None,
            suspension: None,
            failure: None,
            window: None,
            suspend_to: None,
            ending: false,
        }
    }

    /// Has the machine made, says whether that went well, and drives it to its end.
    pub(super) fn run<F: Framework + Devices + 'static>(
        mut self,
        make: impl FnOnce(Sender<Signal>) -> Result<F, vz::Error>,
        inbox: &Receiver<Message>,
        made: &Sender<Result<(), vz::Error>>,
    ) {
        let machine = signals(&self.messages).and_then(make);
        let mut session = match machine {
            Ok(machine) => Session::new(machine),
            Err(error) => {
                // The one who makes it waits.
                let _ = made.send(Err(error));
                return;
            }
        };
        let _ = made.send(Ok(()));
        for message in inbox {
            self.take(message, &mut session);
            if self.ending && session.state() != vz::State::Stopping {
                // One that did not let itself be stopped goes with this thread.
                if session.state() != vz::State::Stopped {
                    self.life.end(Outcome::Killed);
                }
                return;
            }
        }
    }

    fn take<F: Framework + Devices + 'static>(&mut self, message: Message, session: &mut Session<F>) {
        match message {
            Message::Ask { command, wish, reply } => self.ask(command, wish, reply, session),
            Message::Stop => self.command(Command::Stop, session),
            Message::Suspend { path, reply } => self.suspend(path, Some(reply), session),
            Message::Devices(work) => match session.devices() {
                Ok(devices) => work(Ok(devices)),
                Err(state) => work(Err(named(state))),
            },
            Message::Signal(Signal::Done(call, result)) => {
                let notices = session.signal(Signal::Done(call.clone(), result.clone()));
                self.tell(notices, session);
                self.answer(result.clone().map_err(Error::Framework));
                match &call {
                    Call::Restore(path) if session.state() == vz::State::Paused => self.restored(path, session),
                    _ => self.suspend_on(&call, result, session),
                }
            }
            Message::Signal(signal) => {
                let notices = session.signal(signal);
                self.tell(notices, session);
            }
            Message::Plug(card) => {
                let devices = session.devices().map(|devices| devices as &mut dyn Devices).map_err(named);
                self.cards.plug(card, devices);
            }
            Message::Plugged(card, Ok(())) => {
                tracing::info!("network[{card}] is plugged in again");
                self.life.tell(&Event::Reconnected(card));
            }
            Message::Plugged(card, Err(_)) => self.cards.lost(card),
            Message::Wish(wish) => self.wish(wish, session),
            Message::Open(open, suspend_to) => {
                self.window = open(session.framework());
                self.suspend_to = suspend_to;
                self.show(session);
            }
            Message::Show => self.show(session),
            Message::Report(problem) => self.report(problem),
            Message::End => {
                self.ending = true;
                self.command(Command::Stop, session);
            }
        }
    }

    fn ask<F: Framework + Devices + 'static>(
        &mut self,
        command: Command,
        wish: &'static str,
        reply: Sender<Result<(), Error>>,
        session: &mut Session<F>,
    ) {
        let waits = matches!(command, Command::Pause | Command::Resume | Command::Save(_));
        let notices = session.command(command);
        let refused = notices.iter().find_map(|notice| match notice {
            Notice::Refused(..) => Some(Error::WrongState { wish, state: self.life.state() }),
            Notice::NotAsked(reason) | Notice::Failed(_, reason) => Some(Error::Framework(reason.clone())),
            _ => None,
        });
        self.tell(notices, session);
        match refused {
            // Nobody waits for the answer any more who has gone.
            Some(error) => drop(reply.send(Err(error))),
            None if waits => self.waiting = Some(Waiting { reply, wish }),
            None => drop(reply.send(Ok(()))),
        }
    }

    pub(super) fn command<F: Framework + Devices + 'static>(&mut self, command: Command, session: &mut Session<F>) {
        let notices = session.command(command);
        self.tell(notices, session);
    }

    fn wish<F: Framework + Devices + 'static>(&mut self, wish: Wish, session: &mut Session<F>) {
        match wish {
            Wish::Pause => self.command(Command::Pause, session),
            Wish::Resume => self.command(Command::Resume, session),
            Wish::RequestStop => {
                let notices = session.command(Command::RequestStop);
                if let [Notice::NotAsked(reason)] = &notices[..] {
                    self.report(reason.clone());
                }
                self.tell(notices, session);
            }
            Wish::Stop => self.command(Command::Stop, session),
            Wish::Suspend => {
                // Without a place for it, `show` has said that it cannot be.
                if let Some(path) = self.suspend_to.clone() {
                    self.suspend(path, None, session);
                }
            }
            // Those are done on the window's thread, which may wait.
            Wish::AttachDrive(_) | Wish::DetachDrive(_) | Wish::ShareFolder(_) | Wish::UnshareFolder(_) => {}
            Wish::Detach => self.window = None,
        }
    }

    /// Passes on what came of something.
    pub(super) fn tell<F: Framework + Devices + 'static>(&mut self, notices: Vec<Notice>, session: &mut Session<F>) {
        for notice in notices {
            match notice {
                // `end` has entered what follows.
                Notice::State(vz::State::Stopped) => self.show(session),
                Notice::State(state) => {
                    self.life.enter(named(state));
                    self.show(session);
                    if state == vz::State::Running {
                        vsock::listen(session, &self.ports);
                        self.shares.renew(session);
                    }
                }
                Notice::Ended(end) => {
                    self.window = None;
                    self.drives.clear();
                    self.shares.clear();
                    let failure = self.failure.take().map(Outcome::Failed);
                    let suspended = self.end_suspension().then_some(Outcome::Suspended);
                    self.life.end(failure.or(suspended).unwrap_or_else(|| outcome(end)));
                    if let Some(Waiting { reply, wish }) = self.waiting.take() {
                        let _ = reply.send(Err(Error::WrongState { wish, state: self.life.state() }));
                    }
                }
                Notice::Disconnected(card, reason) => {
                    tracing::warn!("network[{card}] has lost what it was plugged into: {reason}");
                    self.life.tell(&Event::Disconnected(card, reason));
                    self.cards.lost(card);
                }
                Notice::DiskFailed(disk, reason) => {
                    tracing::error!("{disk} works no more: {reason}");
                    let name = match disk {
                        DiskId::Storage(place) => Some(DiskName::Storage(place)),
                        // One that is being attached has no name yet.
                        DiskId::Drive(drive) => self.drives.name(drive),
                    };
                    if let Some(name) = name {
                        self.life.tell(&Event::DiskFailed(name, reason));
                    }
                }
                Notice::Failed(call, reason) => tracing::warn!("Virtualization.framework: {call:?}: {reason}"),
                Notice::NotAsked(reason) => tracing::warn!("the guest cannot be asked to power off: {reason}"),
                // Who asked was told.
                Notice::Refused(..) | Notice::Saved => {}
            }
        }
    }

    fn show<F: Framework>(&self, session: &mut Session<F>) {
        let Some(window) = &self.window else { return };
        let can_be = self.suspend_to.is_some() && session.framework().check_save().is_ok();
        let drives = self.drives.plugged();
        let savable = can_be && drives.is_empty() && self.shares.changed().is_none();
        window.show(Status {
            state: session.state(),
            savable,
            takes_drives: self.drives.can_change(),
            drives,
            takes_folders: self.shares.takes_folders(),
            folders: self.shares.folders(),
        });
    }

    /// Tells a window's user why something was not done.
    pub(super) fn report(&self, problem: String) {
        match &self.window {
            Some(window) => window.report(problem),
            None => tracing::error!("{problem}"),
        }
    }

    fn answer(&mut self, result: Result<(), Error>) {
        if let Some(waiting) = self.waiting.take() {
            // Nobody waits for the answer any more who has gone.
            let _ = waiting.reply.send(result);
        }
    }
}

/// What the framework reports, as messages.
fn signals(messages: &Sender<Message>) -> Result<Sender<Signal>, vz::Error> {
    let (signals, reports) = channel();
    let messages = messages.clone();
    let forward = move || {
        // Until the driver has gone, or the framework's end has.
        let _ = reports.into_iter().all(|signal| messages.send(Message::Signal(signal)).is_ok());
    };
    let spawned = thread::Builder::new().name("framework".into()).spawn(forward);
    spawned.map(|_| signals).map_err(|error| vz::Error::new("a thread", error.to_string()))
}

pub(super) fn named(state: vz::State) -> State {
    match state {
        vz::State::Stopped => State::Stopped,
        vz::State::Starting => State::Starting,
        vz::State::Running => State::Running,
        vz::State::Pausing => State::Pausing,
        vz::State::Paused => State::Paused,
        vz::State::Resuming => State::Resuming,
        vz::State::Saving => State::Saving,
        vz::State::Stopping => State::Stopping,
    }
}

fn outcome(end: End) -> Outcome {
    match end {
        End::PoweredOff => Outcome::PoweredOff,
        End::Killed => Outcome::Killed,
        End::Crashed(reason) => Outcome::Crashed(reason),
        End::Failed(reason) => Outcome::Failed(reason),
    }
}
