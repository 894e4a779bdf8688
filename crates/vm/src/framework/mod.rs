//! A machine on Apple's Virtualization.framework: the other half of the virtual machine object.
//!
//! What of ours runs beside the machine is started first (`helpers`). A thread of its own (`driver`) then has the
//! framework make the machine, and owns the [`vz::Session`] that orders its life: everything that is asked and everything
//! that the framework reports comes to it as a message. All of it runs on any host over a double of the framework; only
//! `sys` differs.

mod cards;
mod driver;
mod drives;
mod frames;
mod handle;
mod helpers;
mod leases;
mod saved;
mod shares;
mod stream;
mod sys;
mod vsock;
mod window;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use vz::{Api, Command, Provisioning, StartOptions, Virtualization, WindowOptions};

pub use leases::MacosCard;
pub use sys::{
    Windows, default_engine, install_macos, mac_host, new_generic_identifier, new_mac_identifier, with_windows,
};

pub(crate) use sys::{on_this_host, open_window, promised_space};

use self::cards::Cards;
use self::driver::{Driver, Message};
use self::drives::Drives;
use self::handle::Handle;
use self::helpers::Helpers;
use self::leases::Leases;
use self::shares::Shares;
use crate::state::Life;
use crate::{Console, DiskName, DiskStatus, Error, MacosGuests, NatCard, Seat};

/// A machine of the framework, by the thread that drives it.
pub(crate) struct Machine {
    life: Arc<Life>,
    driver: Handle,
    drives: Arc<Drives>,
    shares: Arc<Shares>,
    thread: Option<JoinHandle<()>>,
    /// What a window on its display is like; `None` when it has none.
    window: Option<WindowOptions>,
    /// Whether it can be saved and restored, as far as we know.
    saves: Result<(), String>,
    /// What it is made of, and for which Mac.
    config: config::Machine,
    host: vz::Host,
    helpers: Helpers,
    leases: Leases,
    /// Of a macOS guest, among those that run.
    _seat: Option<Seat>,
}

impl Machine {
    /// `name` is what it is called among the macOS guests that run, which are `guests`.
    pub(crate) fn new<V>(
        config: &config::Machine,
        name: &str,
        guests: &MacosGuests,
        host: &vz::Host,
        virtualization: V,
    ) -> Result<Self, Error>
    where
        V: Virtualization + Send + 'static,
    {
        let mut config = config.clone();
        let (seat, host) = guests.seat_for(&config, name, host).map_err(|source| Error::File {
            field: "bootloader".into(),
            path: guests.folder().to_owned(),
            source,
        })?;
        helpers::name_cards(&mut config)?;
        let mut plan = vz::plan(&config, &host).map_err(|problems| Error::Plan { problems })?;
        plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let (window, saves) = (WindowOptions::of(&plan, ""), plan.saves.clone());
        let leases = Leases::new(&config.network, &plan);
        let (mut helpers, resources) = Helpers::start(&config, &mut plan)?;
        let life = Arc::new(Life::new());
        let (messages, inbox) = channel();
        let (told, made) = channel();
        let (handle, fixed) = (Handle::new(messages.clone()), drives::fixed(&config, &plan, helpers.served()));
        let drives = Arc::new(Drives::new(&config, &host, handle.clone(), fixed));
        let shares = Arc::new(Shares::new(&config, &plan, handle.clone()));
        let cards = Cards::new(&plan, messages.clone());
        let (ports, driven) = (helpers.ports(), (drives.clone(), shares.clone()));
        let driver = Driver::new(life.clone(), messages.clone(), ports, driven.0, driven.1, cards);
        let make = move |signals| virtualization.machine(&plan, resources, signals);
        let thread = std::thread::Builder::new()
            .name("machine".into())
            .spawn(move || driver.run(make, &inbox, &told))
            .map_err(|source| Error::Host { field: "machine".into(), what: "starting a thread", source })?;
        let gone = || Error::Framework("it did not make the machine".to_owned());
        made.recv().map_err(|_| gone())?.map_err(|error| Error::Framework(error.to_string()))?;
        helpers.open_doors(&messages)?;
        let thread = Some(thread);
        let driver = handle;
        Ok(Self { life, driver, config, host, drives, shares, thread, window, saves, helpers, leases, _seat: seat })
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

    pub(crate) fn macos_cards(&self) -> Vec<MacosCard> {
        self.leases.cards(Path::new(leases::FILE))
    }

    pub(crate) fn start(&self, options: StartOptions) -> Result<(), Error> {
        options.check(&self.config, &self.host).map_err(Error::plan)?;
        self.driver.ask(Command::Start(options), "started")
    }

    pub(crate) fn provision(&self, account: Provisioning) -> Result<(), Error> {
        account.check(&self.config, &self.host).map_err(Error::plan)?;
        self.driver.ask(Command::Provision(account), "started")
    }

    pub(crate) fn restore(&self, path: &Path) -> Result<(), Error> {
        self.check_saves()?;
        self.driver.ask(Command::Restore(path.to_owned()), "restored")
    }

    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.driver.ask(Command::Pause, "paused")
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.driver.ask(Command::Resume, "resumed")
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        self.check_saves()?;
        let part = saved::prepare(path)?;
        let saved = self.driver.ask(Command::Save(part.clone()), "saved").and_then(|()| saved::keep(path));
        if saved.is_err() {
            // The framework may have removed it.
            let _ = std::fs::remove_file(&part);
        }
        saved
    }

