//! Joining a shared network by its name, or opening it: whoever has the lock has the switch.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Hub;
use crate::Backend;
use crate::socket::Stream;
use crate::socket::framing::Headers;
use crate::wire::{Connector, Pump, Wire};

/// Between two tries to join, while another machine opens the switch.
const RETRY: Duration = Duration::from_millis(20);
/// Longest name of a network: what is left of a socket's path for any folder that is usual.
const MAX_NAME: usize = 32;

/// What the switch has at its uplink (a router), made by whoever opens it: with the path of a file beside the switch's
/// socket, by which it can tell the next one what that has to know.
pub type Uplink = Arc<dyn Fn(PathBuf) -> io::Result<Box<dyn Backend>> + Send + Sync>;

/// The name of a shared network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a text cannot be the name of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be the name of a network: give 1 to 32 of letters, digits, `-`, `_` and `.`, not `.` first")]
pub struct NameError(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let right = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.');
        right.then(|| Self(text.to_owned())).ok_or_else(|| NameError(text.to_owned()))
    }
}

/// Where the shared networks of this user are, unless somebody wants them elsewhere.
#[must_use]
pub fn default_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("russet-networks"),
        None => std::env::temp_dir().join(format!("russet-networks-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Joins the network `name`, whose socket and lock are in `folder`, and opens it when nobody has: with `uplink` at a
/// port of its own. The folder is made if it is missing; it has to belong to us alone, for who can write it can read all
/// frames. `mtu`: the largest IP packet, in bytes.
pub fn join(folder: &Path, name: &Name, uplink: Option<Uplink>, mtu: u16) -> io::Result<Pump> {
    own_folder(folder)?;
    let file = |end: &str| folder.join(format!("{}.{end}", name.0));
    let member = Member { socket: file("sock"), lock: file("lock"), ledger: file("leases"), uplink, switch: None };
    Pump::new(Box::new(member), mtu, false)
}

fn own_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        let what = format!("{} can be written by others: make it yours with mode 700", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

/// A machine's way to the network, and the switch if it is this one that has it.
struct Member {
    socket: PathBuf,
    lock: PathBuf,
    ledger: PathBuf,
    uplink: Option<Uplink>,
    switch: Option<Opened>,
}

/// The switch with its lock. The fields go in this order: the lock last.
struct Opened {
    _hub: Hub,
    _socket: Removed,
    _lock: File,
}

/// A file that is removed at the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Member {
    /// Opens the switch, unless another machine has it or is about to.
    fn open(&mut self) -> io::Result<()> {
        // Opened anew each time: a switch that has failed gives its lock back by this.
        self.switch = None;
        let lock = File::options().create(true).truncate(false).write(true).open(&self.lock)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(()),
            other => other?,
        }
        // Left by a process that was killed: nobody else binds it without the lock.
        match fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&self.socket)?;
        let socket = Removed(self.socket.clone());
        let uplink = self.uplink.as_ref().map(|make| make(self.ledger.clone())).transpose()?;
        let hub = Hub::start(listener, uplink)?;
        self.switch = Some(Opened { _hub: hub, _socket: socket, _lock: lock });
        Ok(())
    }

    fn join(&self) -> io::Result<Option<Box<dyn Wire>>> {
        match UnixStream::connect(&self.socket) {
            Ok(socket) => Ok(Some(Box::new(Stream::new(socket.into(), Headers::Vnet)?))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Connector for Member {
    fn connect(&mut self) -> io::Result<Option<Box<dyn Wire>>> {
        if let Some(wire) = self.join()? {
            return Ok(Some(wire));
        }
        self.open()?;
        self.join()
    }

    fn retry(&self) -> Option<Duration> {
        Some(RETRY)
    }
}
