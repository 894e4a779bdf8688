//! Boots a machine with a display in a window: `window MACHINE.toml`, on a Mac.
//!
//! As `headless`, the smallest program around the executor, here with AppKit on the main thread: the menu pauses, resumes,
//! suspends into `MACHINE.toml.state` and stops the machine. When its window is closed and it is kept running, only Ctrl-C
//! or its guest ends it. Elsewhere it shows what the menu offers of a machine that runs.

use std::error::Error;

#[cfg(target_os = "macos")]
fn main() -> Result<(), Box<dyn Error>> {
    let ended = vz::sys::with_windows(|windows| mac::run(&windows).map_err(|error| error.to_string()))?;
    Ok(ended?)
}

#[cfg(target_os = "macos")]
mod mac {
    use std::error::Error;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use config::{Machine, Problem};
    use vz::{
        Command, Desktop, Entitlements, Host, Notice, Session, Signal, StartOptions, State, Status, Virtualization,
        Window, WindowOptions, Wish, sys,
    };

    /// What can happen to the machine.
    enum Event {
        Report(Signal),
        Wish(Wish),
    }

    pub(super) fn run(windows: &sys::Windows) -> Result<(), Box<dyn Error>> {
        let path = std::env::args().nth(1).ok_or("say which machine: window MACHINE.toml")?;
        let machine = Machine::from_toml(&std::fs::read_to_string(&path)?).map_err(|problems| told(&problems))?;
        let host = Host::here(Entitlements::of_this_program(), Vec::new());
        let plan = vz::plan(&machine, &host).map_err(|problems| told(&problems))?;
        write!(std::io::stderr(), "{plan}")?;
        let options = WindowOptions::of(&plan, &path).ok_or("this machine has no display")?;
        if !plan.helpers.is_empty() {
            return Err("this example has no helpers: leave out what needs them, see above".into());
        }
        let (events, happened) = channel();
        let signals = forwarded(events.clone(), Event::Report);
        let mut session = Session::new(sys::Mac.machine(&plan, Vec::new(), signals)?);
        let window = windows.open(session.framework(), options, forwarded(events, Event::Wish))?;
        let saved = PathBuf::from(format!("{path}.state"));
        let savable = vz::Framework::check_save(session.framework()).is_ok();
        let mut suspending = false;
        let mut notices = session.command(Command::Start(StartOptions::default()));
        loop {
            for notice in &notices {
                writeln!(std::io::stderr(), "{notice:?}")?;
            }
            let state = session.state();
            window.show(Status { state, savable, ..Status::starting() });
            if session.state() == State::Stopped {
                return Ok(());
            }
            // What fails is told above, and the machine is as it was.
            suspending &= !notices.iter().any(|notice| matches!(notice, Notice::Failed(..)));
            // To be suspended is to be paused, then saved, then stopped.
            notices = match (suspending, session.state()) {
                (true, State::Running) => session.command(Command::Pause),
                (true, State::Paused) if notices.contains(&Notice::Saved) => session.command(Command::Stop),
                (true, State::Paused) => session.command(Command::Save(saved.clone())),
                _ => match happened.recv()? {
                    Event::Report(signal) => session.signal(signal),
                    Event::Wish(Wish::Pause) => session.command(Command::Pause),
                    Event::Wish(Wish::Resume) => session.command(Command::Resume),
                    Event::Wish(Wish::RequestStop) => session.command(Command::RequestStop),
                    Event::Wish(Wish::Stop) => session.command(Command::Stop),
                    Event::Wish(Wish::Detach) => Vec::new(),
                    // Its menu offers neither drives nor folders.
                    Event::Wish(Wish::AttachDrive(_) | Wish::DetachDrive(_)) => Vec::new(),
                    Event::Wish(Wish::ShareFolder(_) | Wish::UnshareFolder(_)) => Vec::new(),
                    Event::Wish(Wish::Suspend) => {
                        suspending = true;
                        Vec::new()
                    }
                },
            };
        }
    }

    /// A channel whose messages become events.
    fn forwarded<T: Send + 'static>(events: Sender<Event>, event: fn(T) -> Event) -> Sender<T> {
        let (sender, receiver) = channel();
        thread::spawn(move || receiver.into_iter().try_for_each(|message| events.send(event(message))));
        sender
    }

    fn told(problems: &[Problem]) -> String {
        problems.iter().map(|problem| format!("\n{problem}")).collect()
    }
}

#[cfg(not(target_os = "macos"))]
fn main() -> Result<(), Box<dyn Error>> {
    use std::io::Write;

    let mut model = vz::Model::new("machine", false);
    let state = vz::State::Running;
    model.show(vz::Status { state, savable: true, takes_drives: true, takes_folders: true, ..vz::Status::starting() });
    for action in vz::Action::ALL {
        writeln!(std::io::stdout(), "{:?}", model.item(action))?;
    }
    Ok(())
}
