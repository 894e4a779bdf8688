//! What differs between the host's systems: where the routing table is, and what sockets tell of the path's MTU.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use linux::{path_mtu, routes, send_whole};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{path_mtu, routes, send_whole};
