//! Large files from the network: a download that can be interrupted at any point and goes on later.
//!
//! [`fetch`] brings what is at a URL to a path, where it appears when it is whole and was checked, and not before. What
//! has come so far is beside it in a `.part`, with a note of what it is a part of (`part`); the next download asks for
//! the rest, and for all of it when the server has another file meanwhile (`answer`). Servers are not believed: ranges,
//! lengths and checksums are held against what was asked for and what came. [`kept()`] says what there is, and removes
//! what nobody fetches or uses.
//!
//! The client is ureq over rustls: blocking, without a runtime. Who may speak for a name is for the host to say
//! (`rustls-platform-verifier`): on a Mac its keychain, so that the authorities of a company's proxy count as in every
//! other program, elsewhere the system's bundle or `SSL_CERT_FILE`.

mod answer;
mod cancel;
mod client;
mod digest;
mod download;
mod error;
mod kept;
mod note;
mod part;

pub use cancel::{Cancel, Hook};
pub use client::public_url;
pub use digest::Sha256;
pub use download::{Check, Fetched, Options, Progress, fetch, verify};
pub use error::Error;
pub use kept::{Kept, Use, keep, kept};
