//! The disks of a configuration.

use std::sync::Arc;
use std::time::Duration;

use block::image::{self, Format, Image, ImageOptions};
use block::nbd::{Client, ClientOptions, Uri};
use block::{Disk, Limits, Throttle};
use config::{Caching, DiskAttachment, ImageFormat, Storage, Sync};

use crate::Error;

/// Opens the disk of the field `field`.
pub(crate) fn open(field: &str, storage: &Storage) -> Result<Arc<dyn Disk>, Error> {
    let failed = |source| Error::Disk { field: field.to_owned(), source };
    let mut options = ImageOptions {
        read_only: storage.read_only,
        snapshot: storage.snapshot,
        sync: match storage.sync {
            Sync::Full => block::SyncMode::Full,
            Sync::Fsync => block::SyncMode::Fsync,
            Sync::None => block::SyncMode::None,
        },
        caching: match storage.caching {
            Caching::Cached => block::Caching::Cached,
            Caching::Uncached => block::Caching::Uncached,
            Caching::Automatic => {
                let what = "`automatic` is the framework's of macOS: choose `cached` or `uncached`";
                return Err(Error::unsupported(format!("{field}.caching"), what));
            }
        },
        ..ImageOptions::default()
    };
    let disk = match &storage.attachment {
        DiskAttachment::Image { path, format, backing_folder } => {
            options.format = format.map(image_format);
            options.allowed = backing_folder.iter().cloned().collect();
            Image::open(path, &options).map_err(failed)?.disk
        }
        DiskAttachment::BlockDevice { path } => {
            options.format = Some(Format::Raw);
            Image::open(path, &options).map_err(failed)?.disk
        }
        DiskAttachment::Nbd { uri, timeout } => nbd(uri, *timeout, storage).map_err(failed)?,
    };
    if storage.sync == Sync::None && !storage.read_only && !storage.snapshot {
        tracing::warn!(
            field,
            "sync=none: what the guest flushes is lost when this host crashes or loses power; leave it out to keep it"
        );
    }
    let limits = Limits { bytes: storage.bps, requests: storage.iops };
    Ok(match limits == Limits::default() {
        true => disk,
        false => Arc::new(Throttle::new(disk, limits)),
    })
}

/// A format, as images know it.
pub(crate) fn image_format(format: ImageFormat) -> Format {
    match format {
        ImageFormat::Raw => Format::Raw,
        ImageFormat::Qcow2 => Format::Qcow2,
        ImageFormat::Vmdk => Format::Vmdk,
        ImageFormat::Vhdx => Format::Vhdx,
    }
}

/// Connects to an export. `timeout` is in milliseconds: how long the server may be silent before it counts as lost.
fn nbd(uri: &str, timeout: Option<u64>, storage: &Storage) -> Result<Arc<dyn Disk>, block::Error> {
    let mut options = ClientOptions { read_only: storage.read_only || storage.snapshot, ..ClientOptions::default() };
    if let Some(timeout) = timeout {
        options.answer_within = Duration::from_millis(timeout);
    }
    let disk = Arc::new(Client::connect(&uri.parse::<Uri>()?, &options)?);
    if storage.snapshot { image::throw_away(disk) } else { Ok(disk) }
}
