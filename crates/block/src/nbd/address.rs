//! Where a server listens.

use std::fmt;
use std::path::PathBuf;

/// The port that IANA gave to NBD.
pub const DEFAULT_PORT: u16 = 10809;

/// The place of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or number, and a port.
    Tcp {
        /// The host, without the brackets of an IPv6 address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix domain socket.
    Unix(PathBuf),
}

impl Address {
    /// The URI of an export there.
    #[must_use]
    pub fn uri(&self, export: &str, encrypted: bool) -> String {
        let s = if encrypted { "s" } else { "" };
        match self {
            Self::Tcp { .. } => format!("nbd{s}://{self}/{}", encode(export)),
            Self::Unix(path) => format!("nbd{s}+unix:///{}?socket={}", encode(export), encode(&path.to_string_lossy())),
        }
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3) and slashes.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
