//! `russet disk convert` and `compact`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block::Disk;
use block::image::{self, Format};
use clap::{Args, ValueHint};
use serde_json::json;

use super::target::{Plan, Target};
use super::work::Work;
use super::{ImageArgs, failed, size};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet disk convert root.img root.qcow2
  russet disk convert work.qcow2 root.img
      With all that is below work.qcow2: one file, nothing below.
  russet disk convert root.img to-send.qcow2 -c
      Small; what a guest writes to it later is not compressed.

Zeroes take no space in the new image. Ctrl-C leaves nothing behind.")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    image: ImageArgs,

    /// The new image; its name says the format, .qcow2 or else raw, unless --to does.
    #[arg(value_name = "TARGET", value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// The format of the new image: raw or qcow2.
    #[arg(short = 'O', long, value_name = "FORMAT")]
    to: Option<Format>,

    /// Bytes that are allocated at once in a qcow2 image: 512 to 2M.
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = size::cluster_bits)]
    cluster_size: u32,

    /// Compress the new image, which must be qcow2, cluster by cluster.
    #[arg(short = 'c', long)]
    compress: bool,

    /// Replace a file of this name.
    #[arg(long)]
    force: bool,
}

pub(crate) fn execute(args: &ConvertArgs, json: bool) -> Result<(), Failure> {
    let format = match args.to {
        Some(format) => format,
        None => Format::of_name(&args.target).map_err(|error| failed(&args.target, error))?,
    };
    if args.compress && format != Format::Qcow2 {
        let message = format!("--compress: {format} images cannot be compressed: choose qcow2");
        return Err(Failure::new(Status::Usage, message));
    }
    let image = args.image.open(true)?;
    match args.compress {
        true => pack_to(&*image.disk, args, json)?,
        false => copy_to(&*image.disk, &args.target, format, args.cluster_size, args.force, json)?,
    }
    say_on_disk(&args.target, image.disk.size(), format, json);
    Ok(())
}

/// Copies a disk into a new image.
pub(super) fn copy_to(
    disk: &dyn Disk,
    path: &Path,
    format: Format,
    cluster_bits: u32,
    force: bool,
    json: bool,
) -> Result<(), Failure> {
    let target = Target::new(path, force)?;
    let to = target.create(&plan(disk, format, cluster_bits))?;
    let work = Work::start("copying", disk.size(), json)?;
    let copied = image::copy(disk, &*to, &mut work.step());
    work.end(path, copied)?;
    drop(to);
    target.finish()
}

/// Copies a disk into a new qcow2 image, compressed.
fn pack_to(disk: &dyn Disk, args: &ConvertArgs, json: bool) -> Result<(), Failure> {
    let target = Target::new(&args.target, args.force)?;
    let to = target.create_qcow2(&plan(disk, Format::Qcow2, args.cluster_size))?;
    let work = Work::start("compressing", disk.size(), json)?;
    let packed = image::pack(disk, to, &mut work.step());
    work.end(&args.target, packed)?;
    target.finish()
}

fn plan(disk: &dyn Disk, format: Format, cluster_bits: u32) -> Plan {
    // qcow2 counts in sectors.
    let size = if format == Format::Raw { disk.size() } else { disk.size().next_multiple_of(512) };
    Plan { format, size, cluster_bits, backing: None }
}

fn say_on_disk(path: &Path, size: u64, format: Format, json: bool) {
    let on_disk = path.metadata().map(|meta| meta.blocks() * 512).unwrap_or_default();
    match json {
        true => {
            print(&json!({ "path": path, "format": format.name(), "size": size, "on_disk": on_disk }).to_string());
        }
        false => {
            print(&format!("{}: {} of {format}, {} on disk", path.display(), size::words(size), size::words(on_disk)))
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
A guest that discards what it deletes (fstrim, mount -o discard) does this by
itself. For one that does not: write zeroes to its free space first. Works in
place; Ctrl-C stops it at any time and the image is as good as before.")]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    image: ImageArgs,
}

pub(crate) fn compact(args: &CompactArgs, json: bool) -> Result<(), Failure> {
    let path = &args.image.path;
    let on_disk = || path.metadata().map(|meta| meta.blocks() * 512).unwrap_or_default();
    let image = args.image.open(false)?;
    let before = on_disk();
    let work = Work::start("compacting", image.disk.size(), json)?;
    let done = image::compact(&*image.disk, &mut work.step());
    work.end(path, done)?;
    drop(image);
    let after = on_disk();
    match json {
        true => print(&json!({ "path": path, "on_disk_before": before, "on_disk": after }).to_string()),
        false => {
            print(&format!("{}: {} on disk, was {}", path.display(), size::words(after), size::words(before)));
        }
    }
    Ok(())
}
