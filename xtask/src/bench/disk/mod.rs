//! Disks.

mod nbd;

use anyhow::Result;
use clap::Subcommand;

/// What to measure of disks.
#[derive(Subcommand)]
pub(crate) enum Disk {
    /// Our NBD server and qemu-nbd on the same qcow2 image with a throw-away overlay, by fio and nbdcopy, in turn
    Nbd(nbd::Options),
}

pub(crate) fn run(disk: &Disk) -> Result<()> {
    match disk {
        Disk::Nbd(options) => nbd::run(options),
    }
}
