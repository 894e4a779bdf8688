//! What can go wrong with a disk.

use std::io;
use std::path::PathBuf;

/// Why a disk could not be opened, or a request not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request outside the disk.
    #[error("{len} bytes at offset {offset} do not lie within the disk, which has {size} bytes")]
    OutOfBounds {
        /// First byte asked for.
        offset: u64,
        /// Number of bytes asked for.
        len: u64,
        /// Size of the disk in bytes.
        size: u64,
    },
    /// A change to a disk that was opened read-only.
    #[error("the disk is read-only")]
    ReadOnly,
    /// The disk has no such operation.
    #[error("the disk cannot {0}")]
    Unsupported(&'static str),
    /// Whoever asked for it does not want it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// An earlier flush failed, so that it is not known which writes are durable.
    #[error(
        "an earlier flush failed: the host may have lost writes that it had accepted; stop the machine and check its disk"
    )]
    FlushFailed,
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The file could not be opened.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Someone else has the disk open in a way that excludes this one.
    #[error("{path}: the disk is in use{}", named(.holders))]
    Locked {
        /// The file.
        path: PathBuf,
        /// Who holds it, as `name (process 123)`; empty where the system does not tell.
        holders: Vec<String>,
    },
    /// Nobody may write to the file.
    #[error(
        "{path}: the file is write-protected, as one is on which clones of a machine stand: open it read-only, or write \
         to an overlay above it (`russet disk create -b`); if nothing stands on it, `chmod u+w` it"
    )]
    WriteProtected {
        /// The file.
        path: PathBuf,
    },
    /// A block device that the host itself uses (mounted, part of an array).
    #[error(
        "{path}: the host uses this block device (mounted, swap, or part of an array); unmount it or open it read-only"
    )]
    Busy {
        /// The device.
        path: PathBuf,
    },
    /// The contents of an image file are wrong, or need something that we do not have.
    #[error("{what}")]
    Image {
        /// What is wrong, about "it".
        what: String,
    },
    /// What is wrong with an image, and which.
    #[error("{path}: {source}")]
    InFile {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// An NBD server or client.
    #[error(transparent)]
    Nbd(#[from] crate::nbd::Error),
    /// Neither a regular file nor a block device.
    #[error("{path}: {kind}, not a file or block device that could hold a disk")]
    NotADisk {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
}

impl Error {
    /// Something is wrong with an image.
    pub fn image(what: impl Into<String>) -> Self {
        Self::Image { what: what.into() }
    }

    /// Says which file an error is about, unless the error does.
    pub(crate) fn in_file(path: &std::path::Path, error: Self) -> Self {
        match error {
            Self::Open { .. }
            | Self::Locked { .. }
            | Self::Busy { .. }
            | Self::NotADisk { .. }
            | Self::WriteProtected { .. }
            | Self::InFile { .. }
            | Self::Cancelled => error,
            other => Self::InFile { path: path.into(), source: Box::new(other) },
        }
    }

    /// For `map_err`: the operating system refused while `what` was being done.
    pub fn io<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { what, source: source.into() }
    }
}

fn named(holders: &[String]) -> String {
    match holders {
        [] => "; close the program that has it open, or make a copy of the disk".into(),
        some => format!(" by {}; stop it first, or make a copy of the disk", some.join(" and ")),
    }
}
