//! `russet disk`: images without a machine, and the disks of one that runs.

mod running;
mod serve;

use clap::Subcommand;

use crate::failure::Failure;

/// What to do with disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Offer disks to other programs over NBD.
    Serve(serve::ServeArgs),
    /// Put a disk into a machine that runs, and print its name there.
    ///
    /// For example: russet disk attach vm.sock nvme,path=data.img
    Attach(running::AttachArgs),
    /// Take a disk out of a machine that runs, when its guest has let go of it.
    Detach(running::DetachArgs),
    /// List the disks of a machine that runs.
    Attached(running::Machine),
    /// Give a disk of a machine that runs another size, and tell the guest.
    ///
    /// For example: russet disk set-size vm.sock disk0 40G
    SetSize(running::SetSizeArgs),
}

pub(crate) fn execute(command: &DiskCommand, json: bool) -> Result<(), Failure> {
    match command {
        DiskCommand::Serve(args) => serve::execute(args, json),
        DiskCommand::Attach(args) => running::attach(args, json),
        DiskCommand::Detach(args) => running::detach(args, json),
        DiskCommand::Attached(machine) => running::list(machine, json),
        DiskCommand::SetSize(args) => running::set_size(args, json),
    }
}
