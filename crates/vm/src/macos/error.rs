//! Why there is no new macOS guest.

use std::io;
use std::path::PathBuf;

use config::Problem;

use crate::BundleError;

/// Why macOS was not installed. Nothing is left of the machine; what was downloaded is kept.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// This host runs no macOS guests.
    #[error("macOS guests need a Mac with Apple silicon: Apple's licence and framework have them nowhere else")]
    NoMac,
    /// It was given up.
    #[error("the installation was cancelled; nothing was made, and what was downloaded is kept")]
    Cancelled,
    /// The machine does not fit the Mac, or the restore image.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems {
        /// Why, by field.
        problems: Vec<Problem>,
    },
    /// The restore image did not come.
    #[error(transparent)]
    Fetch(fetch::Error),
    /// The restore image is none, or none for this Mac.
    #[error("{path}: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// The framework's reason.
        source: vz::Error,
    },
    /// Apple's framework refused something.
    #[error("Virtualization.framework: {0}")]
    Framework(#[from] vz::Error),
    /// The installation began and failed.
    #[error("macOS could not be installed: {0}")]
    Failed(String),
    /// The machine's folder, or one of its files.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The macOS guests that run cannot be counted.
    #[error("{path}: {source}")]
    Count {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl From<fetch::Error> for InstallError {
    fn from(error: fetch::Error) -> Self {
        match error {
            fetch::Error::Cancelled => Self::Cancelled,
            error => Self::Fetch(error),
        }
    }
}
