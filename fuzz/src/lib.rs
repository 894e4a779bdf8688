//! What the fuzz targets share: a guest that does whatever the fuzzer says.

mod access;
mod threads;
mod virtio;

pub use access::Access;
pub use threads::with_threads;
pub use virtio::{Op, drive};
