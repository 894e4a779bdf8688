//! Who has a machine: a lock that ends with its process, and the number of that process beside it.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
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

impl BundleLock {
    pub(super) fn take(name: &MachineName, folder: &Path) -> Result<Self, BundleError> {
        let path = folder.join(LOCK);
        let failed = |source| BundleError::file(&path, source);
        let mut file = open(&path).map_err(failed)?;
        for left in (0..TRIES).rev() {
            match file.try_lock() {
                Ok(()) => {
                    // Only words: who reads them while they are written says less.
                    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                    return Ok(Self(file));
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if left > 0 => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let holder = Holder { process: number(&mut file) };
        Err(BundleError::Locked { name: name.clone(), holder: holder.to_string() })
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

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)
}

fn number(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MAX_NUMBER).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
