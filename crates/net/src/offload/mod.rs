//! What a card leaves to the network, done in software: for a wire that takes only plain frames.
//!
//! Checksums are RFC 1071's; a frame is cut as a card with TSO or USO would cut it. All of it works on frames that a
//! guest or a peer has made: headers that are not what they should be give `None`, never a panic.

mod checksum;
mod headers;
mod segment;

pub use checksum::{finish, verify};
pub use segment::Segmenter;
