//! Disks: which device, which attachment, and when our own NBD server has to carry one.

use config::{Caching, DiskAttachment, ImageFormat, Machine, Platform, Problem, Storage, StorageDevice, Sync};

use super::{BlockSync, Disk, DiskDevice, DiskSource, Helper, ImageSync, Object, Planner};
use crate::{Api, DriveId, Host};

/// A USB drive to be plugged into a machine that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The drive. Where its blocks are at a helper, it is the first of `helpers`.
    pub disk: Disk,
    /// What is started before it is plugged in. The disk that they speak of is this one, whatever its number.
    pub helpers: Vec<Helper>,
    /// With what it can be plugged in and may disappoint.
    pub warnings: Vec<Problem>,
}

/// Plans a drive for a machine that runs on a Mac.
///
/// # Errors
/// As those of [`plan`](super::plan()), and that it is no USB drive.
pub fn plan_drive(machine: &Machine, storage: &Storage, host: &Host) -> Result<Drive, Vec<Problem>> {
    let mut planner = Planner::new(machine, host);
    planner.need("storage", Api::UsbHotPlug, "add it to the machine's configuration and start that anew");
    if storage.device != StorageDevice::UsbMassStorage {
        let what = "only USB drives can be plugged into a machine of the framework that runs";
        planner.refuse("storage.kind", what, "use `usb-mass-storage`");
    }
    let device = planner.device("storage", storage);
    let source = planner.source(0, "storage", storage);
    let disk = Disk { place: None, device, source, read_only: storage.read_only };
    let Planner { helpers, problems: warnings, .. } = planner.finish()?;
    Ok(Drive { disk, helpers, warnings })
}

