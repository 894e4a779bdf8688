//! A machine in the making.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, BundleLock, MachineName, files, hidden};

/// A machine that is not there yet: its folder has a name that begins with a dot. Dropped before it is finished, it
/// leaves nothing; what a killed process left of one is removed by [`Store::sweep`](super::Store::sweep).
#[derive(Debug)]
pub struct Draft {
    name: MachineName,
    folder: PathBuf,
    /// Where it is to be.
    place: PathBuf,
    finished: bool,
    /// Keeps another who makes the same machine away.
    _lock: BundleLock,
}

impl Draft {
    pub(super) fn begin(name: &MachineName, place: PathBuf) -> Result<Self, BundleError> {
        let folder = hidden::draft(&place, name);
        let failed = |source| BundleError::file(&folder, source);
        place.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        let ready = || match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(failed),
        };
        let lock = BundleLock::take(name, &folder, ready).map_err(|error| match error {
            BundleError::Locked { name, holder } => BundleError::Drafted { name, holder },
            error => error,
        })?;
        let draft = Self { name: name.clone(), folder, place, finished: false, _lock: lock };
        // Whoever had the lock before may have made it.
        if draft.place.exists() {
            return Err(BundleError::Exists(name.clone()));
        }
        hidden::empty(&draft.folder).map_err(|source| BundleError::file(&draft.folder, source))?;
        Ok(draft)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Its folder until it is finished. All that is made in it moves with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a small file of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, file: &str, contents: &[u8]) -> Result<(), BundleError> {
        let path = self.folder.join(file);
        files::write(&path, contents).map_err(|source| BundleError::file(&path, source))
    }

    /// It is whole with this description: it takes its place. Paths in the draft's folder are written relative.
    ///
    /// # Errors
    /// The description cannot be written, or a machine of this name has been made meanwhile.
    pub fn finish(mut self, machine: &config::Machine) -> Result<Bundle, BundleError> {
        files::write_configuration(&self.folder, machine)?;
        // Renaming onto a folder that has something in it fails.
        fs::rename(&self.folder, &self.place).map_err(|source| match self.place.exists() {
            true => BundleError::Exists(self.name.clone()),
            false => BundleError::file(&self.place, source),
        })?;
        self.finished = true;
        files::sync_folder(&self.place).map_err(|source| BundleError::file(&self.place, source))?;
        Ok(Bundle { name: self.name.clone(), folder: self.place.clone() })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed is not taken for a machine.
            let _ = hidden::remove(&self.folder, &self.name);
        }
    }
}
