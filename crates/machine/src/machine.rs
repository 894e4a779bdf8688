//! The machine: boards, one after the other, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use devices::pci::PciDevice;
use devices::pl011::Pl011;
use devices::pl061::Pl061;
use hv::Exit;
use parking_lot::Mutex;

use crate::board::{Board, MakeVm, Parts};
use crate::cpu::CpuThread;
use crate::debug::Debugger;
use crate::hotplug::Slots;
use crate::{Error, HotPlugError};

/// Names and values of a CPU's counters.
pub type Counters = Vec<(&'static str, u64)>;

/// What a running machine hears.
pub(crate) enum Message {
    /// A CPU has stopped.
    Exit { cpu: u32, exit: Exit },
    /// Somebody has called [`Control::stop`].
    Stop,
}

/// Something that happens while a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The CPUs run, for the first time or again after a reset.
    Started,
    /// The guest asked for a reset: all is made anew.
    Reset,
}

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The guest powered off.
    PoweredOff,
    /// [`Control::stop`] was called.
    Stopped,
    /// A CPU failed; the text says why.
    Crashed(String),
}

/// How a machine ended, and what its CPUs counted since the last reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The counters of each CPU.
    pub counters: Vec<Counters>,
}

/// A machine: what boards are made of, one after the other.
pub struct Machine {
    parts: Parts,
    make_vm: Box<MakeVm>,
    messages: Receiver<Message>,
    control: Control,
}

/// Acts on a machine from any thread, before it runs, while it does and after.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    messages: Mutex<Sender<Message>>,
    stopped: AtomicBool,
    /// Of the board that is there now.
    present: Mutex<Option<Present>>,
    /// Since when the CPUs are paused.
    paused: Mutex<Option<Instant>>,
    slots: Arc<Slots>,
    debugger: Debugger,
}

/// What others act on of a board.
#[derive(Clone)]
pub(crate) struct Present {
    pub(crate) vm: Arc<dyn hv::Vm>,
    pub(crate) gpio: Arc<Pl061>,
    pub(crate) serial: Arc<Pl011>,
}

impl Control {
    /// Stops the machine as by pulling the plug: [`Machine::run`] returns soon, and does so at once each time it is
    /// called until [`Control::rearm`].
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        // When the machine has ended already nobody listens.
        let _ = self.0.messages.lock().send(Message::Stop);
    }

    /// Takes [`Control::stop`] back, so that the machine can run again. To be called while it does not run.
    pub fn rearm(&self) {
        self.0.stopped.store(false, Ordering::Release);
    }

    /// Makes all CPUs stand still, and waits until they do; `false` when the machine does not run, or has ended
    /// meanwhile. Devices finish what they have begun. A machine that is paused can be stopped.
    pub fn pause(&self) -> bool {
        let stand = self.0.debugger.pause();
        *self.0.paused.lock() = stand.then(Instant::now);
        stand
    }

    /// Lets the CPUs run on after [`Control::pause`]. For the guest no time has passed, except by its real-time clock.
    pub fn resume(&self) {
        let paused = self.0.paused.lock().take();
        if let (Some(since), Some(present)) = (paused, self.present()) {
            present.vm.skip(since.elapsed());
        }
        self.0.debugger.unpause();
    }

    /// Presses the power button (`true`) or lets it go. `false`: the guest has no driver for the button, or does not
    /// run, and will not notice. A press should last some tens of milliseconds.
    pub fn set_power_button(&self, pressed: bool) -> bool {
        self.present().is_some_and(|present| present.gpio.set_power_button(pressed))
    }

    /// Sends a break on the serial port, which is the magic SysRq key to a Linux kernel whose console that is: the
    /// next character is a command. `false`: the guest does not listen now.
    pub fn send_break(&self) -> bool {
        self.present().is_some_and(|present| present.serial.push_break())
    }

    /// Puts a device into a slot, and gives the slot. A guest that runs is told; one that does not yet finds it there.
    ///
    /// # Errors
    /// When all slots are taken.
    pub fn insert(&self, device: Arc<dyn PciDevice>) -> Result<usize, HotPlugError> {
        self.0.slots.insert(device)
    }

    /// Asks the guest to let go of the device in a slot, and waits until it is out. Linux takes five seconds to think
    /// it over.
    ///
    /// # Errors
    /// When there is none, and when the guest cannot be asked or does not let go in time.
    pub fn remove(&self, slot: usize, patience: Duration) -> Result<(), HotPlugError> {
        self.0.slots.remove(slot, patience)
    }

    /// Takes the device out of a slot without asking: what the guest has not written to it is lost.
    ///
    /// # Errors
    /// When there is none.
    pub fn pull(&self, slot: usize) -> Result<(), HotPlugError> {
        self.0.slots.pull(slot)
    }

    /// The machine for a debugger.
    #[must_use]
    pub fn debugger(&self) -> Debugger {
        self.0.debugger.clone()
    }

    fn present(&self) -> Option<Present> {
        self.0.present.lock().clone()
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }
}

