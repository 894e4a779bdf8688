//! What can go wrong with machines that are kept.

use std::io;
use std::path::{Path, PathBuf};

use config::Problem;

use super::MachineName;

/// Why a machine could not be made, found, read, taken or changed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No machine can be called so.
    #[error(
        "`{0}` cannot be the name of a machine: use 1 to 63 letters, digits, `-`, `_` and `.`, not `.` or `-` first"
    )]
    Name(String),
    /// There is no home folder.
    #[error("there is no folder for machines, because HOME is not set: set it, or RUSSET_HOME")]
    NoHome,
    /// There is no such machine.
    #[error("there is no machine `{0}`: `russet list` says which there are")]
    Missing(MachineName),
    /// There is one already.
    #[error("there is a machine `{0}` already: choose another name, or delete it first")]
    Exists(MachineName),
    /// Somebody has it.
    #[error("the machine `{name}` is in use by {holder}")]
    Locked {
        /// The machine.
        name: MachineName,
        /// `process 123`.
        holder: String,
    },
    /// Somebody is making it.
    #[error("the machine `{name}` is being made by {holder}: choose another name, or wait for it")]
    Drafted {
        /// The machine.
        name: MachineName,
        /// `process 123`.
        holder: String,
    },
    /// Its description is wrong.
    #[error("{}: {}", path.display(), list(problems))]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// A disk cannot be copied in the way that was asked for.
    #[error("{}: {why}: choose another way to clone", file.display())]
    Clone {
        /// Its file.
        file: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// A disk could not be read or made.
    #[error(transparent)]
    Disk(#[from] block::Error),
    /// A file or folder could not be read, made or changed.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl BundleError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
