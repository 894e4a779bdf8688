//! `russet disk resize`.

use clap::Args;
use serde_json::json;

use super::size::{self, NewSize};
use super::{ImageArgs, failed};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet disk resize root.qcow2 40G
  russet disk resize root.qcow2 +10G
  russet disk resize root.img 10G --shrink         what is beyond 10G is lost

Partitions and file systems in the disk keep their sizes: make them smaller
before, or larger after.")]
pub(crate) struct ResizeArgs {
    #[command(flatten)]
    image: ImageArgs,

    /// The new size, or +SIZE or -SIZE.
    #[arg(value_parser = NewSize::parse, allow_hyphen_values = true)]
    size: NewSize,

    /// Allow the disk to become smaller and lose what is beyond its new end.
    #[arg(long)]
    shrink: bool,
}

pub(crate) fn execute(args: &ResizeArgs, json: bool) -> Result<(), Failure> {
    let image = args.image.open(false)?;
    let old = image.disk.size();
    let usage = |text: &str| Failure::new(Status::Usage, format!("{}: {text}", args.image.path.display()));
    let new = args.size.of(old).ok_or_else(|| usage("the disk cannot become smaller than nothing"))?;
    if new < old && !args.shrink {
        return Err(usage(&format!(
            "the disk has {} and would lose what is beyond {}: add --shrink if that is meant",
            size::words(old),
            size::words(new)
        )));
    }
    let done = image.disk.resize(new).and_then(|()| image.disk.flush());
    done.map_err(|error| failed(&args.image.path, error))?;
    match json {
        true => print(&json!({ "path": args.image.path, "old_size": old, "size": new }).to_string()),
        false => print(&format!("{}: {}, was {}", args.image.path.display(), size::words(new), size::words(old))),
    }
    Ok(())
}
