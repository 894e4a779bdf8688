//! The virtual machine object.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use devices::virtio::console::Console as ConsoleDevice;
use machine::{Control, End, Machine};
use parking_lot::Mutex;

use crate::card::NatCard;
use crate::disks::Disks;
use crate::open::{self, Opened};
use crate::state::Life;
use crate::sysrq::SysRq;
use crate::{Console, DiskName, DiskStatus, Error, Event, Outcome, State};
use soft::JitMode;

/// How long the power button is held. The driver looks at it again a few milliseconds after the press.
const PRESS: Duration = Duration::from_millis(100);

/// Counters of the CPUs, as (name, value), one list for each CPU.
type Counters = Vec<Vec<(&'static str, u64)>>;

/// What the configuration leaves open.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What the software CPU does with hot code; all but [`JitMode::On`] is for tests and bug reports.
    pub jit: JitMode,
    /// Slots for disks that come and go while the machine runs. Each takes the guest some milliseconds to start.
    pub slots: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { jit: JitMode::On, slots: 4 }
    }
}

/// A virtual machine.
///
/// All methods may be called from any thread. When it is dropped, a machine that runs is stopped hard.
pub struct VirtualMachine {
    shared: Arc<Shared>,
    control: Control,
    consoles: Vec<Console>,
    cards: Vec<NatCard>,
    disks: Disks,
    terminal: Option<Arc<ConsoleDevice>>,
    sysrq: Option<SysRq>,
}

struct Shared {
    life: Life,
    /// Taken by the thread that runs it, which holds it as long.
    machine: Mutex<Machine>,
    counters: Mutex<Counters>,
}

