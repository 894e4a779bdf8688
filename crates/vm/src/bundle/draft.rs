//! A machine in the making.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, BundleLock, MachineName, files};

/// A machine that is not there yet: its folder has a name that begins with a dot. Dropped before it is finished, it
/// leaves nothing; what a killed process left of one is removed when the next begins.
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
        let folder = place.with_file_name(format!(".{name}.part"));
        let failed = |source| BundleError::file(&folder, source);
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = BundleLock::take(name, &folder)?;
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != super::LOCK {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(Self { name: name.clone(), folder, place, finished: false, _lock: lock })
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
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
