//! Why a file did not come.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Sha256;

/// Why a file did not come. What has come of it is kept, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was given up.
    #[error("the download was cancelled; what is here already is kept")]
    Cancelled,
    /// No URL that can be fetched.
    #[error("`{0}` is no URL of a file: it begins with https:// or http://")]
    Url(String),
    /// The server has no such file, or does not give it.
    #[error("{url}: the server answers {status}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server cannot be reached, or breaks off again and again.
    #[error("{url}: {reason}; what is here already is kept, and the next try goes on from there")]
    Network {
        /// The URL.
        url: String,
        /// What happened last.
        reason: String,
    },
    /// The server's answer makes no sense.
    #[error("{url}: {what}")]
    Answer {
        /// The URL.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// What came is not what was to come. It was removed.
    #[error("{url}: the file has the SHA-256 {found} and should have {expected}: it was damaged or is another one")]
    Sum {
        /// The URL.
        url: String,
        /// As it was said.
        expected: Sha256,
        /// As it is.
        found: Sha256,
    },
    /// A file that is there is not the one that was meant. It is kept.
    #[error(
        "{path}: the file that is there has the SHA-256 {found} and should have {expected}: correct the checksum, or remove \
         the file; one that a URL names is fetched anew then"
    )]
    Kept {
        /// The file.
        path: PathBuf,
        /// As it was said.
        expected: Sha256,
        /// As it is.
        found: Sha256,
    },
    /// There is no room for what is still to come, and for what is to be made of it.
    #[error("{path}: {} must be free for what is still to come, and {} are: free {} more", Size(*needed), Size(*free),
            Size(needed - free))]
    Space {
        /// The folder.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// A file here cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Bytes, for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 => write!(f, "{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30),
            bytes => write!(f, "{} KiB", bytes.div_ceil(1 << 10)),
        }
    }
}

impl Error {
    /// A mapping for `map_err` of what is done with `path`.
    pub(crate) fn file(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path: path.clone(), source }
    }
}
