//! A listening unix socket that takes one client at a time.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;

use super::cancel::{Cancelled, Wait};
use super::pump::Place;

/// The socket. Its file goes with it.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Listens at `path`.
pub(super) fn listen(path: &Path) -> io::Result<Socket> {
    let socket = Socket { listener: bind(path)?, path: path.to_owned() };
    socket.listener.set_nonblocking(true)?;
    Ok(socket)
}

/// Makes a socket at `path` for this user alone. One that nobody listens at any more, as a process that was killed
/// leaves it, is replaced.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    // What listens there gives power over the guest.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn is_stale(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|m| m.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

impl Place for Socket {
    fn client(&mut self, cancelled: &Cancelled) -> Option<Arc<OwnedFd>> {
        loop {
            match cancelled.wait(&self.listener, PollFlags::IN, None).ok()? {
                Wait::Cancelled => return None,
                Wait::Ready(_) | Wait::TimedOut => {}
            }
            match self.listener.accept().and_then(|(client, _)| client.set_nonblocking(true).map(|()| client)) {
                Ok(client) => return Some(Arc::new(client.into())),
                // Out of descriptors, or the client is gone already.
                Err(_) if cancelled.sleep(Duration::from_millis(10)).ok()? => return None,
                Err(_) => {}
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever replaced it owns it now; there is nothing to do about an error.
        let _ = fs::remove_file(&self.path);
    }
}
