//! Disks: attachments, and the devices on them.

use std::fs::OpenOptions;

use config::Caching;
use objc2::rc::Retained;
use objc2::{AnyThread, ClassType};
use objc2_foundation::{NSString, NSUUID};
use objc2_virtualization::{self as vz, VZUSBDeviceConfiguration};

use super::export::Exports;
use super::files::{file_handle, file_url};
use super::{error, export};
use crate::{BlockSync, Disk, DiskDevice, DiskSource, Error, ImageSync, Resources};

/// How long an export may take to answer when nothing is said, in seconds.
const TIMEOUT: f64 = 10.0;

/// A disk that is none of a USB controller's.
pub(super) fn storage(
    disk: &Disk,
    resources: &mut Resources,
    exports: &mut Exports,
) -> Result<Retained<vz::VZStorageDeviceConfiguration>, Error> {
    let attachment = attachment(disk, resources, exports)?;
    // SAFETY: plain initializers, with arguments of the declared types; the plan says that this macOS has the classes.
    unsafe {
        Ok(match &disk.device {
            DiskDevice::VirtioBlock { identifier } => {
                let class = vz::VZVirtioBlockDeviceConfiguration::alloc();
                let device = vz::VZVirtioBlockDeviceConfiguration::initWithAttachment(class, &attachment);
                if let Some(identifier) = identifier {
                    type Block = vz::VZVirtioBlockDeviceConfiguration;
                    let identifier = NSString::from_str(identifier);
                    Block::validateBlockDeviceIdentifier_error(&identifier).map_err(error::of(Block::NAME))?;
                    device.setBlockDeviceIdentifier(&identifier);
                }
                Retained::into_super(device)
            }
            DiskDevice::Nvme => {
                let class = vz::VZNVMExpressControllerDeviceConfiguration::alloc();
                Retained::into_super(vz::VZNVMExpressControllerDeviceConfiguration::initWithAttachment(
                    class,
                    &attachment,
                ))
            }
            DiskDevice::UsbMassStorage { .. } => Retained::into_super(usb(&attachment)),
        })
    }
}

/// A drive of a USB controller.
pub(super) fn drive(
    disk: &Disk,
    resources: &mut Resources,
    exports: &mut Exports,
) -> Result<Retained<vz::VZUSBMassStorageDeviceConfiguration>, Error> {
    let drive = usb(&*attachment(disk, resources, exports)?);
    if let DiskDevice::UsbMassStorage { id: Some(id) } = &disk.device {
        // SAFETY: a plain setter, which every macOS with a USB controller has.
        unsafe { drive.setUuid(&NSUUID::from_bytes(id.0.to_be_bytes())) };
    }
    Ok(drive)
}

fn usb(attachment: &vz::VZStorageDeviceAttachment) -> Retained<vz::VZUSBMassStorageDeviceConfiguration> {
    let class = vz::VZUSBMassStorageDeviceConfiguration::alloc();
    // SAFETY: a plain initializer, with an argument of the declared type.
    unsafe { vz::VZUSBMassStorageDeviceConfiguration::initWithAttachment(class, attachment) }
}

/// What a disk's blocks are in. An export joins `exports`.
fn attachment(
    disk: &Disk,
    resources: &mut Resources,
    exports: &mut Exports,
) -> Result<Retained<vz::VZStorageDeviceAttachment>, Error> {
    let mut export = |uri: &str, seconds, sync| {
        let export = export::attach(uri, seconds, disk.read_only, sync)?;
        exports.push((disk.place, export.clone()));
        Ok(Retained::into_super(export))
    };
    match &disk.source {
        DiskSource::Image { path, modes } => {
            let url = file_url(path);
            let class = vz::VZDiskImageStorageDeviceAttachment::alloc();
            type Image = vz::VZDiskImageStorageDeviceAttachment;
            // SAFETY: plain initializers; the one with modes is called only where the plan has modes, which it has not
            // on a macOS without it.
            let image = unsafe {
                match modes {
                    None => Image::initWithURL_readOnly_error(class, &url, disk.read_only),
                    Some((caching, sync)) => Image::initWithURL_readOnly_cachingMode_synchronizationMode_error(
                        class,
                        &url,
                        disk.read_only,
                        caching_mode(*caching),
                        image_sync(*sync),
                    ),
                }
            };
            image.map(Retained::into_super).map_err(error::of(Image::NAME))
        }
        DiskSource::BlockDevice { path, sync } => {
            let opened = OpenOptions::new().read(true).write(!disk.read_only).open(path);
            let file = opened.map_err(|error| Error::new(path.display().to_string(), error.to_string()))?;
            type BlockDevice = vz::VZDiskBlockDeviceStorageDeviceAttachment;
            let handle = file_handle(file.into());
            // SAFETY: a plain initializer; the handle is of a block device that was opened as it is to be used.
            let device = unsafe {
                BlockDevice::initWithFileHandle_readOnly_synchronizationMode_error(
                    BlockDevice::alloc(),
                    &handle,
                    disk.read_only,
                    block_sync(*sync),
                )
            };
            device.map(Retained::into_super).map_err(error::of(BlockDevice::NAME))
        }
        DiskSource::Nbd { uri, timeout, sync } => {
            #[allow(clippy::cast_precision_loss)] // milliseconds of people
            let seconds = timeout.map_or(TIMEOUT, |milliseconds| milliseconds as f64 / 1000.0);
            export(uri, seconds, *sync)
        }
        DiskSource::Served { helper, sync } => export(&resources.export(*helper)?, TIMEOUT, *sync),
    }
}

fn caching_mode(caching: Caching) -> vz::VZDiskImageCachingMode {
    match caching {
        Caching::Automatic => vz::VZDiskImageCachingMode::Automatic,
        Caching::Uncached => vz::VZDiskImageCachingMode::Uncached,
        Caching::Cached => vz::VZDiskImageCachingMode::Cached,
    }
}

fn image_sync(sync: ImageSync) -> vz::VZDiskImageSynchronizationMode {
    match sync {
        ImageSync::Full => vz::VZDiskImageSynchronizationMode::Full,
        ImageSync::Fsync => vz::VZDiskImageSynchronizationMode::Fsync,
        ImageSync::None => vz::VZDiskImageSynchronizationMode::None,
    }
}

fn block_sync(sync: BlockSync) -> vz::VZDiskSynchronizationMode {
    match sync {
        BlockSync::Full => vz::VZDiskSynchronizationMode::Full,
        BlockSync::None => vz::VZDiskSynchronizationMode::None,
    }
}
