//! The guest's place in the user's cache: `russet/debian/NAME/` below `$XDG_CACHE_HOME` or `~/.cache`.
//!
//! ```text
//! lock            held while the folder is worked in
//! apt/            apt's lists and state, all private
//! packages/       what was downloaded
//! chosen          the names of the packages in use; written last
//! guest-KEY/      kernel and initial RAM disk made of them; renamed into place when complete, as old as its last use
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::Guest;

/// A guest that was not used for so long goes. Until then another version of this program may be the one that uses it.
const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The two packages a guest is made of, as files in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packages {
    /// `linux-image-RELEASE_VERSION_arm64.deb`
    pub(super) kernel: PathBuf,
    /// `busybox-static_VERSION_arm64.deb`
    pub(super) busybox: PathBuf,
}

/// The cache of one guest, locked against other processes until it is dropped.
pub(super) struct Cache {
    folder: PathBuf,
    _lock: File,
}

impl Cache {
    /// The cache of guest `name`, which comes from the command line.
    pub(super) fn open(name: &str) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            bail!("{name:?} is not the name of a Debian suite; give one like trixie or bookworm-backports");
        }
        Self::at(user_cache()?.join("russet/debian").join(name))
    }

    fn at(folder: PathBuf) -> Result<Self> {
        let what = || format!("the cache folder {} cannot be used", folder.display());
        fs::create_dir_all(folder.join("packages")).with_context(what)?;
        let lock = File::create(folder.join("lock")).with_context(what)?;
        lock.lock().with_context(what)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The packages that were chosen last, if all is there.
    pub(super) fn packages(&self) -> Option<Packages> {
        let chosen = fs::read_to_string(self.folder.join("chosen")).ok()?;
        let mut files = chosen.lines().map(|name| self.folder.join("packages").join(name));
        let packages = Packages { kernel: files.next()?, busybox: files.next()? };
        (packages.kernel.is_file() && packages.busybox.is_file()).then_some(packages)
    }

    /// Makes these the chosen packages, and removes others.
    pub(super) fn choose(&self, packages: &Packages) -> Result<()> {
        let names = [file_name(&packages.kernel)?, file_name(&packages.busybox)?];
        write_whole(&self.folder.join("chosen"), format!("{}\n{}\n", names[0], names[1]).as_bytes())?;
        for entry in fs::read_dir(self.folder.join("packages"))?.flatten() {
            if !names.iter().any(|n| entry.file_name() == *n) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// The guest made of these packages by `build`, which fills an empty folder with `Image` and `initrd`. `format`
    /// names what `build` makes: if that has changed, it is made anew.
    pub(super) fn guest(
        &self,
        packages: &Packages,
        format: u64,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Guest> {
        let kernel = file_name(&packages.kernel)?;
        let release = kernel.strip_prefix("linux-image-").and_then(|r| r.split('_').next());
        let release = release.with_context(|| format!("{kernel} is not a kernel package"))?.to_owned();
        let key = fnv1a(&[kernel.as_bytes(), file_name(&packages.busybox)?.as_bytes(), &format.to_le_bytes()]);
        let folder = self.folder.join(format!("guest-{key:016x}"));
        if !folder.is_dir() {
            let unfinished = self.folder.join("unfinished");
            let _ = fs::remove_dir_all(&unfinished);
            fs::create_dir(&unfinished)?;
            build(&unfinished)?;
            for file in fs::read_dir(&unfinished)?.flatten() {
                File::open(file.path())?.sync_all()?;
            }
            fs::rename(&unfinished, &folder)?;
        }
        File::open(&folder)?.set_modified(SystemTime::now())?;
        self.remove_idle_guests();
        Ok(Guest { kernel: folder.join("Image"), initrd: folder.join("initrd"), release })
    }

    fn remove_idle_guests(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let used = entry.metadata().and_then(|metadata| metadata.modified());
            let idle = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > IDLE));
            if idle && entry.file_name().to_string_lossy().starts_with("guest-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Writes a file so that it is there either whole or not at all.
fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(fs::rename(&unfinished, path)?)
}

fn file_name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|n| n.to_str()).with_context(|| format!("{} has no name", path.display()))
}

/// A short name for several things together (FNV-1a); nobody gains by a collision in their own cache.
pub(super) const fn fnv1a(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut part = 0;
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            hash = (hash ^ parts[part][i] as u64).wrapping_mul(0x100_0000_01b3);
            i += 1;
        }
        part += 1;
    }
    hash
}

