//! What the fuzz targets share: a guest that does whatever the fuzzer says.

mod access;
mod virtio;

pub use access::Access;
pub use virtio::{Op, drive};
