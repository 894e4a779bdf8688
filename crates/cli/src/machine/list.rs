//! `russet list`: each machine as it runs, or as it is described where it does not.

use std::path::Path;

use ::config::{BootLoader, Machine};
use serde::Serialize;
use serde_json::json;
use vm::Bundle;

use super::{failed, store};
use crate::control::{Answer, Request, ask};
use crate::failure::Failure;
use crate::say::print;

/// A machine as programs see it.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    path: std::path::PathBuf,
    /// `running`, `paused`, `suspended`, `stopped`, or what is between them; `in use` by who does not tell.
    state: String,
    /// The process that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(flatten)]
    machine: Option<Facts>,
    /// What is wrong with its description.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Facts {
    engine: &'static str,
    cpus: u32,
    /// MiB.
    memory: u64,
    disks: usize,
    boot: &'static str,
}

pub(crate) fn execute(json: bool) -> Result<(), Failure> {
    let store = store()?;
    store.sweep().map_err(failed)?;
    let entries: Vec<Entry> = store.list().map_err(failed)?.iter().map(entry).collect();
    if json {
        print(&json!(entries).to_string());
        return Ok(());
    }
    if entries.is_empty() {
        print(&format!("no machines in {}: russet create makes one", store.folder().display()));
        return Ok(());
    }
    let told = |entry: &Entry| entry.pid.map_or_else(|| entry.state.clone(), |pid| format!("{} ({pid})", entry.state));
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default().max("NAME".len());
    let wide = entries.iter().map(|entry| told(entry).len()).max().unwrap_or_default().max("STATE".len());
    print(&format!("{:width$}  {:wide$}  ENGINE  CPUS  MEMORY     BOOT   DISKS", "NAME", "STATE"));
    for entry in &entries {
        let Entry { name, machine, error, .. } = entry;
        let rest = match machine {
            Some(Facts { engine, cpus, memory, disks, boot }) => {
                format!("{engine:6}  {cpus:<4}  {:9}  {boot:5}  {disks}", format!("{memory} MiB"))
            }
            None => error.clone().unwrap_or_default(),
        };
        print(&format!("{name:width$}  {:wide$}  {rest}", told(entry)));
    }
    Ok(())
}

fn entry(bundle: &Bundle) -> Entry {
    let holder = bundle.holder();
    let running = holder.as_ref().and_then(|_| running(bundle));
    let (machine, error) = match running.map_or_else(|| bundle.read(), Ok) {
        Ok(machine) => (Some(facts(&machine)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Entry {
        name: bundle.name().to_string(),
        path: bundle.folder().to_owned(),
        state: match holder {
            Some(_) => state(bundle).unwrap_or_else(|| "in use".to_owned()),
            None if bundle.is_suspended() => "suspended".to_owned(),
            None => "stopped".to_owned(),
        },
        pid: holder.and_then(|holder| holder.process),
        machine,
        error,
    }
}

/// The state that a machine which somebody runs tells, if it tells one.
fn state(bundle: &Bundle) -> Option<String> {
    match ask(Path::new(bundle.name().as_str()), &Request::State {}) {
        Ok(Answer::State(state)) => Some(state),
        _ => None,
    }
}

/// What a machine that somebody runs was started as, if it tells. The description may have been changed since.
fn running(bundle: &Bundle) -> Option<Machine> {
    match ask(Path::new(bundle.name().as_str()), &Request::Machine {}) {
        Ok(Answer::Machine(machine)) => Some(*machine),
        _ => None,
    }
}

fn facts(machine: &Machine) -> Facts {
    Facts {
        engine: machine.engine.unwrap_or_else(vm::default_engine).name(),
        cpus: machine.cpus,
        memory: machine.memory,
        disks: machine.storage.len(),
        boot: match machine.bootloader {
            BootLoader::Linux(_) => "linux",
            BootLoader::Efi(_) => "efi",
            BootLoader::Macos(_) => "macos",
        },
    }
}
