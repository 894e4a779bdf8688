//! `russet disk`: images without a machine, and the disks of one that runs.

mod check;
mod clone;
mod convert;
mod create;
mod info;
mod layers;
mod map;
mod resize;
mod running;
mod serve;
pub(crate) mod size;
mod target;
mod work;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) use clone::{CloneHow, copy_file};
pub(crate) use work::Work;

use block::image::{Format, Image, ImageOptions};
use clap::{Args, Subcommand, ValueHint};

use crate::failure::{Failure, Status};

/// What to do with disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// Make an image, empty or above another one.
    Create(create::CreateArgs),
    /// Say what an image is: format, size, what is below it, who has it open.
    Info(info::InfoArgs),
    /// Look for damage in an image, and mend what can be mended.
    Check(check::CheckArgs),
    /// Make a disk larger or smaller.
    Resize(resize::ResizeArgs),
    /// Copy a disk into an image of another format.
    Convert(convert::ConvertArgs),
    /// Give the space back that zeroes take in an image.
    Compact(convert::CompactArgs),
    /// Copy an image in no time: with shared blocks, as an overlay, or else byte by byte.
    Clone(clone::CloneArgs),
    /// Move what an overlay has into the image below it, and empty the overlay.
    Commit(layers::CommitArgs),
    /// Put another image below an overlay, or none.
    Rebase(layers::RebaseArgs),
    /// Say which parts of a disk have data, and where.
    Map(map::MapArgs),
    /// Offer disks to other programs over NBD.
    Serve(serve::ServeArgs),
    /// Put a disk into a machine that runs, and print its name there.
    ///
    /// For example: russet disk attach web data.img,bus=nvme
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
        DiskCommand::Create(args) => create::execute(args, json),
        DiskCommand::Info(args) => info::execute(args, json),
        DiskCommand::Check(args) => check::execute(args, json),
        DiskCommand::Resize(args) => resize::execute(args, json),
        DiskCommand::Convert(args) => convert::execute(args, json),
        DiskCommand::Compact(args) => convert::compact(args, json),
        DiskCommand::Clone(args) => clone::execute(args, json),
        DiskCommand::Commit(args) => layers::commit(args, json),
        DiskCommand::Rebase(args) => layers::rebase(args, json),
        DiskCommand::Map(args) => map::execute(args, json),
        DiskCommand::Serve(args) => serve::execute(args, json),
        DiskCommand::Attach(args) => running::attach(args, json),
        DiskCommand::Detach(args) => running::detach(args, json),
        DiskCommand::Attached(machine) => running::list(machine, json),
        DiskCommand::SetSize(args) => running::set_size(args, json),
    }
}

/// The image that a command works on.
#[derive(Debug, Args)]
struct ImageArgs {
    /// The image.
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    path: PathBuf,

    /// Its format: raw, qcow2, vmdk or vhdx. Without it what the name says, else raw; never the contents.
    #[arg(short, long)]
    format: Option<Format>,

    /// A folder beside the image's own in which files below it may lie; repeat for more.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    backing_folder: Vec<PathBuf>,
}

impl ImageArgs {
    fn open(&self, read_only: bool) -> Result<Image, Failure> {
        let options = ImageOptions { read_only, ..self.options() };
        Image::open(&self.path, &options).map_err(|error| failed(&self.path, error))
    }

    fn options(&self) -> ImageOptions {
        ImageOptions { format: self.format, allowed: self.backing_folder.clone(), ..ImageOptions::default() }
    }
}

/// The exit status of what is wrong with a disk: the image or its name, or what the host says to it.
pub(crate) fn status(error: &block::Error) -> Status {
    match error {
        block::Error::InFile { source, .. } => status(source),
        block::Error::Open { source, .. } if source.kind() == ErrorKind::NotFound => Status::Usage,
        block::Error::Open { .. }
        | block::Error::Locked { .. }
        | block::Error::WriteProtected { .. }
        | block::Error::Busy { .. }
        | block::Error::Nbd(_) => Status::Host,
        block::Error::Io { .. } | block::Error::FlushFailed => Status::Other,
        _ => Status::Usage,
    }
}

/// A failure that says which image it is about.
fn failed(path: &Path, error: block::Error) -> Failure {
    let text = error.to_string();
    let named = text.starts_with(&path.display().to_string()) || matches!(error, block::Error::InFile { .. });
    Failure::new(status(&error), if named { text } else { format!("{}: {text}", path.display()) })
}
