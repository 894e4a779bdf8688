//! A machine on Apple's Virtualization.framework: the other half of the virtual machine object.
//!
//! What of ours runs beside the machine is started first (`helpers`). A thread of its own (`driver`) then has the
//! framework make the machine, and owns the [`vz::Session`] that orders its life: everything that is asked and everything
//! that the framework reports comes to it as a message. All of it runs on any host over a double of the framework; only
//! `sys` differs.

mod driver;
mod drives;
mod frames;
mod helpers;
mod saved;
mod stream;
mod sys;
mod vsock;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use vz::{Answer, Command, Devices, StartOptions, Virtualization, WindowOptions};

pub use sys::{Windows, default_engine, new_generic_identifier, new_mac_identifier, with_windows};

pub(crate) use sys::on_this_host;

use self::driver::{Driver, Message};
use self::drives::{Drives, Fixed};
use self::helpers::Helpers;
use crate::state::Life;
use crate::{Console, Error, NatCard, State};

/// A machine of the framework, by the thread that drives it.
pub(crate) struct Machine {
    life: Arc<Life>,
    messages: Sender<Message>,
    config: config::Machine,
    host: vz::Host,
    /// The disks of the configuration.
    disks: Vec<Fixed>,
    drives: Arc<Drives>,
    thread: Option<JoinHandle<()>>,
    /// What a window on its display is like; `None` when it has none.
    window: Option<WindowOptions>,
    /// Whether it can be saved and restored, as far as we know.
    saves: Result<(), String>,
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
        let (window, saves) = (WindowOptions::of(&plan, ""), plan.saves.clone());
        let (mut helpers, resources) = Helpers::start(&config, &mut plan)?;
        let life = Arc::new(Life::new());
        let (messages, inbox) = channel();
        let (told, made) = channel();
        let (disks, drives) = (drives::fixed(&config, &plan, helpers.served()), Arc::new(Drives::default()));
        let driver = Driver::new(life.clone(), messages.clone(), helpers.ports(), drives.clone());
        let make = move |signals| virtualization.machine(&plan, resources, signals);
        let thread = std::thread::Builder::new()
            .name("machine".into())
            .spawn(move || driver.run(make, &inbox, &told))
            .map_err(|source| Error::Host { field: "machine".into(), what: "starting a thread", source })?;
        let gone = || Error::Framework("it did not make the machine".to_owned());
        made.recv().map_err(|_| gone())?.map_err(|error| Error::Framework(error.to_string()))?;
        helpers.open_doors(&messages)?;
        let no_recovery = StartOptions { recovery: true }.check(&config, host).err();
        let (host, thread) = (host.clone(), Some(thread));
        Ok(Self { life, messages, config, host, disks, drives, thread, window, saves, no_recovery, helpers })
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
        self.check_saves()?;
        self.ask(Command::Restore(path.to_owned()), "restored")
    }

    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.ask(Command::Pause, "paused")
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.ask(Command::Resume, "resumed")
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        self.check_saves()?;
        let part = saved::prepare(path)?;
        let saved = self.ask(Command::Save(part.clone()), "saved").and_then(|()| saved::keep(path));
        if saved.is_err() {
            // The framework may have removed it.
            let _ = std::fs::remove_file(&part);
        }
        saved
    }

    pub(crate) fn suspend(&self, path: &Path) -> Result<(), Error> {
        self.check_saves()?;
        self.wait_for("suspended", |reply| Message::Suspend { path: path.to_owned(), reply })
    }

    fn check_saves(&self) -> Result<(), Error> {
        self.saves.clone().map_err(Error::Unsavable)
    }

    pub(crate) fn request_stop(&self) -> Result<(), Error> {
        self.ask(Command::RequestStop, "asked to stop")
    }

    pub(crate) fn stop(&self) {
        // A driver that is gone has no machine any more.
        let _ = self.messages.send(Message::Stop);
    }

    pub(crate) fn open_window(&self, windows: Windows, title: &str, suspend_to: Option<&Path>) -> Result<(), Error> {
        let Some(options) = self.window.clone() else {
            return Err(Error::unsupported("graphics", "the machine has no display: add one"));
        };
        let options = WindowOptions { title: title.to_owned(), ..options };
        let suspend_to = suspend_to.filter(|_| self.saves.is_ok()).map(Path::to_owned);
        sys::open(&self.messages, windows, options, suspend_to)
    }

    pub(crate) fn set_memory(&self, mib: u64) -> Result<(), Error> {
        self.with_devices("given another memory", move |devices, answer| devices.set_memory_target(mib, answer))
    }

    pub(crate) fn resize_display(&self, width: u32, height: u32) -> Result<(), Error> {
        self.with_devices("given another display", move |devices, answer| {
            devices.resize_display(width, height, answer);
        })
    }

    pub(crate) fn connect(&self, port: u32) -> Result<UnixStream, Error> {
        let stream = self.with_devices("connected to", move |devices, answer| devices.connect(port, answer));
        stream.map(UnixStream::from)
    }

    pub(crate) fn listen(&self, port: u32, accept: impl Fn(UnixStream) + Send + 'static) -> Result<(), Error> {
        let accept = Box::new(move |stream: OwnedFd| accept(stream.into()));
        self.with_devices("listened to", move |devices, answer| devices.listen(port, accept, answer))
    }

    /// Has the driver do something and waits for what comes of it.
    fn ask(&self, command: Command, wish: &'static str) -> Result<(), Error> {
        self.wait_for(wish, |reply| Message::Ask { command, wish, reply })
    }

    /// Has something done to the devices, and waits for the framework's answer.
    fn with_devices<T: Send + 'static>(
        &self,
        wish: &'static str,
        work: impl FnOnce(&mut dyn Devices, Answer<T>) + Send + 'static,
    ) -> Result<T, Error> {
        self.wait_for(wish, |reply| {
            Message::Devices(Box::new(move |devices| match devices {
                Ok(devices) => {
                    let told = move |result: Result<T, String>| drop(reply.send(result.map_err(Error::Framework)));
                    work(devices, Box::new(told));
                }
                // The one who asks waits below.
                Err(state) => drop(reply.send(Err(Error::WrongState { wish, state }))),
            }))
        })
    }

    fn wait_for<T>(
        &self,
        wish: &'static str,
        message: impl FnOnce(Sender<Result<T, Error>>) -> Message,
    ) -> Result<T, Error> {
        let (reply, answer) = channel();
        let gone = |_| Error::WrongState { wish, state: State::Error };
        self.messages.send(message(reply)).map_err(|_| gone(()))?;
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
