//! Copies of machines that cost no more than they must.
//!
//! Where the file system shares blocks between files, the files of a copy do. Where it does not, a disk becomes a
//! *layer*: both machines go on in overlays of their own above it, and nobody writes to it any more. The layer has a
//! name in the folder of each, as a hard link, so that a folder holds all that its machine needs, can be renamed and
//! deleted by itself, and the file system knows when nobody stands on a layer any more.
//!
//! Who is killed at any point leaves the machine whole, and the copy whole or not there. The machine changes in one
//! step, when its description names the overlays; then layers are protected, and then there is the copy.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use block::image;
use config::{DiskAttachment, Machine};

use super::overlay::{self, Overlays};
use super::own_disk::OwnDisk;
use super::{Bundle, BundleError, BundleLock, Draft, files};

/// How the disks of a copy are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloneMode {
    /// The first of the others that can be done.
    #[default]
    Auto,
    /// The disks of both share blocks, where the file system can: APFS, XFS, btrfs, bcachefs.
    Reflink,
    /// Both stand on the disk as it is now, each with an overlay of its own.
    Overlay,
    /// Byte by byte, without zeroes.
    Copy,
}

/// Is told how many bytes of how many are copied of a file, and says whether to go on.
pub type CloneProgress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// A copy of a machine that has its files and not yet its place. Dropped before it is finished, it leaves nothing, and
/// the machine as it was.
pub struct CloneDraft<'a> {
    /// The description of the copy.
    pub machine: Machine,
    /// Where its files are until it is finished.
    pub draft: Draft,
    disks: Vec<(PathBuf, CloneMode)>,
    bundle: &'a Bundle,
    /// What the machine that is copied becomes, and the files that it has for that.
    source: Machine,
    overlays: Overlays,
    /// What both stand on.
    layers: Vec<PathBuf>,
    /// Nobody writes to these meanwhile.
    _open: Vec<OwnDisk>,
}

impl Bundle {
    /// Makes the files of a copy of this machine, whose lock the caller has, in `draft`.
    ///
    /// # Errors
    /// A file cannot be read or made, a disk is in use or cannot be copied in this way, or `progress` said to stop.
    pub fn clone_to(
        &self,
        _lock: &BundleLock,
        draft: Draft,
        mode: CloneMode,
        progress: &mut CloneProgress<'_>,
    ) -> Result<CloneDraft<'_>, BundleError> {
        let source = self.read()?;
        let disks = OwnDisk::all(self, &source)?;
        let (old, new) = (self.folder.clone(), draft.folder().to_owned());
        let mut machine = source.clone();
        machine.map_paths(|path| path.strip_prefix(&old).map_or_else(|_| path.to_owned(), |inside| new.join(inside)));
        let mut clone = CloneDraft {
            machine,
            draft,
            disks: Vec::new(),
            bundle: self,
            source,
            overlays: Overlays::default(),
            layers: Vec::new(),
            _open: Vec::new(),
        };
        for file in self.files().map_err(|source| BundleError::file(&self.folder, source))? {
            let (from, to) = (self.folder.join(&file), clone.draft.folder().join(&file));
            match disks.iter().find(|disk| disk.file == file) {
                _ if is_protected(&from)? || disks.iter().any(|disk| disk.stands_on(&from)) => {
                    copy_layer(&from, &to, mode, progress)?;
                }
                Some(disk) => clone.copy_disk(disk, mode, progress)?,
                None => copy(&from, &to, progress)?,
            }
        }
        clone._open = disks;
        Ok(clone)
    }
}