impl Machine {
    /// A machine of `parts` on the engine that `make_vm` stands for.
    #[must_use]
    pub fn new(parts: Parts, make_vm: Box<MakeVm>) -> Self {
        let (sender, messages) = mpsc::channel();
        let shared = Shared {
            messages: Mutex::new(sender),
            stopped: AtomicBool::new(false),
            present: Mutex::default(),
            paused: Mutex::default(),
            slots: Slots::new(parts.slots),
            debugger: Debugger::new(parts.cpus),
        };
        Self { parts, make_vm, messages, control: Control(Arc::new(shared)) }
    }

    /// How others act on it.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs the machine from power-on, on the calling thread and ones of its own, until it ends; a reset by the guest
    /// is no end. `on_event` is called on the calling thread. It can be run again.
    ///
    /// # Errors
    /// When the board cannot be built, at first or after a reset. No thread is left.
    pub fn run(&mut self, on_event: impl FnMut(Event)) -> Result<Outcome, Error> {
        self.control.0.debugger.began();
        let result = self.run_boards(on_event);
        self.control.0.debugger.ended();
        result
    }

    fn run_boards(&self, mut on_event: impl FnMut(Event)) -> Result<Outcome, Error> {
        loop {
            let board = Board::new(&self.parts, &self.control.0.slots, self.make_vm.as_ref())?;
            *self.control.0.present.lock() = Some(board.present());
            let result = self.run_board(&board, &mut on_event);
            *self.control.0.present.lock() = None;
            drop(board);
            let (exit, counters) = result?;
            let end = match exit {
                None => End::Stopped,
                Some((_, Exit::PoweredOff)) => End::PoweredOff,
                Some((cpu, Exit::Failed(reason))) => End::Crashed(format!("CPU {cpu}: {reason}")),
                Some((cpu, Exit::Kicked | Exit::Debug(_))) => {
                    End::Crashed(format!("CPU {cpu} stopped without a reason"))
                }
                Some((_, Exit::Reset)) if self.control.is_stopped() => End::Stopped,
                Some((_, Exit::Reset)) => {
                    on_event(Event::Reset);
                    continue;
                }
            };
            return Ok(Outcome { end, counters });
        }
    }

    /// Runs the CPUs until one of them stops or all are told to: `None`.
    #[expect(clippy::type_complexity, reason = "two results, used once")]
    fn run_board(
        &self,
        board: &Board,
        on_event: &mut impl FnMut(Event),
    ) -> Result<(Option<(u32, Exit)>, Vec<Counters>), Error> {
        // What was said before, by CPUs of the board before or by who stopped it, is of no interest. A stop that is
        // dropped here is seen below.
        self.messages.try_iter().for_each(drop);
        let mut threads = Vec::new();
        let mut start = || {
            // All seeds are taken before the first CPU runs and may start another.
            let seeds =
                (0..self.parts.cpus).map(|i| board.vm.vcpu(i, board.env.clone())).collect::<Result<Vec<_>, _>>()?;
            for (index, seed) in (0..).zip(seeds) {
                let entry = (index == 0).then_some(board.entry);
                let sender = self.control.0.messages.lock().clone();
                threads.push(CpuThread::start(index, seed, entry, sender, self.control.debugger())?);
            }
            Ok::<(), Error>(())
        };
        let started = start();
        let exit = match started {
            Ok(()) if !self.control.is_stopped() => {
                on_event(Event::Started);
                self.wait()
            }
            _ => None,
        };
        threads.iter().for_each(CpuThread::ask_to_stop);
        let counters = threads.into_iter().map(CpuThread::join).collect();
        started.map(|()| (exit, counters))
    }

    fn wait(&self) -> Option<(u32, Exit)> {
        match self.messages.recv() {
            Ok(Message::Exit { cpu, exit }) => Some((cpu, exit)),
            // The sender lives in `control`, so that there always is one.
            Ok(Message::Stop) | Err(_) => None,
        }
    }
}
