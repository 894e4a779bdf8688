//! What can keep a virtual machine from being made or acted on.

use std::io;
use std::path::PathBuf;

use crate::{DiskName, State};

/// Why a virtual machine could not be made, or would not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration asks for what this library cannot do. `config`'s `validate()` finds this before.
    #[error("{field}: {what}")]
    Unsupported {
        /// The field, such as `storage[0].kind`.
        field: String,
        /// What it is that cannot be done.
        what: String,
    },
    /// A file could not be opened.
    #[error("{field}: {path}: {source}")]
    File {
        /// The field that names it.
        field: String,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not the kernel that it is said to be.
    #[error("{field}: {source}")]
    Kernel {
        /// The field that names it.
        field: String,
        /// What is wrong with it.
        source: machine::loader::LoadError,
    },
    /// A disk could not be opened.
    #[error("{field}: {source}")]
    Disk {
        /// The field.
        field: String,
        /// Why.
        source: block::Error,
    },
    /// The host did not give something else.
    #[error("{field}: {what}: {source}")]
    Host {
        /// The field.
        field: String,
        /// What was asked of the host.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// This Mac or its framework cannot run the machine.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan {
        /// Why, by field.
        problems: Vec<config::Problem>,
    },
    /// Apple's framework refused something.
    #[error("Virtualization.framework: {0}")]
    Framework(String),
    /// The machine's state could not be restored, were it saved.
    #[error("the machine's state cannot be saved: {0}")]
    Unsavable(String),
    /// The machine's engine cannot do it.
    #[error("the engine `{engine}` cannot {what} yet")]
    Engine {
        /// The engine.
        engine: config::Engine,
        /// `pause a machine`.
        what: &'static str,
    },
    /// A port is not published, or not taken back.
    #[error("{0}")]
    Publish(String),
    /// A disk did not go into a slot or out of it.
    #[error(transparent)]
    HotPlug(#[from] machine::HotPlugError),
    /// There is no such disk.
    #[error("the machine has no disk `{0}`")]
    NoSuchDisk(DiskName),
    /// A disk of the configuration cannot be taken out.
    #[error("`{0}` is of the machine's configuration: only disks that were attached while it ran can be detached")]
    StaysIn(DiskName),
    /// Not now.
    #[error("the machine cannot be {wish} while it is {state}")]
    WrongState {
        /// `started`, `asked to stop`.
        wish: &'static str,
        /// The state that it is in.
        state: State,
    },
    /// The guest has no driver for the power button, or none yet, and its kernel's console is not ours either.
    #[error("the guest does not listen to its power button: stop it from inside, or stop the machine hard")]
    NobodyListens,
}

impl Error {
    pub(crate) fn plan(problem: config::Problem) -> Self {
        Self::Plan { problems: vec![problem] }
    }

    pub(crate) fn unsupported(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unsupported { field: field.into(), what: what.into() }
    }
}
