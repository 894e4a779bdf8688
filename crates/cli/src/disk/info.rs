//! `russet disk info`.

use std::os::unix::fs::MetadataExt;

use block::image::{Format, Image, ImageOptions};
use clap::Args;
use serde_json::{Value, json};

use super::{ImageArgs, failed, size};
use crate::failure::Failure;
use crate::say::print;

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    image: ImageArgs,
}

pub(crate) fn execute(args: &InfoArgs, json: bool) -> Result<(), Failure> {
    let path = &args.image.path;
    let options = ImageOptions { read_only: true, ..args.image.options() };
    let image = match Image::open(path, &options) {
        // To say who has it open is an answer, too.
        Err(block::Error::Locked { path: locked, holders }) if locked == *path => {
            match json {
                true => print(&json!({ "path": path, "in_use_by": holders }).to_string()),
                false => print(&format!("{}: in use by {}", path.display(), holders.join(", "))),
            }
            return Ok(());
        }
        other => other.map_err(|error| failed(path, error))?,
    };
    let on_disk = path.metadata().map(|meta| meta.blocks() * 512).unwrap_or_default();
    let below: Vec<Value> = image.below.iter().map(|b| json!({ "path": b.path, "format": b.format.name() })).collect();
    let header = image.qcow2.as_ref().map(|qcow2| qcow2.header());
    if json {
        let mut info = json!({
            "path": path,
            "format": image.format.name(),
            "size": image.disk.size(),
            "on_disk": on_disk,
            "below": below,
        });
        if let Some(header) = header {
            info["qcow2"] = json!({
                "version": header.version,
                "cluster_size": header.cluster_size(),
                "snapshots": header.snapshots,
                "dirty": header.dirty,
                "corrupt": header.corrupt,
                "backing": header.backing.as_ref().map(|b| &b.name),
            });
        }
        print(&info.to_string());
        return Ok(());
    }
    print(&format!("{}: {}", path.display(), image.format));
    print(&format!("size       {} ({} bytes)", size::words(image.disk.size()), image.disk.size()));
    print(&format!("on disk    {}", size::words(on_disk)));
    if let Some(header) = header {
        let cluster = size::words(header.cluster_size());
        print(&format!("qcow2      version {}, clusters of {cluster}", header.version));
        if header.snapshots > 0 {
            print(&format!("snapshots  {} inside the image", header.snapshots));
        }
        for (set, what) in [
            (header.dirty, "not closed: repair it with `russet disk check --repair`"),
            (header.corrupt, "marked as corrupt: see `russet disk check`"),
        ] {
            if set {
                print(&format!("state      {what}"));
            }
        }
    }
    for below in &image.below {
        let hint = if below.format == Format::Raw { "raw" } else { below.format.name() };
        print(&format!("below      {} ({hint})", below.path.display()));
    }
    Ok(())
}
