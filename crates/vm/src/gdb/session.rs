//! A session with one GDB, from its connection to its end.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use gdbstub::common::Signal;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine as Machine;
use gdbstub::stub::{DisconnectReason, GdbStub, MultiThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind as GdbWatchKind;
use hv::debug::{Stop, WatchKind};
use machine::{Debugger, Notice};

use super::target::Cpus;

/// What a session hears.
pub(super) enum Event {
    /// GDB sent this.
    Data(Vec<u8>),
    /// GDB has gone, or is to be sent away.
    Gone,
    /// The machine says this.
    Machine(Notice),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// GDB detached, or is just gone.
    Detached,
    /// GDB asked for the machine's end.
    Kill,
}

/// GDB's end of the line, to write to.
struct Line(File);

impl Connection for Line {
    type Error = std::io::Error;

    fn write(&mut self, byte: u8) -> std::io::Result<()> {
        self.0.write_all(&[byte])
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Talks with the GDB at the other end of `line` until one of them has enough. The machine's CPUs run afterwards.
pub(super) fn run(debugger: &Debugger, line: File, tell: Sender<Event>, events: &Receiver<Event>) -> End {
    let reader = match line.try_clone() {
        Ok(reader) => reader,
        Err(error) => {
            tracing::warn!(%error, "a debugger was turned away");
            return End::Detached;
        }
    };
    // In one channel with all else, so that the machine's end is heard before that of the server.
    let notices = tell.clone();
    debugger.attach(move |notice| drop(notices.send(Event::Machine(notice))));
    let reading = thread::Builder::new().name("gdb input".to_owned()).spawn(move || read(reader, &tell));
    let end = match line.try_clone() {
        Ok(writer) if reading.is_ok() => converse(debugger, Line(writer), events),
        _ => End::Detached,
    };
    debugger.detach();
    // Ends the reader, too.
    let _ = rustix::net::shutdown(&line, rustix::net::Shutdown::Both);
    if let Ok(reading) = reading {
        let _ = reading.join();
    }
    end
}

fn read(mut from: File, tell: &Sender<Event>) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if tell.send(Event::Data(buffer[..len].to_vec())).is_err() {
            return;
        }
    }
    let _ = tell.send(Event::Gone);
}

fn converse(debugger: &Debugger, line: Line, events: &Receiver<Event>) -> End {
    // GDB asks at once why the CPUs stand still, so that they have to before it is heard.
    let mut early = Vec::new();
    loop {
        match events.recv() {
            Ok(Event::Machine(Notice::Halted(_))) => break,
            Ok(Event::Data(bytes)) => early.extend(bytes),
            _ => return End::Detached,
        }
    }
    let mut cpus = Cpus::new(debugger.clone());
    let mut next = Some(Event::Data(early));
    let mut machine = match GdbStub::new(line).run_state_machine(&mut cpus) {
        Ok(machine) => machine,
        Err(error) => return failed(&error),
    };
    loop {
        let Some(event) = next.take().or_else(|| events.recv().ok()) else { return End::Detached };
        machine = match step(machine, &mut cpus, event) {
            Ok(Some(machine)) => machine,
            Ok(None) => return End::Detached,
            Err(error) => return failed(&error),
        };
        if let Machine::Disconnected(state) = &machine {
            return match state.get_reason() {
                DisconnectReason::Kill => End::Kill,
                _ => End::Detached,
            };
        }
    }
}

fn failed(error: &impl std::fmt::Display) -> End {
    tracing::warn!(%error, "the session with a debugger ended");
    End::Detached
}

type Error = gdbstub::stub::GdbStubError<machine::DebugError, std::io::Error>;

/// What an event makes of the conversation; `None` ends it.
fn step<'a>(
    mut machine: Machine<'a, Cpus, Line>,
    cpus: &mut Cpus,
    event: Event,
) -> Result<Option<Machine<'a, Cpus, Line>>, Error> {
    match event {
        Event::Gone => return Ok(None),
        Event::Data(bytes) => {
            for byte in bytes {
                machine = match machine {
                    Machine::Idle(state) => state.incoming_data(cpus, byte)?,
                    Machine::Running(state) => state.incoming_data(cpus, byte)?,
                    other => other,
                };
                if let Machine::CtrlCInterrupt(state) = machine {
                    // The reason follows when all CPUs stand.
                    cpus.debugger.halt();
                    machine = state.interrupt_handled(cpus, None::<MultiThreadStopReason<u64>>)?;
                }
            }
        }
        Event::Machine(notice) => {
            if let Machine::Running(state) = machine {
                machine = state.report_stop(cpus, reason(notice))?;
            } else if notice == Notice::Ended {
                return Ok(None);
            }
        }
    }
    Ok(Some(machine))
}

/// A notice as GDB hears it.
fn reason(notice: Notice) -> MultiThreadStopReason<u64> {
    match notice {
        Notice::Ended => MultiThreadStopReason::Exited(0),
        Notice::Halted(None) => {
            MultiThreadStopReason::SignalWithThread { tid: Cpus::thread(0), signal: Signal::SIGINT }
        }
        Notice::Halted(Some((cpu, stop))) => {
            let tid = Cpus::thread(cpu);
            match stop {
                Stop::Breakpoint => MultiThreadStopReason::SwBreak(tid),
                Stop::Step => MultiThreadStopReason::SignalWithThread { tid, signal: Signal::SIGTRAP },
                Stop::Watchpoint { address: addr, kind } => {
                    let kind = match kind {
                        WatchKind::Read => GdbWatchKind::Read,
                        WatchKind::Write => GdbWatchKind::Write,
                        WatchKind::Access => GdbWatchKind::ReadWrite,
                    };
                    MultiThreadStopReason::Watch { tid, kind, addr }
                }
            }
        }
    }
}
