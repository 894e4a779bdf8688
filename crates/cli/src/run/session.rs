//! A machine that runs in this terminal, from its start to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use ::config::{Engine, Machine, SerialAttachment};
use serde_json::json;
use vm::{Outcome, State, VirtualMachine, Windows};

use super::gdb::{self, GdbAddress};
use super::signals::{Listener, Signal};
use super::{panics, stats};
use crate::console::escape::{HELP, Wish};
use crate::console::stdio::Stdio;
use crate::console::terminal;
use crate::control::{self, Known, Rest, RestUri, Server};
use crate::disk;
use crate::failure::{Failure, Status};
use crate::say;

/// How the machine meets the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'a> {
    /// What a window is called.
    pub(super) title: &'a str,
    /// A macOS guest starts into its recovery system.
    pub(super) recovery: bool,
    /// The saved state from which it goes on.
    pub(super) restore: Option<&'a Path>,
    /// Where its state is saved when it is suspended.
    pub(super) suspend_to: Option<&'a Path>,
    /// A new macOS guest makes this account.
    pub(super) account: Option<&'a vz::Provisioning>,
    /// A client of the first pty is waited for before the machine starts.
    pub(super) wait_for_client: bool,
    /// The terminal keeps Ctrl-C for us.
    pub(super) keep_ctrl_c: bool,
    /// What the software CPU does with hot code.
    pub(super) jit: vm::JitMode,
    /// Where the machine listens for other commands.
    pub(super) control: &'a [PathBuf],
    /// Where it listens for programs that know vfkit.
    pub(super) rest: &'a RestUri,
    /// Where a debugger may connect.
    pub(super) gdb: Option<&'a GdbAddress>,
    /// The machine waits for it.
    pub(super) gdb_wait: bool,
    /// How long the guest has to power off after a signal that nobody may repeat.
    pub(super) patience: Duration,
    /// What the engine counted is told at the end.
    pub(super) stats: bool,
    /// Where the consoles are is told as JSON, a line each.
    pub(super) json: bool,
}

/// What the session hears.
enum Event {
    Signal(Signal),
    Wish(Wish),
    /// The guest asked for a reset.
    Reset,
    /// A thread has panicked: its name.
    Panicked(String),
    Ended(Option<Outcome>),
}

/// Runs `machine` to its end.
///
/// # Errors
/// Every end but the guest's power-off.
pub(super) fn run(machine: &Machine, options: Options<'_>, windows: Option<Windows>) -> Result<(), Failure> {
    let (tell, events) = mpsc::channel();
    let _signals = listen(tell.clone())?;
    let alarm = tell.clone();
    panics::listen(move |thread| drop(alarm.send(Event::Panicked(thread.to_owned()))));
    // Who cannot ask for disks later needs no slots for them, and a guest starts a little sooner without.
    let slots = if !options.control.is_empty() { vm::Options::default().slots } else { 0 };
    let vm =
        VirtualMachine::with_options(machine, vm::Options { name: options.title.to_owned(), jit: options.jit, slots })
            .map_err(not_opened)?;
    let vm = Arc::new(vm);
    let _control: Vec<_> = options
        .control
        .iter()
        .map(|path| listen_to_commands(path, &vm, Known { machine, suspend_to: options.suspend_to }))
        .collect::<Result<_, _>>()?;
    let windows = windows.filter(|_| !machine.graphics.is_empty() && vm.engine() == Engine::Vz);
    let _rest = Rest::start(options.rest, &vm, machine, windows.is_some())
        .map_err(|error| not_listening("--restful-uri", &error))?;
    tell_ports(&vm, options.json);
    let _gdb = options.gdb.map(|at| gdb::listen(at, options.gdb_wait, &vm, options.json)).transpose()?;
    let stdio = connect(machine, &vm, options, &tell)?;
    if options.wait_for_client {
        wait_for_client(machine, &vm, options, &events)?;
    }
    let heard = vm.subscribe();
    start(&vm, options)?;
    if let Some(windows) = windows {
        let opened = vm.open_window(windows, options.title, options.suspend_to);
        opened.map_err(|error| Failure::new(Status::Host, error.to_string()))?;
    }
    let waiting = vm.clone();
    thread::Builder::new()
        .name("wait".to_owned())
        .spawn(move || {
            let resets = heard.iter().take_while(|event| !matches!(event, vm::Event::Ended(_)));
            resets.filter(|event| *event == vm::Event::Reset).for_each(|_| drop(tell.send(Event::Reset)));
            let _ = tell.send(Event::Ended(waiting.wait()));
        })
        .map_err(|error| Failure::new(Status::Host, format!("no thread can be started: {error}")))?;
    let result = follow(&vm, stdio.is_some(), options, &events);
    if let Some(stdio) = stdio {
        // A reader of our output that does not read is not waited for after another signal.
        stdio.finish(|| events.try_iter().any(|event| matches!(event, Event::Signal(Signal::End(_)))));
    }
    if options.stats {
        stats::tell(&vm, options.json);
    }
    result
}