impl VirtualMachine {
    /// Makes a virtual machine of a configuration that has been validated, and opens everything that it names. Files
    /// and disks stay open and locked as long as the object lives.
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
        let Options { jit, slots } = options;
        let Opened { parts, consoles, cards, disks, disk_queues, terminal, kernel_console } =
            open::machine(config, slots)?;
        let make_vm = move |memory: hv::GuestMemory, cpus: u32| {
            Ok(Box::new(soft::Vm::new(memory, &soft::Options { cpus, jit })?) as Box<dyn hv::Vm>)
        };
        let machine = Machine::new(parts, Box::new(make_vm));
        let control = machine.control();
        let disks = Disks::new(disks, disk_queues, control.clone());
        let sysrq = kernel_console.map(|console| SysRq::new(console, control.clone()));
        let shared = Shared { life: Life::new(), machine: Mutex::new(machine), counters: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), control, consoles, cards, disks, terminal, sysrq })
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.life.state()
    }

    /// Everything that happens from now on. The channel ends with the object.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Event> {
        self.shared.life.subscribe()
    }

    /// The consoles and ports, in the order of the configuration's `serial` list.
    #[must_use]
    pub fn consoles(&self) -> &[Console] {
        &self.consoles
    }

    /// The network cards behind NAT, in the order of the configuration's `network` list.
    #[must_use]
    pub fn cards(&self) -> &[NatCard] {
        &self.cards
    }

    /// The disks, those of the configuration first.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskStatus> {
        self.disks.list()
    }

    /// Opens a disk and puts it into a free slot (PCI Express hot plug). A guest that runs is told; one that does not
    /// yet finds it when it starts. It stays there over resets.
    ///
    /// # Errors
    /// It cannot be opened, and when all slots are taken.
    pub fn attach_disk(&self, storage: &config::Storage) -> Result<DiskName, Error> {
        self.disks.attach(storage)
    }

    /// Asks the guest to let go of a disk that was attached, and closes it when the guest has. Linux thinks it over
    /// for five seconds, and writes what it has not written.
    ///
    /// # Errors
    /// There is none, the guest cannot be asked, or it has not let go when `patience` is at an end; then the disk
    /// leaves as soon as it does.
    pub fn detach_disk(&self, name: DiskName, patience: Duration) -> Result<(), Error> {
        self.disks.detach(name, Some(patience))
    }

    /// Takes a disk that was attached out without asking: the guest loses what it has not written.
    ///
    /// # Errors
    /// There is none.
    pub fn pull_disk(&self, name: DiskName) -> Result<(), Error> {
        self.disks.detach(name, None)
    }

    /// Makes a disk `size` bytes long, and tells the guest. What is cut off is lost.
    ///
    /// # Errors
    /// There is none, or what holds it cannot be resized.
    pub fn resize_disk(&self, name: DiskName, size: u64) -> Result<(), Error> {
        self.disks.resize(name, size)
    }

    /// Tells the guest the size of the terminal that shows its first virtio console (`hvc0`), in character cells.
    pub fn resize_terminal(&self, columns: u16, rows: u16) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(columns, rows);
        }
    }

    /// Starts the machine from power-on and returns at once; the state becomes [`State::Starting`], then
    /// [`State::Running`], or [`State::Error`] with an [`Outcome::Failed`].
    ///
    /// # Errors
    /// When it runs already, or the host gives no thread.
    pub fn start(&self) -> Result<(), Error> {
        let wrong = |state| Error::WrongState { wish: "started", state };
        self.shared.life.change(State::can_start, State::Starting, || self.control.rearm()).map_err(wrong)?;
        let shared = self.shared.clone();
        let spawned = thread::Builder::new().name("machine".into()).spawn(move || shared.run());
        spawned.map(drop).map_err(|source| {
            self.shared.life.end(Outcome::Failed("no thread for the machine".into()));
            Error::Host { field: "machine".into(), what: "starting a thread", source }
        })
    }

    /// Asks the guest to power off. Whether and when it does is up to the guest.
    ///
    /// The way is its power button, held for a tenth of a second. A Linux kernel without a driver for the button (as
    /// Debian's cloud kernel, but not its generic one) is told by the magic SysRq keys of its console, if the
    /// configuration's command line names one, to write its disks, to make them read-only and to power off; that
    /// takes half a second, and programs in the guest are not asked.
    ///
    /// # Errors
    /// When it does not run, and when the guest cannot be reached in either way.
    pub fn request_stop(&self) -> Result<(), Error> {
        match self.state() {
            State::Running => {}
            state => return Err(Error::WrongState { wish: "asked to stop", state }),
        }
        let heard = self.control.set_power_button(true);
        if heard {
            thread::sleep(PRESS);
        }
        self.control.set_power_button(false);
        match &self.sysrq {
            _ if heard => Ok(()),
            Some(sysrq) if sysrq.power_off() => Ok(()),
            _ => Err(Error::NobodyListens),
        }
    }

    /// Stops the machine as by pulling its plug, and returns at once. The guest loses what it has not written. Does
    /// nothing when it does not run.
    pub fn stop(&self) {
        let runs = |state| matches!(state, State::Starting | State::Running);
        // There is nothing to stop in the other states.
        let _ = self.shared.life.change(runs, State::Stopping, || self.control.stop());
    }

    /// Waits until the machine has ended, and says how; `None` when it was never started.
    #[must_use]
    pub fn wait(&self) -> Option<Outcome> {
        self.shared.life.wait()
    }

    /// How the machine ended last; `None` while it runs and before it was started.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.shared.life.outcome()
    }

    /// The machine for a debugger.
    pub(crate) fn debugger(&self) -> machine::Debugger {
        self.control.debugger()
    }

    /// What the engine counted on each CPU since the last reset, once the machine has ended.
    #[must_use]
    pub fn counters(&self) -> Vec<Vec<(&'static str, u64)>> {
        self.shared.counters.lock().clone()
    }
}

impl Drop for VirtualMachine {
    fn drop(&mut self) {
        self.stop();
        // The disks are closed and the consoles have said everything when this returns.
        let _ = self.wait();
    }
}

impl Shared {
    /// The machine's thread.
    fn run(&self) {
        let mut machine = self.machine.lock();
        let mut first = true;
        let result = machine.run(|event| match event {
            machine::Event::Started if first => {
                first = false;
                // It may have been told to stop meanwhile.
                let _ = self.life.change(|state| state == State::Starting, State::Running, || ());
            }
            machine::Event::Started => {}
            machine::Event::Reset => self.life.reset(),
        });
        drop(machine);
        let outcome = match result {
            Ok(outcome) => {
                *self.counters.lock() = outcome.counters;
                match outcome.end {
                    End::PoweredOff => Outcome::PoweredOff,
                    End::Stopped => Outcome::Killed,
                    End::Crashed(reason) => Outcome::Crashed(reason),
                }
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.life.end(outcome);
    }
}
