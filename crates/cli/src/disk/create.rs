//! `russet disk create`.

use std::path::{Path, PathBuf};

use block::image::{Format, Image, ImageOptions};
use block::qcow2::BackingName;
use clap::{Args, ValueHint};
use serde_json::json;

use super::target::{Plan, Target};
use super::{failed, size};
use crate::failure::{Failure, Status};
use crate::say::print;

const AFTER_HELP: &str = "\
Examples:
  russet disk create root.qcow2 20G
  russet disk create root.img 20G
      Raw and sparse: takes space as the guest writes.
  russet disk create work.qcow2 -b root.qcow2
      An overlay: writes go to work.qcow2, root.qcow2 stays as it is.

An image below must not be written to any more, or the overlays above it are
worthless.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CreateArgs {
    /// The new image; its name says the format, .qcow2 or else raw, unless --format does.
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    path: PathBuf,

    /// The disk's size, such as 20G; of an overlay, that of what is below when left out.
    #[arg(value_parser = size::parse, required_unless_present = "backing")]
    size: Option<u64>,

    /// Make a qcow2 overlay above this image, whose name is kept as it is here, relative to the new image's folder.
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    backing: Option<PathBuf>,

    /// The format of the image below; without it what its name says.
    #[arg(short = 'F', long, requires = "backing")]
    backing_format: Option<Format>,

    /// raw or qcow2.
    #[arg(short, long)]
    format: Option<Format>,

    /// Bytes that are allocated at once in a qcow2 image: 512 to 2M.
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = size::cluster_bits)]
    cluster_size: u32,

    /// Replace a file of this name.
    #[arg(long)]
    force: bool,
}

pub(crate) fn execute(args: &CreateArgs, json: bool) -> Result<(), Failure> {
    let format = match args.format {
        Some(format) => format,
        None => Format::of_name(&args.path).map_err(|error| failed(&args.path, error))?,
    };
    let (backing, size) = match &args.backing {
        Some(_) if format != Format::Qcow2 => {
            return Err(Failure::new(Status::Usage, "only qcow2 can have an image below: call it .qcow2"));
        }
        Some(name) => {
            let (backing, size) = below(&args.path, name, args.backing_format)?;
            (Some(backing), args.size.unwrap_or(size))
        }
        None => (None, args.size.unwrap_or(0)),
    };
    let target = Target::new(&args.path, args.force)?;
    drop(target.create(&Plan { format, size, cluster_bits: args.cluster_size, backing })?);
    target.finish()?;
    match json {
        true => print(&json!({ "path": args.path, "format": format.name(), "size": size }).to_string()),
        false => print(&format!("{}: {} of {}", args.path.display(), size::words(size), format)),
    }
    Ok(())
}

/// How the header of the overlay at `path` names the image below, and that one's size. It must be one that opens.
pub(super) fn below(path: &Path, name: &Path, format: Option<Format>) -> Result<(BackingName, u64), Failure> {
    let text = name.to_str().ok_or_else(|| Failure::new(Status::Usage, "the name of the image below is not UTF-8"))?;
    let below = path.parent().unwrap_or(Path::new("")).join(name);
    let options =
        ImageOptions { read_only: true, format, allowed: vec![PathBuf::from("/")], ..ImageOptions::default() };
    let image = Image::open(&below, &options).map_err(|error| failed(&below, error))?;
    let format = Some(image.format.name().to_owned());
    Ok((BackingName { name: text.to_owned(), format }, image.disk.size()))
}
