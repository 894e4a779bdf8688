//! Disks over a network: both ends of the NBD protocol.
//!
//! [`Client`] is an export of some server as a [`Disk`](crate::Disk); [`Server`] offers disks to any client. Both speak
//! fixed newstyle negotiation only, plain or in TLS, and structured replies with `base:allocation` where the peer does.
//! Everything from the peer is bounded: see `spec` for the numbers and [`Server`] for the limits.

mod address;
mod client;
mod error;
mod server;
pub mod spec;
mod stream;
mod uri;

pub use address::{Address, DEFAULT_PORT};
pub use client::{Client, ClientOptions};
pub use error::Error;
pub use server::{Export, Listener, Server, ServerOptions, Stopper};
pub use stream::{Credentials, Socket};
pub use uri::Uri;
