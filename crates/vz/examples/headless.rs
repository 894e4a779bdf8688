//! Boots a machine through Virtualization.framework: `headless MACHINE.toml`, on a Mac.
//!
//! This is the smallest program around the executor, for the first try on a Mac (see `docs/first-mac.md`). It runs what
//! needs none of our own helpers: a console on the terminal, raw images, the framework's NAT. Elsewhere it shows the
//! plan for a Mac with the newest macOS.

use std::error::Error;
use std::io::Write;

use config::{Machine, Problem};
use vz::{Host, Plan};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("say which machine: headless MACHINE.toml")?;
    let machine = Machine::from_toml(&std::fs::read_to_string(path)?).map_err(|problems| told(&problems))?;
    let plan = vz::plan(&machine, &host()).map_err(|problems| told(&problems))?;
    write!(std::io::stderr(), "{plan}")?;
    run(&plan)
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n{problem}")).collect()
}

#[cfg(target_os = "macos")]
fn host() -> Host {
    Host::here(vz::Entitlements::of_this_program(), Vec::new())
}

#[cfg(target_os = "macos")]
fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    use vz::{Command, Notice, Session, StartOptions, State, Virtualization, sys};

    if !plan.helpers.is_empty() {
        return Err("this example has no helpers: leave out what needs them, see above".into());
    }
    let (signals, reports) = std::sync::mpsc::channel();
    let mut session = Session::new(sys::Mac.machine(plan, Vec::new(), signals)?);
    let mut notices = session.command(Command::Start(StartOptions::default()));
    loop {
        for notice in &notices {
            writeln!(std::io::stderr(), "{notice:?}\r")?;
            if let Notice::Ended(_) = notice {
                return Ok(());
            }
        }
        if session.state() == State::Stopped {
            return Ok(());
        }
        notices = session.signal(reports.recv()?);
    }
}

#[cfg(not(target_os = "macos"))]
fn host() -> Host {
    Host {
        macos: vz::Version::new(27, 0),
        apple_silicon: true,
        supported: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: vz::Entitlements { virtualization: true, networking: true },
        rosetta: vz::Rosetta::Installed,
        nested: true,
        bridged: vec!["en0".to_owned()],
        macos_guests: Vec::new(),
    }
}

#[cfg(not(target_os = "macos"))]
fn run(_plan: &Plan) -> Result<(), Box<dyn Error>> {
    Ok(())
}
