//! The virtual machine object.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use config::Engine;
use soft::JitMode;

use crate::board::Board;
use crate::framework::{self, Windows};
use crate::state::Life;
use crate::{Console, DiskName, DiskStatus, Error, Event, MacosCard, MacosGuests, NatCard, Outcome, State};

/// Counters of the CPUs, as (name, value), one list for each CPU.
pub(crate) type Counters = Vec<Vec<(&'static str, u64)>>;

/// What the configuration leaves open.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the machine is called, where it has a name: among the macOS guests that run.
    pub name: String,
    /// What the software CPU does with hot code; all but [`JitMode::On`] is for tests and bug reports.
    pub jit: JitMode,
    /// Slots for disks that come and go while the machine runs. Each takes the guest some milliseconds to start.
    pub slots: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: "a machine".to_owned(), jit: JitMode::On, slots: 4 }
    }
}

/// A virtual machine.
///
/// All methods may be called from any thread. When it is dropped, a machine that runs is stopped hard.
pub struct VirtualMachine(Body);

/// What the machine is made of.
enum Body {
    /// Our board, under an engine that runs CPUs.
    Board(Box<Board>),
    /// The whole of it is Apple's.
    Framework(Box<framework::Machine>),
}

impl VirtualMachine {
    /// Makes a virtual machine of a configuration that has been validated, and opens everything that it names. Files
    /// and disks stay open and locked as long as the object lives.
    ///
    /// It runs on the engine that the configuration names, else on [`default_engine`](crate::default_engine).
    ///
    /// # Errors
    /// What cannot be opened, by the field that names it, and what this library cannot do.
    pub fn new(config: &config::Machine) -> Result<Self, Error> {
        Self::with_options(config, Options::default())
    }

    /// As [`VirtualMachine::new`], with a say in what the configuration leaves open.
    ///
    /// # Errors
    /// As [`VirtualMachine::new`].
    pub fn with_options(config: &config::Machine, options: Options) -> Result<Self, Error> {
        match config.engine.unwrap_or_else(framework::default_engine) {
            Engine::Soft => Ok(Self(Body::Board(Box::new(Board::new(config, &options)?)))),
            Engine::Kvm => Err(Error::unsupported("engine", "the engine `kvm` is not in this version: choose `soft`")),
            Engine::Vz => framework::on_this_host(config, &options.name).map(Self::of),
        }
    }

    /// A machine on Apple's framework, or on a double of it, of a Mac that is `host` and on which `guests` run.
    ///
    /// # Errors
    /// As [`VirtualMachine::new`], what that Mac cannot do, and what the framework finds wrong.
    pub fn on_framework<V>(
        config: &config::Machine,
        options: &Options,
        guests: &MacosGuests,
        host: &vz::Host,
        virtualization: V,
    ) -> Result<Self, Error>
    where
        V: vz::Virtualization + Send + 'static,
    {
        framework::Machine::new(config, &options.name, guests, host, virtualization).map(Self::of)
    }

    fn of(machine: framework::Machine) -> Self {
        Self(Body::Framework(Box::new(machine)))
    }

    fn life(&self) -> &Life {
        match &self.0 {
            Body::Board(board) => board.life(),
            Body::Framework(machine) => machine.life(),
        }
    }

