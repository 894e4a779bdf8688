//! The facts about this host that configurations are checked against.

mod sys;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;

use config::{FileKind, HostFacts};
use rustix::fs::{Access, access};

/// The host that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl HostFacts for ThisHost {
    fn cpus(&self) -> u32 {
        thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
    }

    fn memory(&self) -> Option<u64> {
        sys::memory()
    }

    fn file(&self, path: &Path) -> FileKind {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return FileKind::Unreadable,
            Err(_) => return FileKind::Missing,
        };
        let kind = metadata.file_type();
        let writable = access(path, Access::WRITE_OK).is_ok();
        if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_socket() {
            FileKind::Socket
        } else if access(path, Access::READ_OK).is_err() {
            FileKind::Unreadable
        } else if kind.is_file() {
            FileKind::File { writable }
        } else if kind.is_block_device() {
            FileKind::BlockDevice { writable }
        } else {
            FileKind::Other
        }
    }
}
