//! The guest of `russet run debian`: Debian's newest arm64 cloud kernel and an initial RAM disk with busybox.
//!
//! The packages come through apt's own verified download under a private configuration (`apt`), are unpacked and
//! made into an initial RAM disk (`initrd`), and stay in the user's cache (`cache`): a second run touches neither the
//! network nor apt. Every file appears under its final name only when it is complete, so that an interruption at any
//! point leaves nothing corrupt, and what was downloaded so far is used by the next run.

mod apt;
mod cache;
pub(crate) mod cpio;
mod deb;
mod initrd;
mod modules;
mod progress;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use progress::{Bar, Progress};

use self::cache::Cache;

/// What to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The Debian suite, such as `trixie` or `bookworm-backports`, from the mirror that the host's apt uses; `None`
    /// takes what the host's own sources offer as newest.
    pub(crate) suite: Option<String>,
    /// Ask the mirror for something newer even if there is a guest in the cache.
    pub(crate) refresh: bool,
}

/// A guest that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The kernel, as the package has it: an arm64 `Image`.
    pub(crate) kernel: PathBuf,
    /// The initial RAM disk, an uncompressed cpio archive.
    pub(crate) initrd: PathBuf,
    /// The kernel's release, such as `6.1.0-56-cloud-arm64`.
    pub(crate) release: String,
}

/// Makes sure that the guest is in the cache and says where.
///
/// Blocks for as long as the download takes. Another process that fetches the same guest is waited for.
pub(crate) fn fetch(request: &Request, progress: &dyn Progress) -> Result<Guest> {
    let name = request.suite.as_deref().unwrap_or("host");
    let cache = Cache::open(name)?;
    let packages = match cache.packages() {
        Some(packages) if !request.refresh => packages,
        _ => {
            let packages = apt::download(&cache, request.suite.as_deref(), progress).with_context(
                || "no Debian guest could be fetched; to run a kernel of your own: russet run -k Image -i initrd",
            )?;
            cache.choose(&packages)?;
            packages
        }
    };
    let build = |folder: &Path| initrd::build(&packages, folder, progress);
    let guest = cache.guest(&packages, initrd::FORMAT, build).with_context(|| {
        format!("the cached packages are of no use; remove the folder {} and run again", cache.folder().display())
    })?;
    progress.done();
    Ok(guest)
}
