//! Where machines are kept.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, CONFIGURATION, Draft, MachineName, files, hidden, sys};

/// The folder of all machines of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The user's: `machines` in `$RUSSET_HOME`, else in `russet` where the system keeps a program's data
    /// (`$XDG_DATA_HOME` or `~/.local/share`, on a Mac `~/Library/Application Support`).
    ///
    /// # Errors
    /// There is no home folder.
    pub fn of_user() -> Result<Self, BundleError> {
        Ok(Self::in_folder(&user_root()?))
    }

    /// The one of another root.
    #[must_use]
    pub fn in_folder(root: &Path) -> Self {
        Self { folder: root.join("machines") }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All machines, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Bundle>, BundleError> {
        let names = self.names()?;
        let names = names.iter().filter_map(|name| name.parse().ok());
        let mut bundles: Vec<Bundle> = names.filter_map(|name| self.find(&name)).collect();
        bundles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(bundles)
    }

    /// Removes what processes that were killed have left of machines which they were making or deleting. What cannot be
    /// removed stays, and is no machine.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sweep(&self) -> Result<(), BundleError> {
        for (file, name) in self.names()?.iter().filter_map(|file| Some((file, hidden::of(file)?))) {
            let folder = self.folder.join(file);
            if let Err(error) = hidden::sweep(&folder, &name) {
                tracing::warn!(%error, folder = %folder.display(), "what is left of a machine cannot be removed");
            }
        }
        Ok(())
    }

    /// The names in the folder, as far as they are text.
    fn names(&self) -> Result<Vec<String>, BundleError> {
        let failed = |source| BundleError::file(&self.folder, source);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// The machine of this name, if there is one.
    #[must_use]
    pub fn find(&self, name: &MachineName) -> Option<Bundle> {
        let folder = self.folder.join(name.as_str());
        folder.join(CONFIGURATION).is_file().then(|| Bundle { name: name.clone(), folder })
    }

    /// The machine of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn open(&self, name: &MachineName) -> Result<Bundle, BundleError> {
        self.find(name).ok_or_else(|| BundleError::Missing(name.clone()))
    }

    /// Begins to make a machine, and [sweeps](Self::sweep).
    ///
    /// # Errors
    /// There is one of this name, or somebody is making it, or the folder cannot be made.
    pub fn draft(&self, name: &MachineName) -> Result<Draft, BundleError> {
        self.sweep()?;
        let place = self.folder.join(name.as_str());
        match place.exists() {
            true => Err(BundleError::Exists(name.clone())),
            false => Draft::begin(name, place),
        }
    }

    /// Gives a machine that does not run another name.
    ///
    /// # Errors
    /// It runs, or there is one of the new name.
    pub fn rename(&self, bundle: &Bundle, name: &MachineName) -> Result<Bundle, BundleError> {
        // Nobody else makes one of the new name meanwhile.
        let _draft = self.draft(name)?;
        let _lock = bundle.lock()?;
        let folder = self.folder.join(name.as_str());
        fs::rename(&bundle.folder, &folder).map_err(|source| BundleError::file(&folder, source))?;
        files::sync_folder(&folder).map_err(|source| BundleError::file(&folder, source))?;
        Ok(Bundle { name: name.clone(), folder })
    }

    /// Deletes a machine that does not run, with all files in its folder.
    ///
    /// # Errors
    /// It runs, or a file cannot be removed; the machine is gone then, too.
    pub fn delete(&self, bundle: &Bundle) -> Result<(), BundleError> {
        let _lock = bundle.lock()?;
        hidden::remove(&bundle.folder, &bundle.name).map_err(|source| BundleError::file(&bundle.folder, source))
    }
}

/// The folder of all that Russet keeps for the user.
pub(crate) fn user_root() -> Result<PathBuf, BundleError> {
    if let Some(own) = env::var_os("RUSSET_HOME").filter(|own| !own.is_empty()) {
        return std::path::absolute(&own).map_err(|source| BundleError::file(Path::new(&own), source));
    }
    // A relative one is not valid (XDG Base Directory Specification).
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = env::home_dir().filter(|home| home.is_absolute());
    let data = match sys::HAS_LIBRARY_FOLDER {
        true => home.map(|home| home.join("Library/Application Support")),
        false => variable("XDG_DATA_HOME").or_else(|| home.map(|home| home.join(".local/share"))),
    };
    data.map(|data| data.join("russet")).ok_or(BundleError::NoHome)
}
