//! A machine on our own board: the half of the virtual machine object for engines that run CPUs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use devices::virtio::balloon::Balloon;
use devices::virtio::console::Console as ConsoleDevice;
use machine::{Control, End, Machine};
use parking_lot::Mutex;

use crate::card::NatCard;
use crate::disks::Disks;
use crate::open::{self, Opened};
use crate::state::Life;
use crate::sysrq::SysRq;
use crate::virtual_machine::{Counters, Options};
use crate::{Console, Error, Event, Outcome, State};

/// How long the power button is held. The driver looks at it again a few milliseconds after the press.
const PRESS: Duration = Duration::from_millis(100);

/// A machine on our board.
pub(crate) struct Board {
    shared: Arc<Shared>,
    control: Control,
    pub(crate) consoles: Vec<Console>,
    pub(crate) cards: Vec<NatCard>,
    pub(crate) disks: Disks,
    terminal: Option<Arc<ConsoleDevice>>,
    balloon: Option<Arc<Balloon>>,
    /// In bytes.
    memory: u64,
    sysrq: Option<SysRq>,
}

struct Shared {
    life: Life,
    /// Taken by the thread that runs it, which holds it as long.
    machine: Mutex<Machine>,
    counters: Mutex<Counters>,
}

impl Board {
    pub(crate) fn new(config: &config::Machine, options: &Options) -> Result<Self, Error> {
        let Options { jit, slots, .. } = *options;
        let Opened { parts, consoles, cards, disks, disk_queues, terminal, balloon, kernel_console } =
            open::machine(config, slots)?;
        let make_vm = move |memory: hv::GuestMemory, cpus: u32| {
            Ok(Box::new(soft::Vm::new(memory, &soft::Options { cpus, jit })?) as Box<dyn hv::Vm>)
        };
        let memory = parts.memory;
        let machine = Machine::new(parts, Box::new(make_vm));
        let control = machine.control();
        let disks = Disks::new(disks, disk_queues, control.clone());
        let sysrq = kernel_console.map(|console| SysRq::new(console, control.clone()));
        let shared = Shared { life: Life::new(), machine: Mutex::new(machine), counters: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), control, consoles, cards, disks, terminal, balloon, memory, sysrq })
    }

    pub(crate) fn life(&self) -> &Life {
        &self.shared.life
    }

    pub(crate) fn resize_terminal(&self, columns: u16, rows: u16) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(columns, rows);
        }
    }

    pub(crate) fn set_memory(&self, mib: u64) -> Result<(), Error> {
        let balloon =
            self.balloon.as_ref().ok_or_else(|| Error::unsupported("balloon", "the machine has none: add one"))?;
        let all = self.memory >> 20;
        if mib > all {
            return Err(Error::unsupported("balloon", format!("the machine has {all} MiB: give that or less")));
        }
        balloon.set_target(self.memory - (mib << 20));
        Ok(())
    }

    pub(crate) fn start(&self) -> Result<(), Error> {
        let wrong = |state| Error::WrongState { wish: "started", state };
        let rearm = || {
            self.control.rearm();
            self.disks.set_patience(true);
        };
        self.shared.life.change(State::can_start, State::Starting, rearm).map_err(wrong)?;
        let shared = self.shared.clone();
        let spawned = thread::Builder::new().name("machine".into()).spawn(move || shared.run());
        spawned.map(drop).map_err(|source| {
            self.shared.life.end(Outcome::Failed("no thread for the machine".into()));
            Error::Host { field: "machine".into(), what: "starting a thread", source }
        })
    }

    pub(crate) fn pause(&self) -> Result<(), Error> {
        let wrong = |state| Error::WrongState { wish: "paused", state };
        self.life().change(|state| state == State::Running, State::Pausing, || ()).map_err(wrong)?;
        if !self.control.pause() {
            return Err(wrong(State::Stopping));
        }
        self.life().change(|state| state == State::Pausing, State::Paused, || ()).map_err(wrong)
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        let wrong = |state| Error::WrongState { wish: "resumed", state };
        self.life().change(|state| state == State::Paused, State::Resuming, || ()).map_err(wrong)?;
        self.control.resume();
        self.life().change(|state| state == State::Resuming, State::Running, || ()).map_err(wrong)
    }

    pub(crate) fn request_stop(&self) -> Result<(), Error> {
        match self.life().state() {
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

    pub(crate) fn stop(&self) {
        let runs = |state| !matches!(state, State::Stopped | State::Stopping | State::Error);
        let stop = || {
            self.control.stop();
            self.disks.set_patience(false);
        };
        // There is nothing to stop in the other states.
        let _ = self.shared.life.change(runs, State::Stopping, stop);
    }

    /// The machine for a debugger.
    pub(crate) fn debugger(&self) -> machine::Debugger {
        self.control.debugger()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.shared.counters.lock().clone()
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
            machine::Event::Reset => self.life.tell(&Event::Reset),
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

impl Drop for Board {
    fn drop(&mut self) {
        self.stop();
        // The disks are closed and the consoles have said everything when this returns.
        let _ = self.shared.life.wait();
    }
}
