//! `russet disk clone`.

use std::path::{Path, PathBuf};

use block::image::{self, Format};
use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;
use vm::CloneMode;

use super::target::{Plan, Target};
use super::work::Work;
use super::{ImageArgs, convert, create, failed};
use crate::failure::{Failure, Status};
use crate::say::print;

/// How to copy: [`CloneMode`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CloneHow {
    /// The first of the others that can be done.
    Auto,
    /// Share blocks: XFS, btrfs, bcachefs, APFS. The copies are independent.
    Reflink,
    /// A qcow2 overlay above the disk as it is now, which nobody may write to any more.
    Overlay,
    /// Byte by byte, without zeroes.
    Copy,
}

impl From<CloneHow> for CloneMode {
    fn from(how: CloneHow) -> Self {
        match how {
            CloneHow::Auto => Self::Auto,
            CloneHow::Reflink => Self::Reflink,
            CloneHow::Overlay => Self::Overlay,
            CloneHow::Copy => Self::Copy,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet disk clone root.img work.img
      A reflink if the file system can, else a copy.
  russet disk clone root.img work.qcow2
      A reflink makes no qcow2 of raw: an overlay, at once.")]
pub(crate) struct CloneArgs {
    #[command(flatten)]
    image: ImageArgs,

    /// The new image.
    #[arg(value_name = "TARGET", value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// How to copy; by itself a reflink where the formats are the same, an overlay to a .qcow2, else a copy.
    #[arg(long, value_enum, default_value = "auto")]
    mode: CloneHow,
}

pub(crate) fn execute(args: &CloneArgs, json: bool) -> Result<(), Failure> {
    let (path, target) = (&args.image.path, &args.target);
    let source = args.image.open(true)?;
    let to = Format::of_name(target).map_err(|error| failed(target, error))?;
    let unable = |text: &str| Failure::new(Status::Host, format!("{}: {text}", target.display()));
    // An image that names what is below it relative to its folder must stay in that folder.
    let same_folder = || path.parent() == target.parent();
    // A vmdk image may be several files.
    let reflinks = to == source.format && to != Format::Vmdk && (source.below.is_empty() || same_folder());
    let mut done = None;
    if matches!(args.mode, CloneHow::Auto | CloneHow::Reflink) && reflinks {
        let part = Target::new(target, false)?;
        if image::reflink(path, part.part()).map_err(|error| failed(target, error))? {
            part.finish()?;
            done = Some("reflink");
        }
    }
    if done.is_none() && args.mode == CloneHow::Reflink {
        return Err(unable("this file system cannot share blocks between these files: choose another --mode"));
    }
    if done.is_none() && (args.mode == CloneHow::Overlay || args.mode == CloneHow::Auto && to == Format::Qcow2) {
        if to != Format::Qcow2 {
            return Err(unable("an overlay is a qcow2 image: call it .qcow2"));
        }
        let name = match same_folder() {
            true => PathBuf::from(path.file_name().unwrap_or_default()),
            false => path.canonicalize().map_err(|error| failed(path, block::Error::io("find the image")(error)))?,
        };
        let (backing, size) = create::below(target, &name, Some(source.format))?;
        let part = Target::new(target, false)?;
        drop(part.create(&Plan { format: to, size, cluster_bits: 16, backing: Some(backing) })?);
        part.finish()?;
        done = Some("overlay");
    }
    if done.is_none() {
        convert::copy_to(&*source.disk, target, to, 16, false, json)?;
    }
    let how = done.unwrap_or("copy");
    match json {
        true => print(&json!({ "path": target, "how": how }).to_string()),
        false if how == "overlay" => print(&format!(
            "{}: an overlay above {}, which must not be written to any more",
            target.display(),
            path.display()
        )),
        false => print(&format!("{}: cloned by {how}", target.display())),
    }
    Ok(())
}

/// Copies a file into the folder of a machine: with shared blocks where the file system can, else without its zeroes.
pub(crate) fn copy_file(from: &Path, to: &Path, json: bool) -> Result<(), Failure> {
    let work = Work::start("copying", from.metadata().map_or(0, |meta| meta.len()), json)?;
    let copied = image::copy_file(from, to, &mut work.step());
    work.end(to, copied)
}
