//! What this process is given by the host: folders and files.

use std::path::PathBuf;

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
