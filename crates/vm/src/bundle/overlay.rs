//! Overlays that are put above the disks of a machine before its description names them.
//!
//! Until it does, each has a second name, which begins with a dot. Who finds one knows that a process was killed on the
//! way, and that nobody has opened the overlay unless the description names it by now.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block::image;
use block::qcow2::BackingName;
use config::DiskAttachment;

use super::{Bundle, BundleError};

/// What the name of an overlay ends with, and what the second one adds to it.
const OVERLAY: &str = ".qcow2";
const PART: &str = ".part";

/// Overlays that are removed when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Overlays(Vec<PathBuf>);

impl Overlays {
    /// Makes one, empty and of `size` bytes.
    pub(super) fn make(&mut self, path: &Path, below: BackingName, size: u64) -> Result<(), BundleError> {
        let part = part(path);
        self.0.push(path.to_owned());
        image::overlay(&part, below, size)?;
        fs::hard_link(&part, path).map_err(|source| BundleError::file(path, source))
    }

    /// They are not removed any more, but by [`sweep`] where the description does not name them.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Overlays {
    fn drop(&mut self) {
        for path in &self.0 {
            // What cannot be removed is small, and nobody opens it.
            let _ = (fs::remove_file(path), fs::remove_file(part(path)));
        }
    }
}

fn part(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{PART}"))
}

/// Removes what a process that was killed has left of overlays, in a machine whose lock the caller has.
pub(super) fn sweep(bundle: &Bundle) -> Result<(), BundleError> {
    let failed = |source| BundleError::file(&bundle.folder, source);
    for entry in fs::read_dir(&bundle.folder).map_err(failed)? {
        let part = entry.map_err(failed)?.path();
        let name = part.file_name().and_then(|name| name.to_str()?.strip_prefix('.')?.strip_suffix(PART));
        let Some(name) = name.filter(|name| name.ends_with(OVERLAY)) else { continue };
        let overlay = bundle.folder.join(name);
        // Its own name first: without that it is found again.
        if is_same(&part, &overlay).map_err(failed)? && !is_named(bundle, &overlay)? {
            fs::remove_file(&overlay).map_err(failed)?;
        }
        fs::remove_file(&part).map_err(failed)?;
    }
    Ok(())
}

/// Whether the machine stands on it.
fn is_named(bundle: &Bundle, overlay: &Path) -> Result<bool, BundleError> {
    let machine = bundle.read()?;
    Ok(machine.storage.iter().any(|s| matches!(&s.attachment, DiskAttachment::Image { path, .. } if path == overlay)))
}

/// Whether both are names of one file.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let one = one.symlink_metadata()?;
    match other.symlink_metadata() {
        Ok(other) => Ok((one.dev(), one.ino()) == (other.dev(), other.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
