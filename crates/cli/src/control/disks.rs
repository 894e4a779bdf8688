//! What is asked of a running machine's disks.

use std::time::Duration;

use ::config::Storage;
use vm::{DiskName, VirtualMachine};

use super::protocol::{Answer, DiskStatus};

pub(super) fn list(vm: &VirtualMachine) -> Answer {
    let status =
        |disk: vm::DiskStatus| DiskStatus { name: disk.name.to_string(), size: disk.size, read_only: disk.read_only };
    Answer::Disks(vm.disks().into_iter().map(status).collect())
}

pub(super) fn attach(vm: &VirtualMachine, disk: &Storage) -> Result<Answer, String> {
    vm.attach_disk(disk).map(|name| Answer::Attached(name.to_string())).map_err(|error| error.to_string())
}

/// `seconds`: what the guest has; none: it is not asked.
pub(super) fn detach(vm: &VirtualMachine, name: &str, seconds: Option<u64>) -> Result<Answer, String> {
    let name: DiskName = name.parse()?;
    let left = match seconds {
        // A day is for ever.
        Some(seconds) => vm.detach_disk(name, Duration::from_secs(seconds.min(86_400))),
        None => vm.pull_disk(name),
    };
    left.map(|()| list(vm)).map_err(|error| error.to_string())
}

pub(super) fn resize(vm: &VirtualMachine, name: &str, size: u64) -> Result<Answer, String> {
    let name: DiskName = name.parse()?;
    vm.resize_disk(name, size).map(|()| list(vm)).map_err(|error| error.to_string())
}
