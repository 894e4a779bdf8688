//! Networks for virtual machines: Ethernet frames in, frames out.
//!
//! A device gives its side of the wire as a [`Port`]; a network is a [`Backend`]; a [`Link`] is the thread that runs
//! the one against the other. Nothing here knows virtio or guest memory. [`nat`] is the default network: a
//! user-mode router in this process, which needs no privileges.

pub mod capture;
mod link;
mod mac;
pub mod nat;
pub mod offload;
mod port;
pub mod socket;
pub mod switch;
mod sys;
pub mod tap;
mod wire;

pub use link::{Link, SharedBackend};
pub use mac::{MacAddr, ParseMacError};
pub use port::{Backend, MAX_FRAME, Meta, Offloads, PartialChecksum, Port, SegmentKind, Segments, Wake};
pub use wire::Pump;
