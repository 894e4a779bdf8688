//! The facts about this host that configurations are checked against.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;

use ::config::{FileKind, HostFacts};
use rustix::fs::{Access, access};

/// The host that this process runs on.
pub(crate) struct ThisHost;

impl HostFacts for ThisHost {
    fn cpus(&self) -> u32 {
        thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
    }

    #[cfg(target_os = "linux")]
    fn memory(&self) -> Option<u64> {
        let info = rustix::system::sysinfo();
        // The fields' types differ between architectures.
        #[allow(clippy::useless_conversion)]
        Some((u64::from(info.totalram) * u64::from(info.mem_unit)) >> 20)
    }

    #[cfg(not(target_os = "linux"))]
    fn memory(&self) -> Option<u64> {
        None
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

/// The user's home folder, for `~/` in configurations.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

/// Where large files are kept that can be had again: `russet` in `$XDG_CACHE_HOME`, else in `~/Library/Caches` on a Mac and in
/// `~/.cache` elsewhere.
pub(crate) fn cache() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    own.or_else(|| home().map(|home| home.join(folder))).map(|caches| caches.join("russet"))
}

/// Allows this process as many files as it may have. Every connection of a guest is one, and the usual limit is made for
/// programs with a few.
pub(crate) fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
