//! Descriptors that the process was started with.

#![allow(unsafe_code, reason = "a number is no proof that a descriptor is open")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A copy of descriptor `number`, which whoever started the process has left open for us; it is closed on exec. The
/// original stays as it is. An error when nothing is open by that number.
pub fn inherited(number: u32) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: not -1, since it comes from an unsigned number. It is borrowed for this one system call, which fails with
    // EBADF when nothing is open, and a descriptor that is open for another purpose is only duplicated, not used.
    let original = unsafe { BorrowedFd::borrow_raw(number) };
    original.try_clone_to_owned()
}
