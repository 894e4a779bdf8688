//! Who has a machine: a lock that ends with its process, and the number of that process beside it.
//!
//! Whoever moves or removes a folder has its lock, and the lock's file is the first in it and the last out of it. So one
//! who has waited for a lock may have that of a folder which is elsewhere by now: it counts only where it still is.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{BundleError, LOCK, MachineName};

/// How often a lock that somebody has is tried again, and after what time: a process that is being made by `fork` has
/// all our locks until its `exec`, also those that we have given up.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// Digits of a process's number, and more.
const MAX_NUMBER: u64 = 32;

/// A machine is this process's own until this is dropped, or the process ends.
#[derive(Debug)]
pub struct BundleLock(#[expect(dead_code, reason = "the lock is the open file's")] File);

/// What became of an attempt to lock a folder.
pub(super) enum Attempt {
    /// It is ours.
    Ours(BundleLock),
    /// Somebody has it.
    Taken(Holder),
    /// It is gone, or another one has its place.
    Moved,
}

impl BundleLock {
    /// Takes the machine `name`, whose folder `ready` has there before each attempt.
    pub(super) fn take(
        name: &MachineName,
        folder: &Path,
        ready: impl Fn() -> Result<(), BundleError>,
    ) -> Result<Self, BundleError> {
        let mut holder = Holder { process: None };
        for _ in 0..TRIES {
            ready()?;
            match Self::attempt(folder, true).map_err(|source| BundleError::file(folder, source))? {
                Attempt::Ours(lock) => return Ok(lock),
                Attempt::Taken(now) => holder = now,
                Attempt::Moved => {}
            }
            thread::sleep(PAUSE);
        }
        Err(BundleError::Locked { name: name.clone(), holder: holder.to_string() })
    }

    /// Tries once to lock `folder`. The lock's file is made where it is missing, if `make` says so.
    pub(super) fn attempt(folder: &Path, make: bool) -> io::Result<Attempt> {
        let path = folder.join(LOCK);
        match OpenOptions::new().create(make).read(true).write(true).truncate(false).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attempt::Moved),
            file => Self::claim(file?, &path),
        }
    }

    /// Tries once to lock what was opened at `path`.
    fn claim(mut file: File, path: &Path) -> io::Result<Attempt> {
        match file.try_lock() {
            Ok(()) if is_at(&file, path)? => {
                // Only words: who reads them while they are written says less.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Attempt::Ours(Self(file)))
            }
            Ok(()) => Ok(Attempt::Moved),
            Err(TryLockError::WouldBlock) => Ok(Attempt::Taken(Holder { process: number(&mut file) })),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Who has a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process's number, where it has said it already.
    pub process: Option<u32>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("another process"),
        }
    }
}

/// Who has the machine in `folder`.
pub(super) fn holder(folder: &Path) -> Option<Holder> {
    // To look is not to take: a shared lock does not keep another one who looks away.
    let mut file = File::open(folder.join(LOCK)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Holder { process: number(&mut file) }),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Whether `file` is what is at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match path.metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MAX_NUMBER).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_lock_of_a_folder_that_was_moved_or_replaced_meanwhile_is_none() {
        let root = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (root.path().join("one"), root.path().join("two"));
        let path = folder.join(LOCK);
        let opened = || {
            fs::create_dir_all(&folder).unwrap();
            File::create(&path).unwrap()
        };
        assert!(matches!(BundleLock::claim(opened(), &path), Ok(Attempt::Ours(_))));
        let moved = opened();
        fs::rename(&folder, &elsewhere).unwrap();
        assert!(matches!(BundleLock::claim(moved, &path), Ok(Attempt::Moved)));
        let replaced = opened();
        fs::remove_dir_all(&elsewhere).unwrap();
        fs::rename(&folder, &elsewhere).unwrap();
        let now = opened();
        assert!(matches!(BundleLock::claim(replaced, &path), Ok(Attempt::Moved)));
        assert!(matches!(BundleLock::claim(now, &path), Ok(Attempt::Ours(_))));
        assert!(matches!(BundleLock::attempt(&root.path().join("three"), true), Ok(Attempt::Moved)));
    }
}
