//! The disks in the folder of a machine that it can write to, as one who copies the machine sees them.

use std::path::{Path, PathBuf};

use block::Disk;
use block::image::{Format, Image, ImageOptions, MAX_BELOW};
use block::qcow2::{BackingName, Layer};
use config::{DiskAttachment, Engine, Machine};

use super::{Bundle, BundleError};
use crate::{default_engine, open};

/// Such a disk.
pub(super) struct OwnDisk {
    /// Which of the machine's disks.
    pub(super) index: usize,
    /// The name of its file.
    pub(super) file: PathBuf,
    /// Open for reading, so that nobody writes to it.
    pub(super) image: Image,
    /// It is opened by Apple's framework, which knows raw images only.
    by_framework: bool,
}

impl OwnDisk {
    /// All of a machine.
    pub(super) fn all(bundle: &Bundle, machine: &Machine) -> Result<Vec<Self>, BundleError> {
        let engine = machine.engine.unwrap_or_else(default_engine);
        let mut disks = Vec::new();
        for (index, storage) in machine.storage.iter().enumerate() {
            let DiskAttachment::Image { path, format, backing_folder } = &storage.attachment else { continue };
            let Some(file) = path.file_name().filter(|_| path.parent() == Some(bundle.folder())) else { continue };
            if storage.read_only {
                continue;
            }
            let options = ImageOptions {
                read_only: true,
                format: format.map(open::image_format),
                allowed: backing_folder.iter().cloned().collect(),
                ..ImageOptions::default()
            };
            let image = Image::open(path, &options)?;
            let by_framework = engine == Engine::Vz && image.format == Format::Raw;
            disks.push(Self { index, file: file.into(), image, by_framework });
        }
        Ok(disks)
    }

    /// Whether the file is below this disk.
    pub(super) fn stands_on(&self, file: &Path) -> bool {
        // Files below have their real paths.
        file.canonicalize().is_ok_and(|file| self.image.below.iter().any(|below| below.path == file))
    }

    /// What is below, where the disk itself has nothing, as after it was copied and before its machine ran.
    pub(super) fn adds_nothing_to(&self) -> Result<Option<BackingName>, BundleError> {
        let Some(top) = &self.image.qcow2 else { return Ok(None) };
        let mut offset = 0;
        while offset < top.size() {
            let (len, layer) = top.layer(offset, top.size() - offset)?;
            if layer != Layer::Below {
                return Ok(None);
            }
            offset += len;
        }
        Ok(top.header().backing.clone())
    }

    /// How an overlay in the same folder names this disk, or why there can be none.
    pub(super) fn as_backing(&self) -> Result<BackingName, &'static str> {
        if self.by_framework {
            return Err("Apple's framework takes raw disks, not overlays");
        }
        if !matches!(self.image.format, Format::Raw | Format::Qcow2) {
            return Err("only raw and qcow2 images can be below an overlay here");
        }
        if !self.image.disk.size().is_multiple_of(512) {
            return Err("its size is no multiple of 512 bytes");
        }
        if self.image.below.len() >= MAX_BELOW {
            return Err("it stands on too many layers: `russet disk rebase --flatten` makes it one image again");
        }
        // What is before a `:` would be taken for a protocol.
        let name = self.file.to_str().filter(|name| !name.contains(':'));
        let name = name.ok_or("an overlay cannot name it: it must be UTF-8 without `:`")?;
        Ok(BackingName { name: name.to_owned(), format: Some(self.image.format.name().to_owned()) })
    }

    /// The name of an overlay above this disk, such as `Disk.1.qcow2`, that no file in the folder has.
    pub(super) fn overlay_name(&self, folder: &Path) -> PathBuf {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let numbered = stem.rsplit_once('.').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let stem = numbered.map_or(&*stem, |(stem, _)| stem);
        let mut names = (1u64..).map(|number| PathBuf::from(format!("{stem}.{number}.qcow2")));
        names.find(|name| !folder.join(name).exists()).unwrap_or_default()
    }
}
