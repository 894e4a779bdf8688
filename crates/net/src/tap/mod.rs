//! Networks through a tap: the host's own interface, alone or in a bridge with others. Linux only.

mod sys;

use std::io;
use std::os::fd::OwnedFd;

pub use sys::inherited;

use crate::wire::Pump;

/// Longest name of an interface: `IFNAMSIZ` less the zero byte.
const MAX_NAME: usize = 15;

/// Why there is no tap.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The name of an interface that cannot be one.
    #[error("`{0}` cannot be the name of an interface: give 1 to 15 bytes without `/` and spaces")]
    Name(String),
    /// We may not make or use it.
    #[error(
        "no right to use the tap `{0}`. Make one for yourself, once, with:\n  \
         sudo ip tuntap add dev {0} mode tap user \"$USER\"\n  sudo ip link set {0} up"
    )]
    Forbidden(String),
    /// We may not make a tap for a bridge.
    #[error(
        "making a tap in the bridge `{0}` needs the right CAP_NET_ADMIN. Make one for yourself, once, and give \
         `tap=tap0`:\n  sudo ip tuntap add dev tap0 mode tap user \"$USER\"\n  sudo ip link set tap0 master {0} up"
    )]
    BridgeForbidden(String),
    /// The interface is in no bridge.
    #[error(
        "`{0}` is neither a bridge nor in one, and a bridge takes over the addresses of what is put into it, so we do \
         not make one unasked. Make one with:\n  sudo ip link add br0 type bridge\n  sudo ip link set {0} master br0\n\
         then give br0 its address and use `bridged=br0`"
    )]
    NoBridge(String),
    /// There is no such interface.
    #[error("there is no interface `{0}`: `ip link` lists those of this host")]
    Missing(String),
    /// The descriptor is no tap.
    #[error("the descriptor is not a tap: open /dev/net/tun and set it up with IFF_TAP, or give `fd=` for a socket")]
    NotATap,
    /// This host has no taps.
    #[error("taps are there on Linux only: use `nat`, or a socket")]
    Unsupported,
    /// The host refused something else.
    #[error("{what}: {source}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

fn name(name: &str) -> Result<&str, TapError> {
    let right = (1..=MAX_NAME).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.bytes().any(|b| b == b'/' || b == b'%' || b == 0 || b.is_ascii_whitespace());
    right.then_some(name).ok_or_else(|| TapError::Name(name.to_owned()))
}

/// The tap `interface`. One that is not there is made, with the right CAP_NET_ADMIN, and is gone with the network.
pub fn open(interface: &str) -> Result<Pump, TapError> {
    sys::open(name(interface)?)
}

/// A tap that is open already.
pub fn opened(tap: OwnedFd) -> Result<Pump, TapError> {
    sys::opened(tap)
}

/// A new tap in the bridge `interface`, or in that which `interface` is in. Needs CAP_NET_ADMIN.
pub fn bridged(interface: &str) -> Result<Pump, TapError> {
    sys::bridged(name(interface)?)
}
