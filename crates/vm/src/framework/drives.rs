//! The disks of a machine of the framework: those of its configuration, which stay, and USB drives that come and go.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use block::Disk;
use config::{DiskAttachment, Storage};
use parking_lot::Mutex;
use tempfile::TempDir;
use vz::{Answer, Api, Devices, DiskSource, DriveId, Helper, Object, Plan, PluggedDrive, Resource, plan_drive};

use super::driver::Message;
use super::handle::Handle;
use super::helpers::{self, Serving, private};
use super::window;
use crate::{DiskName, DiskStatus, Error};

/// Where the blocks of a disk are, as far as we know it.
pub(super) enum Blocks {
    /// At our own server.
    Served(Arc<dyn Disk>),
    /// In a file that the framework opens.
    Image(PathBuf),
    /// In a block device or at another server.
    Elsewhere,
}

impl Blocks {
    fn of(storage: &Storage, source: &DiskSource, served: Option<&Arc<dyn Disk>>) -> Self {
        match (served, source, &storage.attachment) {
            (Some(disk), ..) => Self::Served(disk.clone()),
            (None, DiskSource::Image { .. }, DiskAttachment::Image { path, .. }) => Self::Image(path.clone()),
            _ => Self::Elsewhere,
        }
    }

    fn size(&self) -> Option<u64> {
        match self {
            Self::Served(disk) => Some(disk.size()),
            Self::Image(path) => fs::metadata(path).ok().map(|metadata| metadata.len()),
            Self::Elsewhere => None,
        }
    }
}

/// A disk of the configuration.
pub(super) struct Fixed {
    blocks: Blocks,
    read_only: bool,
}

/// The disks of the configuration, some of which are `served` by our helpers, by their place in it.
pub(super) fn fixed(config: &config::Machine, plan: &Plan, served: &[(usize, Arc<dyn Disk>)]) -> Vec<Fixed> {
    let planned = plan.objects.iter().flat_map(|object| match object {
        Object::Disk(disk) => std::slice::from_ref(disk),
        Object::XhciController(drives) => drives,
        _ => &[],
    });
    let mut disks: Vec<_> = planned.filter_map(|disk| Some((disk.place?, disk))).collect();
    disks.sort_by_key(|(place, _)| *place);
    let fixed = |(place, disk): (usize, &vz::Disk)| {
        let served = served.iter().find(|(other, _)| *other == place).map(|(_, disk)| disk);
        Fixed { blocks: Blocks::of(&config.storage[place], &disk.source, served), read_only: disk.read_only }
    };
    disks.into_iter().map(fixed).collect()
}

/// A drive that was attached.
struct Drive {
    number: usize,
    id: DriveId,
    blocks: Blocks,
    read_only: bool,
    label: String,
    /// What serves it, and the folder of its socket.
    _serving: Option<(Serving, TempDir)>,
}

/// The disks of a machine.
pub(super) struct Drives {
    config: config::Machine,
    host: vz::Host,
    driver: Handle,
    fixed: Vec<Fixed>,
    /// Those that were attached since the machine started.
    attached: Mutex<Vec<Drive>>,
}

impl Drives {
    pub(super) fn new(config: &config::Machine, host: &vz::Host, driver: Handle, fixed: Vec<Fixed>) -> Self {
        Self { config: config.clone(), host: host.clone(), driver, fixed, attached: Mutex::default() }
    }

    /// Whether drives can come and go.
    pub(super) fn can_change(&self) -> bool {
        self.host.has(Api::UsbHotPlug)
    }

    /// One that was attached, if there is any.
    pub(super) fn any(&self) -> Option<DiskName> {
        self.attached.lock().first().map(|drive| DiskName::Slot(drive.number))
    }

    /// What a drive that was attached is called.
    pub(super) fn name(&self, drive: DriveId) -> Option<DiskName> {
        let attached = self.attached.lock();
        attached.iter().find(|attached| attached.id == drive).map(|attached| DiskName::Slot(attached.number))
    }