fn user_cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|p: &PathBuf| p.is_absolute());
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .context("there is no cache folder: set HOME or XDG_CACHE_HOME to an absolute path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(cache: &Cache) -> Packages {
        let file = |name: &str| {
            let path = cache.folder().join("packages").join(name);
            fs::write(&path, name).unwrap();
            path
        };
        Packages { kernel: file("linux-image-6.1.0-1_6.1_arm64.deb"), busybox: file("busybox-static_1%3a1_arm64.deb") }
    }

    #[test]
    fn a_guest_is_built_once_and_again_only_when_its_format_changes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("host")).unwrap();
        assert_eq!(cache.packages(), None);
        let chosen = packages(&cache);
        fs::write(cache.folder().join("packages/linux-image-old_1_arm64.deb"), "").unwrap();
        cache.choose(&chosen).unwrap();
        assert_eq!(cache.packages().as_ref(), Some(&chosen));
        assert_eq!(fs::read_dir(cache.folder().join("packages")).unwrap().count(), 2, "old packages go");
        let build = |to: &Path| {
            fs::write(to.join("Image"), "k")?;
            Ok(fs::write(to.join("initrd"), "i")?)
        };
        let guest = cache.guest(&chosen, 1, build).unwrap();
        assert_eq!((guest.release.as_str(), fs::read(&guest.initrd).unwrap()), ("6.1.0-1", b"i".to_vec()));
        assert_eq!(cache.guest(&chosen, 1, |_| panic!("built twice")).unwrap(), guest);
        let new = cache.guest(&chosen, 2, build).unwrap();
        assert!(new.kernel != guest.kernel && new.kernel.is_file());
    }

    #[test]
    fn a_guest_of_another_version_goes_when_it_was_not_used_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned()).unwrap();
        let chosen = packages(&cache);
        let build = |to: &Path| Ok(fs::write(to.join("Image"), "k")?);
        let [old, used] = [1, 2].map(|format| cache.guest(&chosen, format, build).unwrap());
        let made = SystemTime::now() - IDLE - Duration::from_secs(60);
        for guest in [&old, &used] {
            File::open(guest.kernel.parent().unwrap()).unwrap().set_modified(made).unwrap();
        }
        assert_eq!(cache.guest(&chosen, 2, |_| panic!("built twice")).unwrap(), used);
        assert!(!old.kernel.exists() && used.kernel.is_file());
    }

    #[test]
    fn an_interrupted_build_leaves_no_guest() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned()).unwrap();
        let chosen = packages(&cache);
        let interrupted = |to: &Path| {
            fs::write(to.join("Image"), "half")?;
            bail!("interrupted")
        };
        assert!(cache.guest(&chosen, 1, interrupted).is_err());
        let guest = cache.guest(&chosen, 1, |to| {
            assert_eq!(fs::read_dir(to)?.count(), 0, "what was left over is gone");
            Ok(fs::write(to.join("Image"), "whole")?)
        });
        assert_eq!(fs::read(guest.unwrap().kernel).unwrap(), b"whole");
    }

    #[test]
    fn the_name_of_a_suite_is_no_path() {
        for name in ["", "..", ".x", "a/b", "a b", "\u{e9}"] {
            assert!(Cache::open(name).is_err(), "{name}");
        }
    }
}
