//! Waiting for file descriptors, in a way that can be called off.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// Calls off all waits of its [`Cancelled`]s when it is dropped.
pub(crate) struct Cancel(#[expect(dead_code, reason = "it acts by being dropped")] OwnedFd);

/// Hears of it.
#[derive(Clone)]
pub(crate) struct Cancelled(Arc<OwnedFd>);

/// How a wait ended.
pub(crate) enum Wait {
    /// The descriptor has these conditions.
    Ready(PollFlags),
    /// The time is over.
    TimedOut,
    /// It was called off.
    Cancelled,
}

/// A canceller and what hears of it.
pub(crate) fn cancel() -> io::Result<(Cancel, Cancelled)> {
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    for end in [&a, &b] {
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((Cancel(a), Cancelled(Arc::new(b))))
}

impl Cancelled {
    /// Waits for `wanted` or an error or hang-up of `fd`.
    pub(crate) fn wait(&self, fd: impl AsFd, wanted: PollFlags, limit: Option<Duration>) -> io::Result<Wait> {
        self.wait_any(Some((fd.as_fd(), wanted)), limit)
    }

    /// Waits for the time to pass; `true` when it was called off.
    pub(crate) fn sleep(&self, time: Duration) -> io::Result<bool> {
        Ok(matches!(self.wait_any(None, Some(time))?, Wait::Cancelled))
    }

    fn wait_any(&self, fd: Option<(BorrowedFd<'_>, PollFlags)>, limit: Option<Duration>) -> io::Result<Wait> {
        let limit = limit.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        let mut fds = vec![PollFd::new(&self.0, PollFlags::IN)];
        fds.extend(fd.as_ref().map(|(fd, wanted)| PollFd::new(fd, *wanted)));
        loop {
            match poll(&mut fds, limit.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(Wait::TimedOut),
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Wait::Cancelled),
                Ok(_) => return Ok(Wait::Ready(fds[1].revents())),
            }
        }
    }
}