fn not_opened(error: vm::Error) -> Failure {
    let status = match &error {
        vm::Error::Kernel { .. } => Status::Usage,
        vm::Error::Disk { source, .. } => disk::status(source),
        _ => Status::Host,
    };
    Failure::new(status, error.to_string())
}

/// Starts the machine: from power-on, into its recovery system, or from its saved state.
fn start(vm: &VirtualMachine, options: Options<'_>) -> Result<(), Failure> {
    match options.restore {
        Some(state) => vm.restore(state).map_err(|error| not_restored(&error.to_string())),
        None => {
            let started = match options.account {
                Some(account) => vm.start_with_account(account.clone()),
                None if options.recovery => vm.start_recovery(),
                None => vm.start(),
            };
            started.map_err(|error| Failure::new(Status::Host, error.to_string()))
        }
    }
}

fn not_restored(reason: &str) -> Failure {
    let mend =
        "undo what was changed since it was suspended, or start it anew, as after a loss of power: --discard-state";
    Failure::new(Status::Host, format!("the saved state is not restored: {reason}: {mend}"))
}

fn listen(tell: Sender<Event>) -> Result<Listener, Failure> {
    Listener::start(move |signal| {
        let _ = tell.send(Event::Signal(signal));
    })
    .map_err(|error| Failure::new(Status::Host, format!("signals cannot be listened to: {error}")))
}

fn listen_to_commands(path: &Path, vm: &Arc<VirtualMachine>, known: Known<'_>) -> Result<Server, Failure> {
    Server::start(path, vm, known).map_err(|error| not_listening(&format!("--control {}", path.display()), &error))
}

fn not_listening(what: &str, error: &std::io::Error) -> Failure {
    let mend = match error.kind() {
        std::io::ErrorKind::AddrInUse => ": another process has it, or it is no socket: choose another",
        _ => "",
    };
    Failure::new(Status::Host, format!("{what}: {error}{mend}"))
}

/// Says which ports of the host lead to the guest, and to programs what its addresses are.
fn tell_ports(vm: &VirtualMachine, json: bool) {
    for (index, card) in vm.cards().iter().enumerate() {
        let status = control::status(card);
        if json {
            say::line(&json!({ "event": "network", "card": index, "network": status }).to_string());
        } else if !status.published.is_empty() {
            say::line(&format!("published: {}", status.published.join(", ")));
        }
    }
}

/// Connects the console that is on this terminal, and says where the others are.
fn connect(
    machine: &Machine,
    vm: &VirtualMachine,
    options: Options<'_>,
    tell: &Sender<Event>,
) -> Result<Option<Stdio>, Failure> {
    let mut stdio = None;
    for (index, (serial, console)) in machine.serial.iter().zip(vm.consoles()).enumerate() {
        match (&serial.attachment, console.path()) {
            (SerialAttachment::Pty | SerialAttachment::Socket { .. }, Some(path)) if options.json => {
                say::line(&json!({ "event": "console", "serial": index, "path": path }).to_string());
            }
            (SerialAttachment::Pty, Some(path)) => {
                say::line(&format!("console: {0} (for example: screen {0})", path.display()));
            }
            (SerialAttachment::Socket { .. }, Some(path)) => say::line(&format!("console: {}", path.display())),
            _ => {}
        }
        let Some(stream) = console.take_stream() else { continue };
        let tell = tell.clone();
        let wish = move |wish| {
            let _ = tell.send(Event::Wish(wish));
        };
        let connected = Stdio::connect(stream, options.keep_ctrl_c, wish)
            .map_err(|error| Failure::new(Status::Host, format!("the terminal cannot be used: {error}")))?;
        if terminal::is_raw() {
            tell_size(vm);
            if !options.keep_ctrl_c && !options.json {
                say::line("the console is this terminal; Ctrl-] q leaves, Ctrl-] ? helps");
            }
        }
        stdio = Some(connected);
    }
    Ok(stdio)
}

