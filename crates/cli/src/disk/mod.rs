//! `russet disk`: images without a machine.

mod serve;

use clap::Subcommand;

use crate::failure::Failure;

/// What to do with disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Offer disks to other programs over NBD.
    Serve(serve::ServeArgs),
}

pub(crate) fn execute(command: &DiskCommand, json: bool) -> Result<(), Failure> {
    match command {
        DiskCommand::Serve(args) => serve::execute(args, json),
    }
}
