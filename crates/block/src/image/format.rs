//! Which format a file is opened as. A guest writes what it likes into its disk, so contents never choose it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::{Disk, Error, qcow2, vhdx, vmdk};

/// The format of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The bytes of the file are the bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
    /// VMware's format. Read only.
    Vmdk,
    /// Hyper-V's format. Read only.
    Vhdx,
}

impl Format {
    /// The name, as in `format=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
        }
    }

    /// Whether its images can only be read.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Vmdk | Self::Vhdx)
    }

    /// The format that a file's name says: `.qcow2`, `.vmdk` and `.vhdx`, everything else is raw.
    pub fn of_name(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match &extension[..] {
            "qcow2" => Ok(Self::Qcow2),
            "vmdk" => Ok(Self::Vmdk),
            "vhdx" => Ok(Self::Vhdx),
            "vhd" | "vdi" => Err(Error::image(format!(
                "{extension} images cannot be read: convert it with `qemu-img convert -O qcow2 IMAGE NEW.qcow2`, or say \
                 format=raw if it is raw"
            ))),
            _ => Ok(Self::Raw),
        }
    }

    /// The format of `path`, whose bytes are `file`: `given` where the user said it, else by the name. A name that
    /// says one thing above contents that look like another is refused, never followed.
    pub fn recognise(path: &Path, given: Option<Self>, file: &dyn Disk) -> Result<Self, Error> {
        let format = given.map_or_else(|| Self::of_name(path), Ok)?;
        let looks = Self::looks(file)?;
        match (format, looks, given) {
            (Self::Raw, Some(other), None) => Err(Error::image(format!(
                "its name says raw and its contents say {other}: say format={other} if you made it so, or format=raw \
                 if a guest wrote this into its raw disk"
            ))),
            (Self::Raw, ..) => Ok(Self::Raw),
            (wanted, Some(found), _) if wanted == found => Ok(wanted),
            (wanted, ..) => Err(Error::image(format!(
                "it is to be {wanted} but has no {wanted} header: say format=raw if it is raw"
            ))),
        }
    }

    /// What the first bytes look like.
    fn looks(file: &dyn Disk) -> Result<Option<Self>, Error> {
        let mut first = [0; vmdk::DESCRIPTOR.len()];
        let len = file.size().min(first.len() as u64) as usize;
        file.read(0, &mut [std::io::IoSliceMut::new(&mut first[..len])])?;
        Ok(if first.starts_with(&qcow2::MAGIC) {
            Some(Self::Qcow2)
        } else if first.starts_with(&vmdk::MAGIC) || first == vmdk::DESCRIPTOR {
            Some(Self::Vmdk)
        } else if first.starts_with(&vhdx::MAGIC) {
            Some(Self::Vhdx)
        } else {
            None
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Raw, Self::Qcow2, Self::Vmdk, Self::Vhdx]
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("`{text}` is no format: give raw, qcow2, vmdk or vhdx"))
    }
}