    /// Those that were attached, for a window's user.
    pub(super) fn plugged(&self) -> Vec<PluggedDrive> {
        let drive =
            |drive: &Drive| PluggedDrive { name: DiskName::Slot(drive.number).to_string(), label: drive.label.clone() };
        self.attached.lock().iter().map(drive).collect()
    }

    /// The machine has ended, and its drives with it.
    pub(super) fn clear(&self) {
        // Outside the lock: what serves them is waited for.
        let gone = std::mem::take(&mut *self.attached.lock());
        drop(gone);
    }

    pub(super) fn list(&self) -> Vec<DiskStatus> {
        let status = |name, blocks: &Blocks, read_only| DiskStatus { name, size: blocks.size(), read_only };
        // Where they do not change, and in other states, there is nothing to ask.
        if self.can_change()
            && let Ok(there) =
                self.driver.with_devices("asked for its drives", |devices, answer| devices.drives(answer))
        {
            self.retain(|id| there.contains(&id));
        }
        let fixed = self.fixed.iter().enumerate();
        let fixed = fixed.map(|(index, disk)| status(DiskName::Storage(index), &disk.blocks, disk.read_only));
        let drives = self.attached.lock();
        let attached = drives.iter().map(|drive| status(DiskName::Slot(drive.number), &drive.blocks, drive.read_only));
        fixed.chain(attached).collect()
    }

    pub(super) fn attach(&self, storage: &Storage) -> Result<DiskName, Error> {
        let drive = plan_drive(&self.config, storage, &self.host).map_err(|problems| Error::Plan { problems })?;
        drive.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let (mut serving, mut resources) = (None, Vec::new());
        for helper in &drive.helpers {
            resources.push(match helper {
                Helper::NbdServer { .. } => {
                    let mut folder = None;
                    let host = |source| Error::Host { field: "disk".into(), what: "making a folder", source };
                    let socket = private(&mut folder).map_err(host)?.join("disk.sock");
                    let (export, served) = helpers::serve("disk", storage, socket)?;
                    serving = folder.map(|folder| (served, folder));
                    export
                }
                // A drive has no other.
                _ => Resource::Later,
            });
        }
        let served = serving.as_ref().map(|(serving, _)| serving.disk());
        let blocks = Blocks::of(storage, &drive.disk.source, served);
        let attach = move |devices: &mut dyn Devices, answer: Answer<DriveId>| {
            devices.attach_drive(drive, resources, answer);
        };
        let id = self.driver.with_devices("given a drive", attach)?;
        let mut drives = self.attached.lock();
        let taken = |number: &usize| drives.iter().any(|drive| drive.number == *number);
        let number = (1..).find(|number| !taken(number)).unwrap_or_default();
        let (read_only, label) = (storage.read_only, window::label(storage));
        drives.push(Drive { number, id, blocks, read_only, label, _serving: serving });
        drives.sort_by_key(|drive| drive.number);
        drop(drives);
        self.driver.tell(Message::Show);
        Ok(DiskName::Slot(number))
    }

    /// The framework does not ask the guest.
    pub(super) fn detach(&self, name: DiskName) -> Result<(), Error> {
        let DiskName::Slot(number) = name else { return Err(Error::StaysIn(name)) };
        let found = self.attached.lock().iter().find(|drive| drive.number == number).map(|drive| drive.id);
        let id = found.ok_or(Error::NoSuchDisk(name))?;
        let detach = move |devices: &mut dyn Devices, answer: Answer<()>| devices.detach_drive(id, answer);
        self.driver.with_devices("deprived of a drive", detach)?;
        self.retain(|other| other != id);
        self.driver.tell(Message::Show);
        Ok(())
    }

    fn retain(&self, keep: impl Fn(DriveId) -> bool) {
        // Outside the lock: what serves them is waited for.
        let gone: Vec<_> = self.attached.lock().extract_if(.., |drive| !keep(drive.id)).collect();
        drop(gone);
    }
}
