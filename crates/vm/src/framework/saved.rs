//! A machine's saved state in a file: written beside its place until it is whole, and gone before a guest that was
//! restored from it changes its disks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use vz::{Call, Command, Devices, Framework, Notice, Session};

use super::driver::Driver;
use crate::{Error, State};

/// A file beside another one, which takes its place when it is whole.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Makes room for a new state. The framework does not write over a file.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, Error> {
    let part = part(path);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&part)(error)),
        _ => Ok(part),
    }
}

/// Puts a state that was written as a whole into its place, also for after a loss of power.
pub(super) fn keep(path: &Path) -> Result<(), Error> {
    let part = part(path);
    let kept = || {
        File::open(&part)?.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder(path)
    };
    kept().map_err(failed(path))
}

/// Takes a state away that fits its disks no longer.
fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).and_then(|()| sync_folder(path)).map_err(failed(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { field: "the saved state".into(), path: path.clone(), source }
}

/// A machine on its way to be suspended: paused, then saved, then stopped.
pub(super) struct Suspension {
    path: PathBuf,
    /// The guest ran before, and runs on when it cannot be suspended.
    ran: bool,
    /// The state is in its place: the guest must not run on without taking it away.
    saved: bool,
    /// Who waits for it; nobody where a window's user wants it.
    reply: Option<Sender<Result<(), Error>>>,
}

impl Suspension {
    /// Answers who waits, else gives what there is to say to the window's user.
    fn answer(self, result: Result<(), Error>) -> Option<String> {
        match (self.reply, result) {
            // Nobody waits for the answer any more who has gone.
            (Some(reply), result) => drop(reply.send(result)),
            (None, Err(error)) => return Some(error.to_string()),
            (None, Ok(())) => {}
        }
        None
    }
}

impl Driver {
    /// Begins to suspend a machine that runs or is paused.
    pub(super) fn suspend<F: Framework + Devices + 'static>(
        &mut self,
        path: PathBuf,
        reply: Option<Sender<Result<(), Error>>>,
        session: &mut Session<F>,
    ) {
        let state = session.state();
        let suspension = Suspension { path, ran: state == vz::State::Running, saved: false, reply };
        // Before a guest is paused for nothing.
        let checked = session.framework().check_save().map_err(Error::Unsavable).and_then(|()| self.check_devices());
        let first = checked.and_then(|()| match state {
            vz::State::Running => Ok(Command::Pause),
            vz::State::Paused => prepare(&suspension.path).map(Command::Save),
            _ => Err(Error::WrongState { wish: "suspended", state: self.life.state() }),
        });
        match first {
            Ok(command) => self.go_on(command, suspension, session),
            Err(error) => self.answer_suspension(suspension, Err(error)),
        }
    }

    fn answer_suspension(&self, suspension: Suspension, result: Result<(), Error>) {
        if let Some(problem) = suspension.answer(result) {
            self.report(problem);
        }
    }

    /// A machine is restored with the disks and shares of its configuration.
    fn check_devices(&self) -> Result<(), Error> {
        let without = |drive| format!("it would be restored without `{drive}`, which was attached: detach that first");
        let other =
            |tag| format!("it would be restored with another share `{tag}`, which was changed: undo that first");
        let wrong = self.drives.any().map(without).or_else(|| self.shares.changed().map(other));
        wrong.map_or(Ok(()), |reason| Err(Error::Unsavable(reason)))
    }

    /// Takes the answer to a call for a suspension, and makes the next one.
    pub(super) fn suspend_on<F: Framework + Devices + 'static>(
        &mut self,
        call: &Call,
        result: Result<(), String>,
        session: &mut Session<F>,
    ) {
        let Some(mut suspension) = self.suspension.take() else { return };
        // Somebody has pulled the plug meanwhile: that goes on, and its end answers.
        if session.state() == vz::State::Stopping {
            self.suspension = Some(suspension);
            return;
        }
        let next = result.map_err(Error::Framework).and_then(|()| match call {
            Call::Pause => prepare(&suspension.path).map(Command::Save),
            _ => keep(&suspension.path).map(|()| {
                suspension.saved = true;
                Command::Stop
            }),
        });
        match next {
            Ok(command) => self.go_on(command, suspension, session),
            Err(error) => self.run_on(suspension, error, session),
        }
    }

    fn go_on<F: Framework + Devices + 'static>(
        &mut self,
        command: Command,
        suspension: Suspension,
        session: &mut Session<F>,
    ) {
        let notices = session.command(command);
        let refused = notices.iter().find_map(|notice| match notice {
            Notice::Failed(_, reason) => Some(Error::Framework(reason.clone())),
            Notice::Refused(..) => Some(Error::WrongState { wish: "suspended", state: self.life.state() }),
            _ => None,
        });
        self.tell(notices, session);
        match refused {
            Some(error) => self.run_on(suspension, error, session),
            None => self.suspension = Some(suspension),
        }
    }

    /// Lets a machine that cannot be suspended be as it was.
    fn run_on<F: Framework + Devices + 'static>(
        &mut self,
        suspension: Suspension,
        error: Error,
        session: &mut Session<F>,
    ) {
        // There may be none.
        let _ = fs::remove_file(part(&suspension.path));
        let stale = if suspension.saved { remove(&suspension.path) } else { Ok(()) };
        match stale {
            // It must not run on beside its state.
            Err(worse) => self.answer_suspension(suspension, Err(worse)),
            Ok(()) => {
                if suspension.ran && session.state() == vz::State::Paused {
                    self.command(Command::Resume, session);
                }
                self.answer_suspension(suspension, Err(error));
            }
        }
    }

    /// The machine has ended on its way: whether it is suspended.
    pub(super) fn end_suspension(&mut self) -> bool {
        let Some(suspension) = self.suspension.take() else { return false };
        let saved = suspension.saved;
        if !saved {
            // There may be none.
            let _ = fs::remove_file(part(&suspension.path));
        }
        let ended = Error::WrongState { wish: "suspended", state: State::Stopped };
        self.answer_suspension(suspension, if saved { Ok(()) } else { Err(ended) });
        saved
    }

    /// The machine was restored, and is paused: its state is taken away, and it runs on.
    pub(super) fn restored<F: Framework + Devices + 'static>(&mut self, path: &Path, session: &mut Session<F>) {
        match remove(path) {
            Ok(()) => self.command(Command::Resume, session),
            Err(error) => {
                self.failure = Some(error.to_string());
                self.command(Command::Stop, session);
            }
        }
    }
}
