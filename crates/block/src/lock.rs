//! The advisory lock on an image: many readers or one writer, dropped by the system when the process ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::{Error, sys};

/// How often a lock that someone has is tried again, and after what time. A process that is being made by `fork`, in
/// any thread, has all our locks until its `exec`, also those that we have given up; one that is killed has its own
/// for a moment.
const RETRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock (`flock`), which lives as long as `file` is open. A file system without locks is used without one.
pub(crate) fn lock(file: &File, path: &Path, exclusive: bool) -> Result<(), Error> {
    let attempt = || if exclusive { file.try_lock() } else { file.try_lock_shared() };
    let mut taken = attempt();
    for _ in 0..RETRIES {
        if !matches!(taken, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(PAUSE);
        taken = attempt();
    }
    match taken {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Locked { path: path.into(), holders: sys::lock_holders(file).unwrap_or_default() })
        }
        Err(TryLockError::Error(e)) if without_locks(&e) => {
            tracing::warn!(path = %path.display(), "no locks on this file system: keep others away from this disk");
            Ok(())
        }
        Err(TryLockError::Error(source)) => Err(Error::Open { path: path.into(), source }),
    }
}

fn without_locks(e: &io::Error) -> bool {
    let none = [rustix::io::Errno::NOLCK, rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::NOSYS];
    e.raw_os_error().is_some_and(|code| none.iter().any(|n| n.raw_os_error() == code))
}
