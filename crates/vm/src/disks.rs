//! The disks of a virtual machine, as whoever runs it sees and changes them.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Weak};
use std::thread;
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
        let leaving = self.all().into_iter().find(|(other, _)| *other == name).map(|(_, disk)| disk);
        let left = match patience {
            Some(patience) => self.control.remove(slot, patience),
            None => {
                leaving.iter().for_each(|disk| disk.set_patience(false));
                self.control.pull(slot)
            }
        };
        left.map_err(|error| match error {
            HotPlugError::Empty(_) => Error::NoSuchDisk(name),
            other => Error::HotPlug(other),
        })?;
        leaving.into_iter().for_each(|disk| self.close(disk));
        Ok(())
    }

    /// Closes a disk that has left its slot, when the vCPUs that are in one of its registers have come out.
    fn close(&self, disk: Arc<dyn Disk>) {
        self.attached.lock().retain(|(_, other)| !std::ptr::addr_eq(other.as_ptr(), Arc::as_ptr(&disk)));
        while Arc::strong_count(&disk) > 1 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn resize(&self, name: DiskName, size: u64) -> Result<(), Error> {
        let found = self.all().into_iter().find(|(other, _)| *other == name);
        let (_, disk) = found.ok_or(Error::NoSuchDisk(name))?;
        disk.resize(size).map_err(|source| Error::Disk { field: name.to_string(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::atomic::{AtomicBool, Ordering};

    use machine::{Boot, LinuxBoot, Machine, Parts};

    use super::*;

    #[test]
    fn a_disk_that_was_pulled_is_closed_when_who_was_in_it_has_come_out() {
        let kernel = tempfile::tempfile().unwrap();
        let boot = Boot::Linux(LinuxBoot { kernel, initrd: None, command_line: String::new() });
        let parts = Parts { cpus: 1, memory: 2 << 20, boot, pci: Vec::new(), slots: 1, serial: None, reclaim: None };
        let machine = Machine::new(parts, Box::new(|_, _| unreachable!("it does not run")));
        let disks = Disks::new(Vec::new(), 1, machine.control());
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(1 << 20).unwrap();
        let name = disks.attach(&Storage::image(image.path())).unwrap();
        let (_, held) = disks.all().pop().unwrap();
        let out = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                out.store(true, Ordering::SeqCst);
                drop(held);
            });
            disks.detach(name, None).unwrap();
            assert!(out.load(Ordering::SeqCst));
        });
        File::open(image.path()).unwrap().try_lock().unwrap();
        assert_eq!(disks.list(), []);
    }
}