fn tell_size(vm: &VirtualMachine) {
    if let Some((columns, rows)) = terminal::size() {
        vm.resize_terminal(columns, rows);
    }
}

/// Waits until somebody opens the first pty.
fn wait_for_client(
    machine: &Machine,
    vm: &VirtualMachine,
    options: Options<'_>,
    events: &Receiver<Event>,
) -> Result<(), Failure> {
    let is_pty = |attachment: &SerialAttachment| *attachment == SerialAttachment::Pty;
    let mut ptys = machine.serial.iter().zip(vm.consoles()).filter(|(serial, _)| is_pty(&serial.attachment));
    let Some((_, pty)) = ptys.next() else { return Ok(()) };
    if !options.json {
        say::line("waiting for a client of the console");
    }
    while !pty.has_client() {
        match events.recv_timeout(Duration::from_millis(50)) {
            Ok(Event::Signal(Signal::End(signal))) => return Err(killed(signal)),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Follows the machine, which may go on from a saved state, to its end.
fn follow(
    vm: &Arc<VirtualMachine>,
    on_terminal: bool,
    options: Options<'_>,
    events: &Receiver<Event>,
) -> Result<(), Failure> {
    // The signal with which the machine was asked to end.
    let mut asked: Option<u8> = None;
    for event in events {
        match event {
            // A state that was restored is gone.
            Event::Ended(Some(Outcome::Failed(reason))) if options.restore.is_some_and(Path::exists) => {
                return Err(not_restored(&reason));
            }
            Event::Ended(outcome) => return ended(outcome, asked),
            Event::Reset => {
                // It has let go of its disks, and would not hear of the wish again.
                if asked.is_some() {
                    say::note("the guest restarts instead of powering off: stopping the machine");
                    vm.stop();
                }
            }
            Event::Panicked(thread) => {
                vm.stop();
                // The thread may be one without which the machine does not come to its end.
                while events.recv_timeout(LAST_PATIENCE).is_ok_and(|event| !matches!(event, Event::Ended(_))) {}
                let what =
                    format!("the thread `{thread}` panicked, which is a defect of russet; the machine was stopped");
                return Err(Failure::new(Status::Crashed, what));
            }
            Event::Signal(Signal::Resized) => {
                if on_terminal {
                    tell_size(vm);
                }
            }
            Event::Signal(Signal::Continued) => terminal::renew(),
            Event::Signal(Signal::End(signal)) => {
                if asked.is_some() {
                    say::note("stopping the machine at once");
                    asked = Some(signal);
                    vm.stop();
                } else {
                    asked = Some(signal);
                    power_off(vm, Some((signal, options.patience)));
                }
            }
            Event::Wish(Wish::PowerOff) => power_off(vm, None),
            Event::Wish(Wish::Quit) => {
                asked.get_or_insert(INTERRUPT);
                vm.stop();
            }
            Event::Wish(Wish::Help) => say::note(HELP),
        }
    }
    Err(Failure::new(Status::Other, "the machine's events ended before the machine"))
}

/// The number of SIGINT: how an end by the escape key looks to the shell.
const INTERRUPT: u8 = 2;

/// How long a machine has to stop of which a thread has panicked.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// Presses the power button because of a signal, with the time that the guest has then, or of a key; on a thread of its
/// own, because that takes a moment.
fn power_off(vm: &Arc<VirtualMachine>, signal: Option<(u8, Duration)>) {
    let vm = vm.clone();
    let pressed = thread::Builder::new().name("power".to_owned()).spawn(move || {
        let asked = vm.request_stop();
        match (signal, asked) {
            // It has nothing yet that could be lost.
            (_, Err(vm::Error::WrongState { state: State::Starting, .. })) => vm.stop(),
            (None, Ok(())) => say::note("asked the guest to power off; Ctrl-] q stops it at once"),
            (None, Err(error)) => say::note(&format!("{error}; Ctrl-] q stops it at once")),
            (Some((INTERRUPT, _)), Ok(())) => say::note("asked the guest to power off; once more to stop it at once"),
            (Some((INTERRUPT, _)), Err(error)) => say::note(&format!("{error}; once more to stop it at once")),
            // Whoever sends the others, or has taken the terminal away, counts on an end.
            (Some(_), Err(error @ vm::Error::NobodyListens)) => {
                say::note(&format!("{error}: stopping the machine"));
                vm.stop();
            }
            (Some((_, patience)), asked) => {
                let told = asked.map_or_else(|error| error.to_string(), |()| "asked the guest to power off".to_owned());
                say::note(&format!("{told}; once more to stop it at once, as in {} seconds", patience.as_secs()));
                thread::sleep(patience);
                say::note("the guest has not powered off: stopping the machine");
                vm.stop();
            }
        }
    });
    if let Err(error) = pressed {
        tracing::warn!("the power button could not be pressed: {error}");
    }
}

fn ended(outcome: Option<Outcome>, asked: Option<u8>) -> Result<(), Failure> {
    match outcome {
        Some(Outcome::PoweredOff) => Ok(()),
        Some(Outcome::Suspended) => {
            say::note("the machine is suspended: when it is run, it goes on from here");
            Ok(())
        }
        Some(Outcome::Killed) => Err(killed(asked.unwrap_or(INTERRUPT))),
        Some(Outcome::Crashed(reason)) => Err(Failure::new(Status::Crashed, format!("the guest crashed: {reason}"))),
        Some(Outcome::Failed(reason)) => Err(Failure::new(Status::Host, reason)),
        Some(other) => Err(Failure::new(Status::Other, format!("the machine ended in an unknown way: {other:?}"))),
        None => Err(Failure::new(Status::Other, "the machine did not start")),
    }
}

fn killed(signal: u8) -> Failure {
    Failure::new(Status::Killed(signal), "the machine was stopped by force")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel (Linux `Documentation/arch/arm64/booting.rst`) that does nothing for ever.
    fn idle_kernel() -> Vec<u8> {
        let mut image = vec![0; 0x1_0000];
        image[0..4].copy_from_slice(&0x1400_0000_u32.to_le_bytes()); // b .
        image[16..24].copy_from_slice(&0x1_0000_u64.to_le_bytes()); // image_size
        image[24..32].copy_from_slice(&0xa_u64.to_le_bytes()); // flags: 4 KiB pages, anywhere in memory
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    /// A device's thread that is lost leaves a machine that would go on half dead.
    #[test]
    fn a_thread_that_panics_ends_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("Image");
        std::fs::write(&kernel, idle_kernel()).unwrap();
        let text = format!("bootloader = {{ kind = \"linux\", kernel = {kernel:?} }}");
        let machine = Machine::from_toml(&text).unwrap();
        let socket = folder.path().join("control.sock");
        let options = Options {
            title: "test",
            recovery: false,
            restore: None,
            suspend_to: None,
            account: None,
            wait_for_client: false,
            keep_ctrl_c: false,
            jit: vm::JitMode::On,
            control: std::slice::from_ref(&socket),
            rest: &RestUri::None,
            gdb: None,
            gdb_wait: false,
            patience: Duration::ZERO,
            stats: false,
            json: false,
        };
        thread::scope(|scope| {
            let device = thread::Builder::new().name("device".to_owned());
            let runs = Ok(control::Answer::State("running".to_owned()));
            let socket = &socket;
            let running = move || control::ask(socket, &control::Request::State {}).map_err(drop) == runs;
            let dies = move || {
                while !running() {
                    thread::sleep(Duration::from_millis(5));
                }
                panic!("of a test");
            };
            let dead = device.spawn_scoped(scope, dies).unwrap();
            let ended = run(&machine, options, None).unwrap_err();
            assert_eq!(ended.status, Status::Crashed);
            assert!(ended.to_string().contains("the thread `device` panicked"), "{ended}");
            assert!(dead.join().is_err());
        });
    }
}
