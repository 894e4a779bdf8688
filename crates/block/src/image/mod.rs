//! Image files: from a path to a disk, with the files below it.
//!
//! **Format.** What the user said, else what the name says: `.qcow2`, `.vmdk` and `.vhdx` are these and must have
//! their header, everything else is raw, and is refused when it begins like another format. Contents never choose.
//!
//! **Files below.** The image names them, and the image may come from a stranger. So they are opened read-only, must be
//! regular files, must have their format beside their name, and must lie in the folder of the image that the user
//! named, in a folder in that, or in a folder that the user allows. Symbolic links are followed first. At most 32.

mod chain;
mod clone;
mod copy;
mod format;
mod pack;
mod throw_away;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::qcow2::Qcow2;
use crate::vhdx::Vhdx;
use crate::{Caching, Disk, Error, RawDisk, RawOptions, SyncMode};

pub use self::chain::{MAX_BELOW, resolve as resolve_below};
pub use self::clone::{copy_file, overlay, reflink};
pub use self::copy::{Progress, commit, compact, copy, first_difference, keep_above};
pub use self::format::Format;
pub use self::pack::pack;
pub use self::throw_away::throw_away;

/// How to open an image.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// The format; `None`: what the name says.
    pub format: Option<Format>,
    /// Refuse every change, and share the file with other readers.
    pub read_only: bool,
    /// Keep changes in a file that is gone afterwards, and the image as it is.
    pub snapshot: bool,
    /// What a flush does.
    pub sync: SyncMode,
    /// What the page cache keeps.
    pub caching: Caching,
    /// Open the first file below for writing, to move data down to it.
    pub write_below: bool,
    /// Folders in which files below may lie, beside that of the image.
    pub allowed: Vec<PathBuf>,
}

/// An image that is open.
#[derive(Clone)]
pub struct Image {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Its format.
    pub format: Format,
    /// The same disk, where it is a qcow2 image and not hidden under a throw-away layer.
    pub qcow2: Option<Arc<Qcow2>>,
    /// What is right below, where it is a qcow2 image that is not hidden under a throw-away layer.
    pub lower: Option<Arc<dyn Disk>>,
    /// The files below, from the one right below on.
    pub below: Vec<Below>,
}

/// A file below an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

impl Image {
    /// Opens and locks an image and, read-only, what is below it.
    pub fn open(path: &Path, options: &ImageOptions) -> Result<Self, Error> {
        let named = |error| Error::in_file(path, error);
        let read_only = options.read_only || options.snapshot;
        let raw = RawOptions { read_only, sync: options.sync, caching: options.caching };
        let file: Arc<dyn Disk> = Arc::new(RawDisk::open(path, raw)?);
        let format = Format::recognise(path, options.format, &*file).map_err(named)?;
        let mut image = match format {
            Format::Raw => Self { disk: file, format, qcow2: None, lower: None, below: Vec::new() },
            _ if format.is_read_only() && !read_only => {
                return Err(named(Error::image(format!(
                    "{format} images can be read, not written: say readonly or snapshot, make an overlay with \
                     `russet disk create -b`, or convert it with `russet disk convert`"
                ))));
            }
            Format::Vmdk => {
                let vmdk = Arc::new(chain::Chain::new(path, options)?.vmdk(path, file).map_err(named)?);
                Self { disk: vmdk, format, qcow2: None, lower: None, below: Vec::new() }
            }
            Format::Vhdx => {
                let vhdx = Arc::new(Vhdx::open(file).map_err(named)?);
                Self { disk: vhdx, format, qcow2: None, lower: None, below: Vec::new() }
            }
            Format::Qcow2 => {
                let mut chain = chain::Chain::new(path, options)?;
                let backing = chain.below(path, &file).map_err(named)?;
                let qcow2 = Arc::new(Qcow2::open(file, backing.clone()).map_err(named)?);
                Self { disk: qcow2.clone(), format, qcow2: Some(qcow2), lower: backing, below: chain.found() }
            }
        };
        if options.snapshot {
            image.disk = throw_away(image.disk)?;
            (image.qcow2, image.lower) = (None, None);
        }
        Ok(image)
    }
}
