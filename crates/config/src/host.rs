//! What the checks must know of the host.

use std::path::Path;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing.
    Missing,
    /// A file that can be read.
    File {
        /// And written.
        writable: bool,
    },
    /// A folder.
    Directory,
    /// A block device.
    BlockDevice {
        /// It may be opened for writing.
        writable: bool,
    },
    /// A socket.
    Socket,
    /// Something that this user may not read.
    Unreadable,
    /// Something else.
    Other,
}

/// Facts about the host on which a machine is to run.
pub trait HostFacts {
    /// The number of CPUs that this process may use.
    fn cpus(&self) -> u32;
    /// Physical memory in MiB; `None` when it is not known.
    fn memory(&self) -> Option<u64>;
    /// What `path` leads to, symbolic links followed.
    fn file(&self, path: &Path) -> FileKind;
}
