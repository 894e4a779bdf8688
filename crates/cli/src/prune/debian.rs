//! Debian's guests in the cache, a folder for each suite; `debian::cache` has what is in them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

/// Held while a folder is worked in.
const LOCK: &str = "lock";
/// What is being made or removed in it: a guest that is only half there must not be taken for one.
const UNFINISHED: &str = "unfinished";

/// Whether somebody works in the folder.
pub(super) fn is_used(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Removes all that is in the folder, unless somebody works in it; whether it is gone. Its lock stays, because another may
/// be about to take it.
pub(super) fn remove(folder: &Path) -> io::Result<bool> {
    let lock = File::create(folder.join(LOCK))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        taken => taken?,
    }
    let doomed = folder.join(UNFINISHED);
    if doomed.exists() {
        fs::remove_dir_all(&doomed)?;
    }
    for entry in fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()? {
        if entry.file_type()?.is_dir() {
            fs::rename(entry.path(), &doomed).and_then(|()| fs::remove_dir_all(&doomed))?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_removed_when_nobody_works_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        for folder in ["apt/lists", "guest-1", "unfinished/half"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("guest-1/Image"), "kernel").unwrap();
        fs::write(dir.path().join("chosen"), "").unwrap();
        let lock = File::create(dir.path().join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert!(is_used(dir.path()) && !remove(dir.path()).unwrap());
        assert_eq!(count(), 5);
        drop(lock);
        assert!(!is_used(dir.path()) && remove(dir.path()).unwrap());
        assert_eq!(count(), 1, "the lock");
    }
}