impl CloneDraft<'_> {
    /// How the disks that the copy writes to were made, by the names of their files; never [`CloneMode::Auto`].
    #[must_use]
    pub fn disks(&self) -> &[(PathBuf, CloneMode)] {
        &self.disks
    }

    /// The copy takes its place.
    ///
    /// # Errors
    /// A description cannot be written, or a machine of this name has been made meanwhile. The machine that is copied
    /// is whole, and may stand on layers already.
    pub fn finish(self) -> Result<Bundle, BundleError> {
        // Not removed any more: where this fails, it is not known whether the description names them.
        let overlays = self.overlays.keep();
        if let Some(overlay) = overlays.first() {
            files::sync_folder(overlay).map_err(|source| BundleError::file(overlay, source))?;
            self.bundle.write(&self.source)?;
            overlay::sweep(self.bundle)?;
        }
        self.layers.iter().try_for_each(|layer| protect(layer))?;
        self.draft.finish(&self.machine)
    }

    fn copy_disk(
        &mut self,
        disk: &OwnDisk,
        mode: CloneMode,
        progress: &mut CloneProgress<'_>,
    ) -> Result<(), BundleError> {
        let refused = |why| Err(BundleError::Clone { file: disk.file.clone(), why });
        let (from, to) = (self.bundle.folder.join(&disk.file), self.draft.folder().join(&disk.file));
        if matches!(mode, CloneMode::Auto | CloneMode::Reflink) && image::reflink(&from, &to)? {
            self.disks.push((disk.file.clone(), CloneMode::Reflink));
            return Ok(());
        }
        match mode {
            CloneMode::Reflink => return refused("this file system cannot share blocks between files"),
            CloneMode::Auto | CloneMode::Overlay => match self.put_under_overlays(disk, &from, &to)? {
                Ok(name) => {
                    self.disks.push((name, CloneMode::Overlay));
                    return Ok(());
                }
                Err(why) if mode == CloneMode::Overlay => return refused(why),
                Err(_) => {}
            },
            CloneMode::Copy => {}
        }
        copy(&from, &to, progress)?;
        self.disks.push((disk.file.clone(), CloneMode::Copy));
        Ok(())
    }

    /// Makes the copy an overlay above what a disk holds, and the machine one if it needs that. Gives the name of the
    /// copy's, or why there cannot be one, and has done nothing then.
    fn put_under_overlays(
        &mut self,
        disk: &OwnDisk,
        from: &Path,
        to: &Path,
    ) -> Result<Result<PathBuf, &'static str>, BundleError> {
        if let Some(backing) = disk.adds_nothing_to()? {
            image::overlay(to, backing, disk.image.disk.size())?;
            return Ok(Ok(disk.file.clone()));
        }
        let backing = match disk.as_backing() {
            Ok(backing) => backing,
            Err(why) => return Ok(Err(why)),
        };
        if fs::hard_link(from, to).is_err() {
            return Ok(Err("this file system has no hard links"));
        }
        let name = disk.overlay_name(&self.bundle.folder);
        let (ours, size) = (self.bundle.folder.join(&name), disk.image.disk.size());
        let theirs = self.draft.folder().join(&name);
        image::overlay(&theirs, backing.clone(), size)?;
        self.overlays.make(&ours, backing, size)?;
        for (overlay, machine) in [(theirs, &mut self.machine), (ours, &mut self.source)] {
            if let DiskAttachment::Image { path, format, .. } = &mut machine.storage[disk.index].attachment {
                (*path, *format) = (overlay, None);
            }
        }
        self.layers.push(from.to_owned());
        Ok(Ok(name))
    }
}

/// Gives a file that nobody writes to a name in the copy.
fn copy_layer(from: &Path, to: &Path, mode: CloneMode, progress: &mut CloneProgress<'_>) -> Result<(), BundleError> {
    let link = || fs::hard_link(from, to).is_ok();
    let shared = match mode {
        CloneMode::Auto | CloneMode::Reflink => image::reflink(from, to)? || link(),
        CloneMode::Overlay => link(),
        CloneMode::Copy => false,
    };
    if shared { Ok(()) } else { copy(from, to, progress) }
}

fn copy(from: &Path, to: &Path, progress: &mut CloneProgress<'_>) -> Result<(), BundleError> {
    let length = from.metadata().map_err(|source| BundleError::file(from, source))?.len();
    Ok(image::copy_file(from, to, &mut |done| progress(done, length))?)
}

/// Keeps everybody from writing to a file.
fn protect(path: &Path) -> Result<(), BundleError> {
    let failed = |source| BundleError::file(path, source);
    let mut permissions = path.metadata().map_err(failed)?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).map_err(failed)
}

/// Whether nobody writes to a file, such as a layer on which nothing of this machine stands any more.
fn is_protected(path: &Path) -> Result<bool, BundleError> {
    let metadata = path.metadata().map_err(|source| BundleError::file(path, source))?;
    Ok(metadata.permissions().readonly())
}