    /// The engine that it runs on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Body::Board(_) => Engine::Soft,
            Body::Framework(_) => Engine::Vz,
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.life().state()
    }

    /// Everything that happens from now on. The channel ends with the object.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Event> {
        self.life().subscribe()
    }

    /// The consoles and ports, in the order of the configuration's `serial` list.
    #[must_use]
    pub fn consoles(&self) -> &[Console] {
        match &self.0 {
            Body::Board(board) => &board.consoles,
            Body::Framework(machine) => machine.consoles(),
        }
    }

    /// The network cards behind a NAT of ours, in the order of the configuration's `network` list. The framework's own
    /// NAT is not ours: see [`macos_cards`](Self::macos_cards).
    #[must_use]
    pub fn cards(&self) -> &[NatCard] {
        match &self.0 {
            Body::Board(board) => &board.cards,
            Body::Framework(machine) => machine.cards(),
        }
    }

    /// The network cards on networks that macOS makes (the framework's own NAT, and vmnet), in the order of the
    /// configuration's `network` list, with what macOS has leased to them by now. It reads a file of macOS's.
    #[must_use]
    pub fn macos_cards(&self) -> Vec<MacosCard> {
        match &self.0 {
            Body::Board(_) => Vec::new(),
            Body::Framework(machine) => machine.macos_cards(),
        }
    }

    /// The disks, those of the configuration first.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskStatus> {
        match &self.0 {
            Body::Board(board) => board.disks.list(),
            Body::Framework(machine) => machine.disks(),
        }
    }

    /// Opens a disk and gives it to the guest.
    ///
    /// On our board it goes into a free slot (PCI Express hot plug). A guest that runs is told; one that does not yet
    /// finds it when it starts. It stays there over resets. On Apple's framework it is a USB drive, which is there until
    /// the machine ends.
    ///
    /// # Errors
    /// It cannot be opened, and when all slots are taken; on Apple's framework when it is no USB drive, before macOS 15,
    /// and while the machine does not run.
    pub fn attach_disk(&self, storage: &config::Storage) -> Result<DiskName, Error> {
        match &self.0 {
            Body::Board(board) => board.disks.attach(storage),
            Body::Framework(machine) => machine.attach_disk(storage),
        }
    }

    /// Asks the guest to let go of a disk that was attached, and closes it when the guest has. Linux thinks it over
    /// for five seconds, and writes what it has not written. Apple's framework asks no guest: there it is as
    /// [`pull_disk`](Self::pull_disk).
    ///
    /// # Errors
    /// There is none, the guest cannot be asked, or it has not let go when `patience` is at an end; then the disk
    /// leaves as soon as it does.
    pub fn detach_disk(&self, name: DiskName, patience: Duration) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.disks.detach(name, Some(patience)),
            Body::Framework(machine) => machine.detach_disk(name),
        }
    }

    /// Takes a disk that was attached out without asking: the guest loses what it has not written.
    ///
    /// # Errors
    /// There is none, and the framework's reason.
    pub fn pull_disk(&self, name: DiskName) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.disks.detach(name, None),
            Body::Framework(machine) => machine.detach_disk(name),
        }
    }

    /// Makes a disk `size` bytes long, and tells the guest. What is cut off is lost.
    ///
    /// # Errors
    /// There is none, or what holds it cannot be resized; on Apple's framework always.
    pub fn resize_disk(&self, name: DiskName, size: u64) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.disks.resize(name, size),
            Body::Framework(_) => Err(self.cannot("resize disks while the machine runs")),
        }
    }

    /// The directory shares, in the order of the configuration, with what each shows now.
    #[must_use]
    pub fn shares(&self) -> Vec<config::Share> {
        match &self.0 {
            Body::Board(_) => Vec::new(),
            Body::Framework(machine) => machine.shares(),
        }
    }

    /// Shows folders of the host in the directory share with this tag, until the machine ends. A folder alone takes the
    /// place of one alone; folders by name join those that are there, and replace those of the same name. What a guest
    /// that has the share mounted makes of it is up to it.
    ///
    /// # Errors
    /// There is no such folder or share, it shows folders of the other kind, or is Rosetta; the machine does not run, and
    /// on an engine that cannot.
    pub fn attach_share(&self, share: &config::Share) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("share folders")),
            Body::Framework(machine) => machine.attach_share(share),
        }
    }

    /// Takes the folder of this name, or all, out of the directory share with this tag, which stays.
    ///
    /// # Errors
    /// As [`attach_share`](Self::attach_share).
    pub fn detach_share(&self, tag: &str, folder: Option<&str>) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("share folders")),
            Body::Framework(machine) => machine.detach_share(tag, folder),
        }
    }

    /// Asks the guest, by its balloon, to do with `mib` MiB of its memory. Whether and when it does is up to the guest;
    /// what it gives goes back to the host. All of its memory gives it back what it gave.
    ///
    /// # Errors
    /// It has no balloon; on Apple's framework also while it does not run.
    pub fn set_memory(&self, mib: u64) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.set_memory(mib),
            Body::Framework(machine) => machine.set_memory(mib),
        }
    }

    /// Gives the display another size in pixels. Whether the guest follows is up to it.
    ///
    /// # Errors
    /// It has no display, or does not run, and on an engine that cannot.
    pub fn resize_display(&self, width: u32, height: u32) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("show a display")),
            Body::Framework(machine) => machine.resize_display(width, height),
        }
    }

    /// A stream to the program in the guest that listens on a vsock port. The machine has vsock when its configuration
    /// has some port.
    ///
    /// # Errors
    /// Nobody listens, it has no vsock, or does not run, and on an engine that cannot.
    pub fn connect_vsock(&self, port: u32) -> Result<UnixStream, Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("reach vsock ports")),
            Body::Framework(machine) => machine.connect(port),
        }
    }

    /// Takes every stream that a program in the guest opens to a vsock port of the host, until the machine ends.
    /// `accept` is called on a thread of the engine's and must not wait there.
    ///
    /// # Errors
    /// As [`connect_vsock`](Self::connect_vsock).
    pub fn listen_vsock(&self, port: u32, accept: impl Fn(UnixStream) + Send + 'static) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("listen on vsock ports")),
            Body::Framework(machine) => machine.listen(port, accept),
        }
    }

    fn cannot(&self, what: &'static str) -> Error {
        Error::Engine { engine: self.engine(), what }
    }

    /// Tells the guest the size of the terminal that shows its first virtio console (`hvc0`), in character cells. The
    /// framework's consoles have no size.
    pub fn resize_terminal(&self, columns: u16, rows: u16) {
        if let Body::Board(board) = &self.0 {
            board.resize_terminal(columns, rows);
        }
    }

    /// Starts the machine from power-on and returns at once; the state becomes [`State::Starting`], then
    /// [`State::Running`], or [`State::Error`] with an [`Outcome::Failed`].
    ///
    /// # Errors
    /// When it runs already, or the host gives no thread.
    pub fn start(&self) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.start(),
            Body::Framework(machine) => machine.start(vz::StartOptions::default()),
        }
    }

    /// Starts a macOS guest into its recovery system; else as [`start`](Self::start).
    ///
    /// # Errors
    /// As [`start`](Self::start), and when the guest is not macOS or the Mac's macOS is too old.
    pub fn start_recovery(&self) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("start a recovery system")),
            Body::Framework(machine) => machine.start(vz::StartOptions { recovery: true }),
        }
    }

    /// Starts a new macOS guest for the first time, which makes an account by itself; else as [`start`](Self::start).
    ///
    /// # Errors
    /// As [`start`](Self::start), and when the guest is not macOS, the Mac's macOS is too old, or the account has no name
    /// or no password.
    pub fn start_with_account(&self, account: vz::Provisioning) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("make an account in a guest")),
            Body::Framework(machine) => machine.provision(account),
        }
    }

    /// Starts the machine from a state that [`save`](Self::save) or [`suspend`](Self::suspend) has written, and lets the
    /// guest run on; returns at once. When the machine is restored the file is removed, before the guest changes its
    /// disks, which the state fits no longer then. Where it cannot be restored the outcome is [`Outcome::Failed`], and
    /// the file stays.
    ///
    /// # Errors
    /// When it runs already, and on an engine that cannot.
    pub fn restore(&self, path: &Path) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("restore the state of a machine")),
            Body::Framework(machine) => machine.restore(path),
        }
    }

    /// Makes the guest stand still, and waits until it does. Its time stands still, too; its devices finish what they
    /// have begun, and its network's other end goes on.
    ///
    /// # Errors
    /// It does not run, and the framework's reason.
    pub fn pause(&self) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.pause(),
            Body::Framework(machine) => machine.pause(),
        }
    }

    /// Lets a paused guest run on, and waits until it does.
    ///
    /// # Errors
    /// It is not paused, and the framework's reason.
    pub fn resume(&self) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.resume(),
            Body::Framework(machine) => machine.resume(),
        }
    }

    /// Writes the state of a paused guest into a file, which is there as a whole or, when that fails, as before. The
    /// guest stays paused.
    ///
    /// # Errors
    /// It is not paused, the framework's reason, and on an engine that cannot.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("save the state of a machine")),
            Body::Framework(machine) => machine.save(path),
        }
    }

    /// Writes the state of a guest that runs or is paused into a file, as [`save`](Self::save) does, and ends the machine
    /// with [`Outcome::Suspended`]. Where that cannot be, the guest is as it was, and there is no file.
    ///
    /// # Errors
    /// It neither runs nor is paused, the framework's reason, and on an engine that cannot.
    pub fn suspend(&self, path: &Path) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("suspend a machine")),
            Body::Framework(machine) => machine.suspend(path),
        }
    }

    /// Opens a window on the machine's display, whose user may suspend the machine into the file `suspend_to`. Nothing
    /// but a window's user closes it before the machine ends.
    ///
    /// # Errors
    /// The machine has no display that this engine shows in windows.
    pub fn open_window(&self, windows: Windows, title: &str, suspend_to: Option<&Path>) -> Result<(), Error> {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("open a window")),
            Body::Framework(machine) => framework::open_window(machine, windows, title, suspend_to),
        }
    }

    /// As [`open_window`](Self::open_window), on another window system: one for the machines `M` of a double of the
    /// framework.
    ///
    /// # Errors
    /// As [`open_window`](Self::open_window).
    pub fn open_window_on<M, D>(&self, desktop: D, title: &str, suspend_to: Option<&Path>) -> Result<(), Error>
    where
        M: 'static,
        D: vz::Desktop<M> + 'static,
        D::Window: 'static,
    {
        match &self.0 {
            Body::Board(_) => Err(self.cannot("open a window")),
            Body::Framework(machine) => machine.open_window::<M, D>(desktop, title, suspend_to),
        }
    }

    /// Asks the guest to power off. Whether and when it does is up to the guest.
    ///
    /// On our board the way is its power button, held for a tenth of a second. A Linux kernel without a driver for the
    /// button (as Debian's cloud kernel, but not its generic one) is told by the magic SysRq keys of its console, if the
    /// configuration's command line names one, to write its disks, to make them read-only and to power off; that
    /// takes half a second, and programs in the guest are not asked.
    ///
    /// # Errors
    /// When it does not run, and when the guest cannot be reached in either way.
    pub fn request_stop(&self) -> Result<(), Error> {
        match &self.0 {
            Body::Board(board) => board.request_stop(),
            Body::Framework(machine) => machine.request_stop(),
        }
    }

    /// Stops the machine as by pulling its plug, and returns at once. The guest loses what it has not written. Does
    /// nothing when it does not run.
    pub fn stop(&self) {
        match &self.0 {
            Body::Board(board) => board.stop(),
            Body::Framework(machine) => machine.stop(),
        }
    }

    /// Waits until the machine has ended, and says how; `None` when it was never started.
    #[must_use]
    pub fn wait(&self) -> Option<Outcome> {
        self.life().wait()
    }

    /// How the machine ended last; `None` while it runs and before it was started.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.life().outcome()
    }

    /// The machine for a debugger, on an engine that has one.
    pub(crate) fn debugger(&self) -> Option<machine::Debugger> {
        match &self.0 {
            Body::Board(board) => Some(board.debugger()),
            Body::Framework(_) => None,
        }
    }

    /// What the engine counted on each CPU since the last reset, once the machine has ended.
    #[must_use]
    pub fn counters(&self) -> Vec<Vec<(&'static str, u64)>> {
        match &self.0 {
            Body::Board(board) => board.counters(),
            Body::Framework(_) => Vec::new(),
        }
    }
}
