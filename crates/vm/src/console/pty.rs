//! A pseudo-terminal whose clients come and go.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::cancel::{Cancelled, Wait};
use super::pump::Place;

/// How often a pseudo-terminal without a client is looked at: the system tells when the last one goes, but not when
/// the next one comes.
const LOOK: Duration = Duration::from_millis(100);

/// The side of the pseudo-terminal that is ours.
pub(super) struct Pty(Arc<OwnedFd>);

/// Opens a new pseudo-terminal, raw, and says where clients find it.
pub(super) fn open() -> io::Result<(Pty, PathBuf)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    // The guest echoes and edits lines itself. The settings stay as long as our side is open; closing the client's
    // side once makes the system tell when nobody has it open.
    let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&theirs)?;
    settings.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &settings)?;
    drop(theirs);
    rustix::fs::fcntl_setfl(&ours, rustix::fs::fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    Ok((Pty(Arc::new(ours)), PathBuf::from(OsString::from_vec(name.into_bytes()))))
}

impl Place for Pty {
    fn client(&mut self, cancelled: &Cancelled) -> Option<Arc<OwnedFd>> {
        loop {
            match cancelled.wait(&*self.0, PollFlags::OUT, Some(LOOK)).ok()? {
                Wait::Cancelled => return None,
                Wait::Ready(flags) if !flags.contains(PollFlags::HUP) => return Some(self.0.clone()),
                Wait::Ready(_) if cancelled.sleep(LOOK).ok()? => return None,
                Wait::Ready(_) | Wait::TimedOut => {}
            }
        }
    }
}
