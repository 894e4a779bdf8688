//! vCPU threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

use hv::{BootState, Exit, Kick, VcpuSeed};

use crate::debug::{Debugger, Seat};
use crate::machine::Message;
use crate::{Counters, Error};

/// A CPU on its thread.
pub(crate) struct CpuThread {
    kick: Arc<dyn Kick>,
    stopping: Arc<AtomicBool>,
    debugger: Debugger,
    thread: JoinHandle<Counters>,
}

impl CpuThread {
    /// Binds `seed` on a new thread and runs it until it is told to stop or something stops it, which `messages`
    /// hears of. `entry` is for the CPU that boots.
    pub(crate) fn start(
        index: u32,
        seed: Box<dyn VcpuSeed>,
        entry: Option<BootState>,
        messages: Sender<Message>,
        debugger: Debugger,
    ) -> Result<Self, Error> {
        let kick = seed.kicker();
        let seat = debugger.seat(index, kick.clone());
        let stopping = Arc::new(AtomicBool::new(false));
        let told = stopping.clone();
        let thread = Builder::new()
            .name(format!("cpu{index}"))
            .spawn(move || {
                let mut report = Report { index, messages, exit: None };
                match run(seed, entry, seat, &told) {
                    Ok((exit, counters)) => {
                        report.exit = Some(exit);
                        counters
                    }
                    Err(error) => {
                        report.exit = Some(Exit::Failed(error.to_string()));
                        Counters::new()
                    }
                }
            })
            .map_err(Error::Thread)?;
        Ok(Self { kick, stopping, debugger, thread })
    }

    /// Asks the CPU to stop. Does not wait.
    pub(crate) fn ask_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.kick.kick();
        self.debugger.wake();
    }

    /// Waits for the thread to end, after [`ask_to_stop`](Self::ask_to_stop).
    pub(crate) fn join(self) -> Counters {
        // A thread that panicked has reported it.
        self.thread.join().unwrap_or_default()
    }
}

fn run(
    seed: Box<dyn VcpuSeed>,
    entry: Option<BootState>,
    mut seat: Seat,
    stopping: &AtomicBool,
) -> Result<(Exit, Counters), hv::Error> {
    let mut cpu = seed.bind()?;
    if let Some(entry) = entry {
        cpu.set_boot_state(entry)?;
    }
    let stopping = || stopping.load(Ordering::Acquire);
    loop {
        seat.attend(cpu.as_mut(), stopping);
        match if stopping() { Exit::Kicked } else { cpu.run() } {
            Exit::Kicked if stopping() => return Ok((Exit::Kicked, cpu.counters())),
            Exit::Kicked => {}
            Exit::Debug(stop) => seat.stopped(stop),
            exit => return Ok((exit, cpu.counters())),
        }
    }
}

/// Tells how a CPU ended, also when its thread panicked.
struct Report {
    index: u32,
    messages: Sender<Message>,
    exit: Option<Exit>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let panicked = || Exit::Failed("the software of the CPU panicked".into());
        let exit = self.exit.take().unwrap_or_else(panicked);
        // Nobody listens when the machine was given up meanwhile.
        let _ = self.messages.send(Message::Exit { cpu: self.index, exit });
    }
}