    pub(crate) fn suspend(&self, path: &Path) -> Result<(), Error> {
        self.check_saves()?;
        self.driver.wait_for("suspended", |reply| Message::Suspend { path: path.to_owned(), reply })
    }

    fn check_saves(&self) -> Result<(), Error> {
        self.saves.clone().map_err(Error::Unsavable)
    }

    pub(crate) fn request_stop(&self) -> Result<(), Error> {
        self.driver.ask(Command::RequestStop, "asked to stop")
    }

    pub(crate) fn stop(&self) {
        self.driver.tell(Message::Stop);
    }

    pub(crate) fn disks(&self) -> Vec<DiskStatus> {
        self.drives.list()
    }

    pub(crate) fn attach_disk(&self, storage: &config::Storage) -> Result<DiskName, Error> {
        self.drives.attach(storage)
    }

    pub(crate) fn detach_disk(&self, name: DiskName) -> Result<(), Error> {
        self.drives.detach(name)
    }

    pub(crate) fn shares(&self) -> Vec<config::Share> {
        self.shares.list()
    }

    pub(crate) fn attach_share(&self, share: &config::Share) -> Result<(), Error> {
        self.shares.attach(share)
    }

    pub(crate) fn detach_share(&self, tag: &str, folder: Option<&str>) -> Result<(), Error> {
        self.shares.detach(tag, folder)
    }

    pub(crate) fn set_memory(&self, mib: u64) -> Result<(), Error> {
        self.driver.with_devices("given another memory", move |devices, answer| devices.set_memory_target(mib, answer))
    }

    pub(crate) fn resize_display(&self, width: u32, height: u32) -> Result<(), Error> {
        self.host.need("display", Api::Resize, "give its size in the configuration").map_err(Error::plan)?;
        self.driver.with_devices("given another display", move |devices, answer| {
            devices.resize_display(width, height, answer);
        })
    }

    pub(crate) fn connect(&self, port: u32) -> Result<UnixStream, Error> {
        let stream = self.driver.with_devices("connected to", move |devices, answer| devices.connect(port, answer));
        stream.map(UnixStream::from)
    }

    pub(crate) fn listen(&self, port: u32, accept: impl Fn(UnixStream) + Send + 'static) -> Result<(), Error> {
        let accept = Box::new(move |stream: OwnedFd| accept(stream.into()));
        self.driver.with_devices("listened to", move |devices, answer| devices.listen(port, accept, answer))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It stops the machine first.
        self.driver.tell(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
