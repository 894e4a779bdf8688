//! A listening unix socket that takes one client at a time.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
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
    let socket = Socket { listener: private_listener(path)?, path: path.to_owned() };
    socket.listener.set_nonblocking(true)?;
    Ok(socket)
}

/// Listens at `path`, for this user alone. A socket there that nobody listens at any more, as a process that was killed
/// leaves it, is replaced; what is no socket is left as it is.
///
/// # Errors
/// Somebody listens there, there is something else, and the system's reason.
pub fn private_listener(path: &Path) -> io::Result<UnixListener> {
    let listener = net::socket::bind(path)?;
    // What listens there gives power over the guest.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
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
