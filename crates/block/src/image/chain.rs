//! The files below an image.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Below, Format, ImageOptions};
use crate::qcow2::{BackingName, Qcow2};
use crate::vhdx::Vhdx;
use crate::vmdk::Vmdk;
use crate::{Disk, Error, RawDisk, RawOptions};

/// Files below an image at most.
pub const MAX_BELOW: usize = 32;

/// The way down from an image.
pub(super) struct Chain<'a> {
    options: &'a ImageOptions,
    /// Where files may lie.
    folders: Vec<PathBuf>,
    /// Device and inode of the files so far.
    seen: Vec<(u64, u64)>,
    found: Vec<Below>,
}

impl<'a> Chain<'a> {
    /// A chain from the image at `top`, which the user named.
    pub(super) fn new(top: &Path, options: &'a ImageOptions) -> Result<Self, Error> {
        let failed = |path: &Path, source| Error::Open { path: path.into(), source };
        let top = top.canonicalize().map_err(|e| failed(top, e))?;
        let mut folders = vec![top.parent().unwrap_or(Path::new("/")).to_owned()];
        for folder in &options.allowed {
            folders.push(folder.canonicalize().map_err(|e| failed(folder, e))?);
        }
        let meta = fs::metadata(&top).map_err(|e| failed(&top, e))?;
        Ok(Self { options, folders, seen: vec![(meta.dev(), meta.ino())], found: Vec::new() })
    }

    /// Opens what the qcow2 image in `file` at `path` names, and what is below that.
    pub(super) fn below(&mut self, path: &Path, file: &Arc<dyn Disk>) -> Result<Option<Arc<dyn Disk>>, Error> {
        let Some(name) = Qcow2::header_of(&**file)?.backing else { return Ok(None) };
        let format = format_of(&name)?;
        let (below, meta) = self.find("its backing file", &resolve(path, &name.name)?)?;
        let identity = (meta.dev(), meta.ino());
        if self.seen.contains(&identity) {
            return Err(Error::image(format!("its backing file {} is above itself", below.display())));
        }
        if self.seen.len() > MAX_BELOW {
            return Err(Error::image(format!("there are more than {MAX_BELOW} files below it: convert it")));
        }
        self.seen.push(identity);
        self.found.push(Below { path: below.clone(), format });
        let read_only = !(self.options.write_below && self.found.len() == 1);
        let raw = RawOptions { read_only, sync: self.options.sync, caching: self.options.caching };
        let file: Arc<dyn Disk> = Arc::new(RawDisk::open(&below, raw)?);
        let named = |error| Error::in_file(&below, error);
        // The header above names the format, so that contents cannot change it.
        match Format::recognise(&below, Some(format), &*file).map_err(named)? {
            Format::Qcow2 => {
                let lower = self.below(&below, &file).map_err(named)?;
                Ok(Some(Arc::new(Qcow2::open(file, lower).map_err(named)?)))
            }
            Format::Vmdk => Ok(Some(Arc::new(self.vmdk(&below, file).map_err(named)?))),
            Format::Vhdx => Ok(Some(Arc::new(Vhdx::open(file).map_err(named)?))),
            Format::Raw => Ok(Some(file)),
        }
    }

    /// Opens the VMDK image in `file` at `path`, and the files of which it is.
    pub(super) fn vmdk(&self, path: &Path, file: Arc<dyn Disk>) -> Result<Vmdk, Error> {
        let path = path.canonicalize().map_err(|source| Error::Open { path: path.into(), source })?;
        let raw = RawOptions { read_only: true, sync: self.options.sync, caching: self.options.caching };
        Vmdk::open(file, &mut |name| {
            let (part, _) = self.find("its extent", &path.with_file_name("").join(name))?;
            Ok(Arc::new(RawDisk::open(&part, raw)?))
        })
    }

    /// Follows symbolic links to a file that the image names as `what`, and looks whether it may be opened.
    fn find(&self, what: &str, path: &Path) -> Result<(PathBuf, Metadata), Error> {
        let failed = |source| Error::Open { path: path.into(), source };
        let found = path.canonicalize().map_err(failed)?;
        if !self.folders.iter().any(|folder| found.starts_with(folder)) {
            return Err(Error::image(format!(
                "{what} {} lies outside the folder of the image: move it there, or allow its folder with \
                 backing-folder=",
                found.display()
            )));
        }
        let meta = fs::metadata(&found).map_err(failed)?;
        if !meta.is_file() {
            return Err(Error::image(format!("{what} {} is not a regular file", found.display())));
        }
        Ok((found, meta))
    }

    pub(super) fn found(self) -> Vec<Below> {
        self.found
    }
}

/// The format of a backing file; it must be given, because a guess from its contents is what a guest could turn.
fn format_of(name: &BackingName) -> Result<Format, Error> {
    match name.format.as_deref() {
        Some("raw" | "file") => Ok(Format::Raw),
        Some("qcow2") => Ok(Format::Qcow2),
        Some("vmdk") => Ok(Format::Vmdk),
        Some("vhdx") => Ok(Format::Vhdx),
        Some(other) => {
            Err(Error::image(format!("its backing file is said to be {other}: only raw, qcow2, vmdk and vhdx can be")))
        }
        None => Err(Error::image(format!(
            "it does not say which format its backing file {} has, and a guess is not safe: say it once with \
             `russet disk rebase --header-only --backing {0} --backing-format FORMAT IMAGE`",
            name.name
        ))),
    }
}

/// The path that the name of a backing file in the image at `path` stands for.
pub fn resolve(path: &Path, name: &str) -> Result<PathBuf, Error> {
    // QEMU takes `protocol:...` for something else than a file.
    let protocol = name.split_once(':').is_some_and(|(before, _)| !before.contains('/'));
    if protocol && !name.starts_with("file:") {
        return Err(Error::image(format!("its backing file `{name}` is no path of a file: only files can be below")));
    }
    let name = name.strip_prefix("file:").unwrap_or(name);
    let path = path.canonicalize().map_err(|source| Error::Open { path: path.into(), source })?;
    Ok(path.parent().unwrap_or(Path::new("/")).join(name))
}
