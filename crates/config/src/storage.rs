//! Disks: the device that the guest sees, and what its blocks are kept in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::choice::exactly_one;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Storage {
    /// The device that the guest sees.
    pub device: StorageDevice,
    /// Where the blocks are.
    pub attachment: DiskAttachment,
    /// The guest cannot write.
    pub read_only: bool,
    /// What the guest writes is thrown away at the end; the image or device is not changed.
    pub snapshot: bool,
    /// Use of the host's page cache.
    pub caching: Caching,
    /// What a flush of the guest does.
    pub sync: Sync,
    /// The serial number, seen in Linux as `/dev/disk/by-id/virtio-<id>`; at most 20 bytes (virtio 1.3, 5.2.6).
    pub device_id: Option<String>,
    /// Most bytes in a second; no limit without.
    pub bps: Option<u64>,
    /// Most requests in a second; no limit without.
    pub iops: Option<u64>,
}

impl Storage {
    /// A writable virtio disk over the image at `path`, with the safe defaults.
    #[must_use]
    pub fn image(path: impl Into<PathBuf>) -> Self {
        Storage {
            device: StorageDevice::VirtioBlk,
            attachment: DiskAttachment::Image { path: path.into(), format: None, backing_folder: None },
            read_only: false,
            snapshot: false,
            caching: Caching::default(),
            sync: Sync::default(),
            device_id: None,
            bps: None,
            iops: None,
        }
    }

    /// Whether the image or device itself is written to.
    #[must_use]
    pub fn changes_attachment(&self) -> bool {
        !self.read_only && !self.snapshot
    }
}

/// The kind of disk that the guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageDevice {
    /// virtio block device.
    VirtioBlk,
    /// NVM Express.
    Nvme,
    /// USB mass storage.
    UsbMassStorage,
}

/// What a disk's blocks are kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskAttachment {
    /// A disk image file.
    Image {
        /// The file.
        path: PathBuf,
        /// Its format; `None`: what the name says, `.qcow2`, `.vmdk`, `.vhdx` or else raw. Never guessed from the
        /// content, which the guest can write.
        format: Option<ImageFormat>,
        /// A folder beside the image's own in which files below a qcow2 image may lie.
        backing_folder: Option<PathBuf>,
    },
    /// A block device of the host.
    BlockDevice {
        /// The device node.
        path: PathBuf,
    },
    /// An export of an NBD server.
    Nbd {
        /// The export, as in the NBD URI specification: `nbd://host:port/export`, `nbd+unix:///export?socket=path`.
        uri: String,
        /// How long to wait for an answer before connecting anew, in milliseconds.
        timeout: Option<u64>,
    },
}

/// The format of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Blocks as they are.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
    /// VMware's format.
    Vmdk,
    /// Hyper-V's format.
    Vhdx,
}

/// Use of the host's page cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caching {
    /// Reads and writes go through the host's page cache.
    #[default]
    Cached,
    /// They go past it.
    Uncached,
    /// The framework chooses; known to corrupt file systems of Linux guests on macOS.
    Automatic,
}

/// What a flush of the guest does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Everything reaches the medium (on macOS `F_FULLFSYNC`).
    Full,
    /// Everything has left the host's page cache (`fsync`).
    #[default]
    Fsync,
    /// Nothing: a crash of the host loses flushed writes.
    None,
}

/// The keys of `[[storage]]` and of `--device virtio-blk|nvme|usb-mass-storage|nbd`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<PathType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<ImageFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backing_folder: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    readonly: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    snapshot: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    caching: Caching,
    #[serde(default, skip_serializing_if = "is_default")]
    sync: Sync,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bps: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iops: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
}

/// The device, and `nbd` for a virtio disk over NBD.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    VirtioBlk,
    Nvme,
    UsbMassStorage,
    Nbd,
}

/// What `path` is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PathType {
    Image,
    Dev,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TryFrom<Keys> for Storage {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let block_device = keys.r#type == Some(PathType::Dev);
        if keys.uri.is_some() && (keys.r#type.is_some() || keys.format.is_some()) {
            return Err("`type` and `format` describe a `path`: remove them beside `uri`".to_owned());
        }
        if keys.backing_folder.is_some() && (keys.path.is_none() || block_device) {
            return Err("`backing-folder` is for an image in a `path`: remove it".to_owned());
        }
        if block_device && keys.format.is_some() {
            return Err("a block device has no `format`: remove it".to_owned());
        }
        if keys.path.is_some() && keys.timeout.is_some() {
            return Err("`timeout` is for a disk with a `uri`: remove it".to_owned());
        }
        let path = keys.path.map(|path| match block_device {
            true => DiskAttachment::BlockDevice { path },
            false => DiskAttachment::Image { path, format: keys.format, backing_folder: keys.backing_folder },
        });
        let uri = keys.uri.map(|uri| DiskAttachment::Nbd { uri, timeout: keys.timeout });
        let (device, attachment) = match keys.kind {
            Kind::Nbd => match (path, uri) {
                (None, Some(uri)) => (StorageDevice::VirtioBlk, uri),
                _ => return Err("`nbd` needs a `uri` and no `path`".to_owned()),
            },
            Kind::VirtioBlk => (StorageDevice::VirtioBlk, exactly_one(vec![("path", path), ("uri", uri)])?),
            Kind::Nvme => (StorageDevice::Nvme, exactly_one(vec![("path", path), ("uri", uri)])?),
            Kind::UsbMassStorage => (StorageDevice::UsbMassStorage, exactly_one(vec![("path", path), ("uri", uri)])?),
        };
        Ok(Storage {
            device,
            attachment,
            read_only: keys.readonly,
            snapshot: keys.snapshot,
            caching: keys.caching,
            sync: keys.sync,
            device_id: keys.device_id,
            bps: keys.bps,
            iops: keys.iops,
        })
    }
}

impl From<Storage> for Keys {
    fn from(storage: Storage) -> Self {
        let mut keys = Keys {
            kind: match storage.device {
                StorageDevice::VirtioBlk => Kind::VirtioBlk,
                StorageDevice::Nvme => Kind::Nvme,
                StorageDevice::UsbMassStorage => Kind::UsbMassStorage,
            },
            path: None,
            uri: None,
            r#type: None,
            format: None,
            backing_folder: None,
            readonly: storage.read_only,
            snapshot: storage.snapshot,
            caching: storage.caching,
            sync: storage.sync,
            device_id: storage.device_id,
            bps: storage.bps,
            iops: storage.iops,
            timeout: None,
        };
        match storage.attachment {
            DiskAttachment::Image { path, format, backing_folder } => {
                keys.path = Some(path);
                keys.format = format;
                keys.backing_folder = backing_folder;
            }
            DiskAttachment::BlockDevice { path } => {
                keys.path = Some(path);
                keys.r#type = Some(PathType::Dev);
            }
            DiskAttachment::Nbd { uri, timeout } => {
                if keys.kind == Kind::VirtioBlk {
                    keys.kind = Kind::Nbd;
                }
                keys.uri = Some(uri);
                keys.timeout = timeout;
            }
        }
        keys
    }
}
