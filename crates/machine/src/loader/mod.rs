//! Loaders: how a kernel and its initial RAM disk get into guest memory (Linux `Documentation/arm64/booting.rst`).
//!
//! The files are as hostile as a guest: every number in them is checked against guest memory before it is used, and
//! what is decompressed is bounded by it.

mod firmware;
mod format;
mod image;
mod initrd;
mod unpack;

use std::fs::File;
use std::io;

pub use firmware::load_firmware;
pub use image::{Kernel, check_kernel, load_kernel};
pub use initrd::load_initrd;
pub use unpack::unpack_kernel;

/// Why a kernel or initial RAM disk could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Reading or decompressing failed.
    #[error("the {what} cannot be read: {source}")]
    Read {
        /// `kernel`, `initial RAM disk`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The file is no kernel for this machine.
    #[error("the kernel is {found}: pass an arm64 Image, plain, compressed with gzip, or an EFI zboot image")]
    NotAKernel {
        /// What it looks like.
        found: &'static str,
    },
    /// It is compressed in a way that is not supported.
    #[error("the kernel is compressed with {method}, which is not supported: unpack it, or build it with gzip or zstd")]
    Compression {
        /// The method.
        method: String,
    },
    /// It is one, but its header is wrong.
    #[error("the kernel's header is wrong: {0}")]
    Header(&'static str),
    /// The file is no firmware.
    #[error("the firmware has {len} bytes: pass an image for the field's `virt` boards of 1 byte to {most} MiB")]
    NotFirmware {
        /// Its length.
        len: u64,
        /// MiB that there is room for.
        most: u64,
    },
    /// Guest memory is too small.
    #[error("the {what} needs {needed} MiB of memory and {available} MiB are left: give the machine more memory")]
    TooBig {
        /// `kernel`, `initial RAM disk`.
        what: &'static str,
        /// MiB that it takes, at least.
        needed: u64,
        /// MiB from where it would begin to the end of memory.
        available: u64,
    },
}

impl LoadError {
    fn too_big(what: &'static str, needed: u64, available: u64) -> Self {
        Self::TooBig { what, needed: needed.div_ceil(1 << 20), available: available >> 20 }
    }
}

/// A part of a file as a stream, independent of the file's position.
struct Section<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl io::Read for Section<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
        let got = std::os::unix::fs::FileExt::read_at(self.file, &mut buf[..wanted], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests;
