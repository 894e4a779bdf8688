//! `russet disk commit` and `rebase`: overlays and what is below them.

use std::path::PathBuf;
use std::sync::Arc;

use block::image::{self, Format, Image, ImageOptions};
use block::{RawDisk, RawOptions, qcow2};
use clap::{Args, ValueHint};
use serde_json::json;

use super::work::Work;
use super::{ImageArgs, create, failed};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
Ctrl-C stops it at any time: the overlay reads as before, and a second commit
goes on. Other overlays above the same image are worthless afterwards.")]
pub(crate) struct CommitArgs {
    #[command(flatten)]
    image: ImageArgs,
}

pub(crate) fn commit(args: &CommitArgs, json: bool) -> Result<(), Failure> {
    let path = &args.image.path;
    let options = ImageOptions { write_below: true, ..args.image.options() };
    let top = Image::open(path, &options).map_err(|error| failed(path, error))?;
    let (Some(overlay), Some(below)) = (&top.qcow2, &top.lower) else {
        return Err(nothing_below(path));
    };
    let work = Work::start("committing", top.disk.size(), json)?;
    let done = image::commit(overlay, &**below, &mut work.step());
    work.end(path, done)?;
    let into = &top.below[0].path;
    match json {
        true => print(&json!({ "path": path, "into": into }).to_string()),
        false => print(&format!("{}: all is in {} now", path.display(), into.display())),
    }
    Ok(())
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet disk rebase work.qcow2 -b new-root.qcow2
      work.qcow2 reads as before: it gets what new-root.qcow2 has otherwise.
  russet disk rebase work.qcow2 --flatten
      work.qcow2 gets all that is below and stands alone.
  russet disk rebase work.qcow2 --header-only -b moved/root.qcow2
      The image below was moved or has no format noted.")]
pub(crate) struct RebaseArgs {
    #[command(flatten)]
    image: ImageArgs,

    /// The image that is to be below, named relative to the overlay's folder.
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath, required_unless_present = "flatten")]
    backing: Option<PathBuf>,

    /// Its format; without it what its name says.
    #[arg(short = 'F', long, requires = "backing")]
    backing_format: Option<Format>,

    /// Copy everything up, so that nothing has to be below.
    #[arg(long, conflicts_with = "backing")]
    flatten: bool,

    /// Only change the name in the header, because the contents are the same.
    #[arg(long, conflicts_with = "flatten")]
    header_only: bool,
}

pub(crate) fn rebase(args: &RebaseArgs, json: bool) -> Result<(), Failure> {
    let path = &args.image.path;
    let failed = |error| failed(path, error);
    let backing = match &args.backing {
        Some(name) => Some(create::below(path, name, args.backing_format)?.0),
        None => None,
    };
    if !args.header_only {
        let top = args.image.open(false)?;
        let overlay = top.qcow2.as_ref().filter(|_| top.lower.is_some()).ok_or_else(|| nothing_below(path))?;
        let new = match &backing {
            Some(backing) => {
                let below = image::resolve_below(path, &backing.name).map_err(failed)?;
                let format = backing.format.as_deref().and_then(|format| format.parse().ok());
                let allowed = vec![PathBuf::from("/")];
                let options = ImageOptions { read_only: true, format, allowed, ..ImageOptions::default() };
                Some(Image::open(&below, &options).map_err(failed)?)
            }
            None => None,
        };
        let work = Work::start("rebasing", top.disk.size(), json)?;
        let done = image::keep_above(overlay, new.as_ref().map(|new| &*new.disk), &mut work.step());
        work.end(path, done)?;
    }
    let file = Arc::new(RawDisk::open(path, RawOptions::default()).map_err(failed)?);
    qcow2::set_backing(&*file, backing.clone()).map_err(failed)?;
    let name = backing.map(|backing| backing.name);
    match (json, &name) {
        (true, _) => print(&json!({ "path": path, "backing": name }).to_string()),
        (false, Some(name)) => print(&format!("{}: above {name} now", path.display())),
        (false, None) => print(&format!("{}: stands alone now", path.display())),
    }
    Ok(())
}

fn nothing_below(path: &std::path::Path) -> Failure {
    Failure::new(Status::Usage, format!("{}: there is no image below it", path.display()))
}
