//! A machine on Apple's Virtualization.framework: the other half of the virtual machine object.
//!
//! What of ours runs beside the machine is started first (`helpers`). A thread of its own (`driver`) then has the
//! framework make the machine, and owns the [`vz::Session`] that orders its life: everything that is asked and everything
//! that the framework reports comes to it as a message. All of it runs on any host over a double of the framework; only
//! `sys` differs.

mod driver;
mod frames;
mod helpers;
mod stream;
mod sys;
mod vsock;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use vz::{Command, StartOptions, Virtualization, WindowOptions};

pub use sys::{Windows, default_engine, new_generic_identifier, new_mac_identifier, with_windows};

pub(crate) use sys::on_this_host;

use self::driver::{Driver, Message};
use self::helpers::Helpers;
use crate::state::Life;
use crate::{Console, Error, NatCard, State};

/// A machine of the framework, by the thread that drives it.
pub(crate) struct Machine {
    life: Arc<Life>,
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    /// What a window on its display is like; `None` when it has none.
    window: Option<WindowOptions>,
    /// How it cannot be started on this Mac.
    no_recovery: Option<config::Problem>,
    helpers: Helpers,
}

impl Machine {
    pub(crate) fn new<V>(config: &config::Machine, host: &vz::Host, virtualization: V) -> Result<Self, Error>
    where
        V: Virtualization + Send + 'static,
    {
        let mut config = config.clone();
        helpers::name_cards(&mut config)?;
        let mut plan = vz::plan(&config, host).map_err(|problems| Error::Plan { problems })?;
        plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let window = WindowOptions::of(&plan, "");
        let (mut helpers, resources) = Helpers::start(&config, &mut plan)?;
        let life = Arc::new(Life::new());
        let (messages, inbox) = channel();
        let (told, made) = channel();
        let driver = Driver::new(life.clone(), messages.clone(), helpers.ports());
        let make = move |signals| virtualization.machine(&plan, resources, signals);
        let thread = std::thread::Builder::new()
            .name("machine".into())
            .spawn(move || driver.run(make, &inbox, &told))
            .map_err(|source| Error::Host { field: "machine".into(), what: "starting a thread", source })?;
        let gone = || Error::Framework("it did not make the machine".to_owned());
        made.recv().map_err(|_| gone())?.map_err(|error| Error::Framework(error.to_string()))?;
        helpers.open_doors(&messages)?;
        let no_recovery = StartOptions { recovery: true }.check(&config, host).err();
        Ok(Self { life, messages, thread: Some(thread), window, no_recovery, helpers })
    }

    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    pub(crate) fn consoles(&self) -> &[Console] {
        self.helpers.consoles()
    }

    pub(crate) fn cards(&self) -> &[NatCard] {
        self.helpers.cards()
    }

    pub(crate) fn start(&self, options: StartOptions) -> Result<(), Error> {
        match &self.no_recovery {
            Some(problem) if options.recovery => Err(Error::Plan { problems: vec![problem.clone()] }),
            _ => self.ask(Command::Start(options), "started"),
        }
    }

    pub(crate) fn restore(&self, path: &Path) -> Result<(), Error> {
        self.ask(Command::Restore(path.to_owned()), "restored")
    }

    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.ask(Command::Pause, "paused")
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.ask(Command::Resume, "resumed")
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let part = beside(path);
        let saved = self.ask(Command::Save(part.clone()), "saved").and_then(|()| {
            std::fs::rename(&part, path).map_err(|source| Error::File {
                field: "state".into(),
                path: path.to_owned(),
                source,
            })
        });
        if saved.is_err() {
            // The framework may have removed it.
            let _ = std::fs::remove_file(&part);
        }
        saved
    }

    pub(crate) fn request_stop(&self) -> Result<(), Error> {
        self.ask(Command::RequestStop, "asked to stop")
    }

    pub(crate) fn stop(&self) {
        // A driver that is gone has no machine any more.
        let _ = self.messages.send(Message::Stop);
    }

    pub(crate) fn open_window(&self, windows: Windows, title: &str) -> Result<(), Error> {
        let Some(options) = self.window.clone() else {
            return Err(Error::unsupported("graphics", "the machine has no display: add one"));
        };
        let options = WindowOptions { title: title.to_owned(), ..options };
        sys::open(&self.messages, windows, options)
    }

    /// Has the driver do something and waits for what comes of it.
    fn ask(&self, command: Command, wish: &'static str) -> Result<(), Error> {
        let (reply, answer) = channel();
        let gone = |_| Error::WrongState { wish, state: State::Error };
        self.messages.send(Message::Ask { command, wish, reply }).map_err(|_| gone(()))?;
        answer.recv().map_err(|_| gone(()))?
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It stops the machine first. A driver that is gone already is fine, too.
        let _ = self.messages.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A file beside another one, which takes its place when it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}
