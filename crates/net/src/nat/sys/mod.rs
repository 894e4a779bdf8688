//! What differs between the host's systems: where the routing table is, what sockets tell of the path's MTU, and how
//! many datagrams go with one call.

#[cfg(target_os = "linux")]
mod batch;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod name;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use batch::{Inbox, merge, send_cut};
#[cfg(target_os = "linux")]
pub(super) use linux::{path_mtu, routes, send_whole};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Inbox, merge, path_mtu, routes, send_cut, send_whole};
