//! vsock: stream sockets between host and guest.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A vsock port, bound to a unix socket of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Vsock {
    /// The port.
    pub port: u32,
    /// The unix socket of the host.
    pub socket: PathBuf,
    /// Who connects.
    pub direction: VsockDirection,
}

/// Which way connections are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VsockDirection {
    /// The guest connects to the port; the host listens and passes each connection on to its unix socket.
    Listen,
    /// Programs of the host connect to the unix socket and reach what listens in the guest.
    Connect,
}

/// The keys of `[[vsock]]` and `--device virtio-vsock`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    port: u32,
    #[serde(alias = "socket")]
    socket_url: PathBuf,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    listen: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    connect: bool,
}

impl TryFrom<Keys> for Vsock {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let direction = match (keys.listen, keys.connect) {
            (true, true) => return Err("`listen` and `connect` exclude each other: keep one of them".to_owned()),
            (false, true) => VsockDirection::Connect,
            (_, false) => VsockDirection::Listen,
        };
        Ok(Vsock { port: keys.port, socket: keys.socket_url, direction })
    }
}

impl From<Vsock> for Keys {
    fn from(vsock: Vsock) -> Self {
        Keys {
            port: vsock.port,
            socket_url: vsock.socket,
            listen: false,
            connect: vsock.direction == VsockDirection::Connect,
        }
    }
}
