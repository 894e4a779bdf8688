//! Machines that are kept: a folder for each, under a root that is theirs.
//!
//! In the folder of a machine are `machine.toml`, whose relative paths lead to files beside it, and those files: disks,
//! variables of firmware, the identity of a macOS guest. State is derived, not stored: a machine runs while somebody
//! holds the lock on its file `lock`, which the system takes from a process that ends in whatever way.
//!
//! What is made or taken away in several steps has a name that begins with a dot until it is whole, or from when it no
//! longer is.

mod clone;
mod draft;
mod error;
mod files;
mod hidden;
mod lock;
mod name;
mod overlay;
mod own_disk;
mod store;
mod sys;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use clone::{CloneDraft, CloneMode, CloneProgress};
pub use draft::Draft;
pub use error::BundleError;
pub use lock::{BundleLock, Holder};
pub use name::MachineName;
pub use store::Store;

pub(crate) use store::user_root;

/// The description, in the folder of a machine.
const CONFIGURATION: &str = "machine.toml";
/// Locked while the machine runs.
const LOCK: &str = "lock";
/// Where the machine listens for other commands while it runs.
const CONTROL: &str = "control.sock";
/// The identity of a machine that was made without one.
const MACHINE_IDENTIFIER: &str = "MachineIdentifier";
/// The state of a machine that is suspended.
const SAVED_STATE: &str = "SavedState";
/// Longest description that is read, in bytes.
const MAX_CONFIGURATION: u64 = 1 << 20;

/// A machine that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    name: MachineName,
    folder: PathBuf,
}

impl Bundle {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file with its description.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.join(CONFIGURATION)
    }

    /// Its control socket, while it runs.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.join(CONTROL)
    }

    /// Where its state is while it is suspended.
    #[must_use]
    pub fn saved_state(&self) -> PathBuf {
        self.folder.join(SAVED_STATE)
    }

    /// Whether its state is saved, from which it goes on when it is run. The file is there as a whole or not at all.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.saved_state().is_file()
    }

    /// Reads its description, with relative paths made paths into its folder.
    ///
    /// # Errors
    /// It cannot be read, and everything that is wrong in it.
    pub fn read(&self) -> Result<config::Machine, BundleError> {
        let path = self.configuration();
        let text = files::read(&path, MAX_CONFIGURATION).map_err(|source| BundleError::file(&path, source))?;
        let mut machine = config::Machine::from_toml(&text)
            .map_err(|problems| BundleError::Configuration { path: path.clone(), problems })?;
        machine.map_paths(|path| self.folder.join(path));
        Ok(machine)
    }

    /// Writes its description, with paths into its folder made relative. At every moment the old or the new one is
    /// there as a whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, machine: &config::Machine) -> Result<(), BundleError> {
        files::write_configuration(&self.folder, machine)
    }

    /// Gives a machine that is not macOS an identity that stays, where it has none; whether it did. A machine that is
    /// interrupted on the way has none yet.
    ///
    /// # Errors
    /// Its description cannot be read or written.
    pub fn identify(&self, _: &BundleLock, identity: &[u8]) -> Result<bool, BundleError> {
        let mut machine = self.read()?;
        let config::Platform::Generic(generic) = &mut machine.platform else { return Ok(false) };
        if generic.machine_identifier.is_some() {
            return Ok(false);
        }
        let path = self.folder.join(MACHINE_IDENTIFIER);
        files::write(&path, identity).map_err(|source| BundleError::file(&path, source))?;
        generic.machine_identifier = Some(path);
        self.write(&machine).map(|()| true)
    }

    /// Takes the machine for this process: it is about to run or to be changed as a whole. What a killed process has left
    /// of a clone is removed.
    ///
    /// # Errors
    /// Somebody has it; the error says who.
    pub fn lock(&self) -> Result<BundleLock, BundleError> {
        let ready = || match self.folder.is_dir() {
            true => Ok(()),
            false => Err(BundleError::Missing(self.name.clone())),
        };
        let lock = BundleLock::take(&self.name, &self.folder, ready)?;
        if let Err(error) = overlay::sweep(self) {
            tracing::warn!(%error, machine = %self.name, "what is left of a clone cannot be removed");
        }
        Ok(lock)
    }

    /// The process that has it, if one has.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        lock::holder(&self.folder)
    }

    /// The files beside its description that a copy of it needs, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let own = [CONFIGURATION, LOCK].iter().any(|own| entry.file_name() == *own);
            if !own && entry.file_type()?.is_file() {
                files.push(PathBuf::from(entry.file_name()));
            }
        }
        files.sort();
        Ok(files)
    }
}
