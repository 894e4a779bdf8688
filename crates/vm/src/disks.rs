//! The disks of a virtual machine, as whoever runs it sees and changes them.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use block::Disk;
use config::Storage;
use machine::{Control, HotPlugError};
use parking_lot::Mutex;

use crate::{Error, open};

/// Which disk: by its place in the configuration, or by the slot that it was attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiskName {
    /// `disk0`, `disk1`...: in the order of the configuration's `storage` list. They stay.
    Storage(usize),
    /// `slot1`, `slot2`...: attached later. On our board a Linux guest has the number in `/sys/bus/pci/slots`.
    Slot(usize),
}

impl fmt::Display for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(index) => write!(f, "disk{index}"),
            Self::Slot(number) => write!(f, "slot{number}"),
        }
    }
}

impl FromStr for DiskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |prefix: &str| text.strip_prefix(prefix).and_then(|number| number.parse().ok());
        let slot = number("slot").map(Self::Slot);
        slot.or_else(|| number("disk").map(Self::Storage)).ok_or_else(|| {
            format!("`{text}` is no disk of a machine: they are called disk0, disk1.. and slot1, slot2..")
        })
    }
}

/// A disk as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskStatus {
    /// Its name.
    pub name: DiskName,
    /// Its size in bytes; `None` where only the framework knows it.
    pub size: Option<u64>,
    /// Whether the guest cannot write it.
    pub read_only: bool,
}

/// The disks of a machine.
pub(crate) struct Disks {
    /// Those of the configuration.
    storage: Vec<Arc<dyn Disk>>,
    /// Those that were attached, by slot: they are held by who has them in the slot, and closed when they leave it.
    attached: Mutex<Vec<(usize, Weak<dyn Disk>)>>,
    queues: u16,
    control: Control,
}

impl Disks {
    pub(crate) fn new(storage: Vec<Arc<dyn Disk>>, queues: u16, control: Control) -> Self {
        Self { storage, attached: Mutex::default(), queues, control }
    }

    fn all(&self) -> Vec<(DiskName, Arc<dyn Disk>)> {
        let storage = self.storage.iter().enumerate().map(|(index, disk)| (DiskName::Storage(index), disk.clone()));
        let mut attached = self.attached.lock();
        attached.retain(|(_, disk)| disk.strong_count() > 0);
        let attached = attached.iter().filter_map(|(slot, disk)| Some((DiskName::Slot(slot + 1), disk.upgrade()?)));
        storage.chain(attached).collect()
    }

    /// See [`Disk::set_patience`].
    pub(crate) fn set_patience(&self, patient: bool) {
        self.all().iter().for_each(|(_, disk)| disk.set_patience(patient));
    }

    pub(crate) fn list(&self) -> Vec<DiskStatus> {
        let status = |(name, disk): (DiskName, Arc<dyn Disk>)| DiskStatus {
            name,
            size: Some(disk.size()),
            read_only: disk.read_only(),
        };
        let mut list: Vec<_> = self.all().into_iter().map(status).collect();
        list.sort_by_key(|disk| disk.name);
        list
    }

    pub(crate) fn attach(&self, storage: &Storage) -> Result<DiskName, Error> {
        let (disk, device) = open::disk("disk", storage, self.queues)?;
        let disk_left = Arc::downgrade(&disk);
        drop(disk);
        let slot = self.control.insert(device)?;
        self.attached.lock().push((slot, disk_left));
        Ok(DiskName::Slot(slot + 1))
    }

    pub(crate) fn detach(&self, name: DiskName, patience: Option<Duration>) -> Result<(), Error> {
        let slot = match name {
            DiskName::Storage(_) => return Err(Error::StaysIn(name)),
            DiskName::Slot(number) => number.checked_sub(1).ok_or(Error::NoSuchDisk(name))?,
        };
        let left = match patience {
            Some(patience) => self.control.remove(slot, patience),
            None => {
                self.all().iter().filter(|(other, _)| *other == name).for_each(|(_, disk)| disk.set_patience(false));
                self.control.pull(slot)
            }
        };
        left.map_err(|error| match error {
            HotPlugError::Empty(_) => Error::NoSuchDisk(name),
            other => Error::HotPlug(other),
        })
    }

    pub(crate) fn resize(&self, name: DiskName, size: u64) -> Result<(), Error> {
        let found = self.all().into_iter().find(|(other, _)| *other == name);
        let (_, disk) = found.ok_or(Error::NoSuchDisk(name))?;
        disk.resize(size).map_err(|source| Error::Disk { field: name.to_string(), source })
    }
}
