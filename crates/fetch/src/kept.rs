//! What is kept of what was fetched: who uses a file keeps it from being removed, and who removes takes what nobody uses.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::part::{beside, is_at, open};

/// What is beside a file that is kept or is coming.
const BESIDE: [&str; 5] = [".part", ".part.json", ".part.json.new", LOCK, USE];
/// Locked by the one who fetches it.
const LOCK: &str = ".lock";
/// Locked by those who use it, which is another file, because they keep nobody from fetching.
const USE: &str = ".use";

/// A file that was fetched, or as much of it as has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where the file is, or is to be when it is whole.
    pub place: PathBuf,
    /// Bytes that it takes.
    pub length: u64,
    /// It is whole.
    pub whole: bool,
}

impl Kept {
    /// Whether somebody fetches or uses it.
    #[must_use]
    pub fn is_used(&self) -> bool {
        let is_locked = |lock: File| matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
        [LOCK, USE].iter().any(|lock| File::open(beside(&self.place, lock)).is_ok_and(is_locked))
    }

    /// Removes it, unless somebody fetches or uses it; whether it is gone.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<bool, Error> {
        let mut locks = Vec::new();
        for path in [LOCK, USE].map(|lock| beside(&self.place, lock)) {
            let lock = open(&path).map_err(Error::file(&path))?;
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(source)) => return Err(Error::file(&path)(source)),
                Ok(()) if is_at(&lock, &path).map_err(Error::file(&path))? => locks.push(lock),
                // Another removes it.
                Ok(()) => return Ok(false),
            }
        }
        // The locks last: until then nobody else can have one.
        for path in [self.place.clone()].into_iter().chain(BESIDE.iter().map(|more| beside(&self.place, more))) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path)(error)),
                _ => {}
            }
        }
        Ok(true)
    }
}

/// Keeps a file from being removed, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Use(#[expect(dead_code, reason = "the lock is the open file's")] File);

/// Uses the file at `place`, which others may use at the same time. Whether it is there is to be asked after this.
///
/// # Errors
/// Its lock cannot be made or taken.
pub fn keep(place: &Path) -> Result<Use, Error> {
    let path = beside(place, USE);
    let failed = Error::file(&path);
    loop {
        let lock = open(&path).map_err(&failed)?;
        lock.lock_shared().map_err(&failed)?;
        if is_at(&lock, &path).map_err(&failed)? {
            return Ok(Use(lock));
        }
    }
}

/// What is kept in `folder`, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn kept(folder: &Path) -> Result<Vec<Kept>, Error> {
    let failed = Error::file(folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(&failed)?,
    };
    let mut all: Vec<Kept> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        let Ok(metadata) = entry.metadata() else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let base = BESIDE.iter().find_map(|more| name.strip_suffix(more));
        let place = folder.join(base.unwrap_or(&name));
        let (length, whole) = (metadata.len(), base.is_none());
        match all.iter_mut().find(|known| known.place == place) {
            Some(known) => (known.length, known.whole) = (known.length + length, known.whole || whole),
            None => all.push(Kept { place, length, whole }),
        }
    }
    // Locks alone are nothing.
    all.retain(|kept| kept.whole || beside(&kept.place, ".part").exists());
    all.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(all)
}