impl Planner<'_> {
    pub(super) fn disks(&mut self) {
        let machine = self.machine;
        let mut drives = Vec::new();
        for (index, storage) in machine.storage.iter().enumerate() {
            let field = format!("storage[{index}]");
            let device = self.device(&field, storage);
            let source = self.source(index, &field, storage);
            let mut disk = Disk { place: Some(index), device, source, read_only: storage.read_only };
            match &mut disk.device {
                DiskDevice::UsbMassStorage { id } if self.has(Api::XhciController) => {
                    *id = Some(DriveId::of_configuration(index));
                    drives.push(disk);
                }
                _ => self.objects.push(Object::Disk(disk)),
            }
        }
        // It is there without drives too, for those that are plugged in while the machine runs.
        if self.has(Api::XhciController) {
            self.objects.push(Object::XhciController(drives));
        }
    }

    fn device(&mut self, field: &str, storage: &Storage) -> DiskDevice {
        let kind = format!("{field}.kind");
        let identifier = storage.device_id.clone();
        if identifier.is_some() {
            let field = format!("{field}.device-id");
            match storage.device {
                StorageDevice::VirtioBlk => self.need(&field, Api::BlockIdentifier, "remove it"),
                StorageDevice::Nvme | StorageDevice::UsbMassStorage => {
                    self.refuse(field, "only virtio disks get a serial number here", "remove it, or use `virtio-blk`");
                }
            }
        }
        match storage.device {
            StorageDevice::VirtioBlk => DiskDevice::VirtioBlock { identifier },
            StorageDevice::Nvme => {
                self.need(&kind, Api::Nvme, "use `virtio-blk`");
                if matches!(self.machine.platform, Platform::Mac(_)) {
                    self.refuse(kind, "a mac platform has no NVMe controller", "use `virtio-blk`");
                }
                DiskDevice::Nvme
            }
            StorageDevice::UsbMassStorage => {
                self.need(&kind, Api::UsbMassStorage, "use `virtio-blk`");
                DiskDevice::UsbMassStorage { id: None }
            }
        }
    }

    fn source(&mut self, index: usize, field: &str, storage: &Storage) -> DiskSource {
        if let Some(key) = ours(storage) {
            return self.served(index, &format!("{field}.{key}"), storage);
        }
        match &storage.attachment {
            DiskAttachment::Image { path, backing_folder, .. } => {
                if backing_folder.is_some() {
                    let what = "there is nothing below a raw image, in this folder or elsewhere";
                    self.warn(format!("{field}.backing-folder"), what, "remove it, or say which format it has");
                }
                DiskSource::Image { path: path.clone(), modes: self.modes(field, storage) }
            }
            DiskAttachment::BlockDevice { path } => {
                self.need(&format!("{field}.type"), Api::DiskBlockDevice, "use an image file");
                self.uncached_is_for_images(field, storage);
                DiskSource::BlockDevice { path: path.clone(), sync: block_sync(storage.sync) }
            }
            DiskAttachment::Nbd { uri, timeout } => {
                self.need(&format!("{field}.uri"), Api::NetworkBlockDevice, "use an image file");
                self.uncached_is_for_images(field, storage);
                DiskSource::Nbd { uri: uri.clone(), timeout: *timeout, sync: block_sync(storage.sync) }
            }
        }
    }

    /// The framework opens raw images only, and limits nothing. What it cannot, our NBD server does.
    fn served(&mut self, index: usize, field: &str, storage: &Storage) -> DiskSource {
        let instead = "convert the image to raw and remove `snapshot`, `bps` and `iops`";
        self.need(field, Api::NetworkBlockDevice, instead);
        let helper = self.help(Helper::NbdServer { storage: index });
        DiskSource::Served { helper, sync: block_sync(storage.sync) }
    }

    /// Caching and what a flush does, always said: what the framework chooses by itself corrupts Linux file systems.
    fn modes(&mut self, field: &str, storage: &Storage) -> Option<(Caching, ImageSync)> {
        if !self.has(Api::DiskImageModes) {
            let (key, asked) = match (storage.caching, storage.sync) {
                (Caching::Uncached, _) => ("caching", true),
                (_, Sync::Fsync) => ("caching", false),
                _ => ("sync", true),
            };
            if asked {
                self.need(&format!("{field}.{key}"), Api::DiskImageModes, "leave it out");
            } else if storage.caching == Caching::Cached && storage.changes_attachment() {
                let what = "macOS 11 chooses how images are cached, which can corrupt file systems of Linux guests";
                self.warn(format!("{field}.{key}"), what, "update to macOS 12 or later");
            }
            return None;
        }
        let sync = match storage.sync {
            Sync::Full => ImageSync::Full,
            Sync::Fsync => ImageSync::Fsync,
            Sync::None => ImageSync::None,
        };
        Some((storage.caching, sync))
    }

    fn uncached_is_for_images(&mut self, field: &str, storage: &Storage) {
        match storage.caching {
            Caching::Cached => {}
            Caching::Uncached | Caching::Automatic => {
                let what = "only image files have a choice of caching";
                self.refuse(format!("{field}.caching"), what, "remove it");
            }
        }
    }
}

/// The key for which a disk needs our server, if it does.
fn ours(storage: &Storage) -> Option<&'static str> {
    if storage.snapshot {
        return Some("snapshot");
    }
    if storage.bps.is_some() || storage.iops.is_some() {
        return Some(if storage.bps.is_some() { "bps" } else { "iops" });
    }
    match &storage.attachment {
        DiskAttachment::Image { format: Some(format), .. } => (*format != ImageFormat::Raw).then_some("format"),
        DiskAttachment::Image { path, format: None, .. } => {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|e| ["qcow2", "vmdk", "vhdx"].contains(&e)).then_some("path")
        }
        _ => None,
    }
}

/// There is no `fsync` here; the whole way to the medium holds more than it promises.
fn block_sync(sync: Sync) -> BlockSync {
    match sync {
        Sync::Full | Sync::Fsync => BlockSync::Full,
        Sync::None => BlockSync::None,
    }
}
