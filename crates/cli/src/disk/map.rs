//! `russet disk map`.

use block::ExtentKind;
use block::image::Image;
use block::qcow2::Layer;
use clap::Args;
use serde_json::json;

use super::{ImageArgs, failed, size};
use crate::failure::Failure;
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
With --json a list of objects: start, length, kind (data, zero for zeroes with
space, hole for zeroes without), and for qcow2 images layer (top or below) and,
where it is plain data of the top file, offset.")]
pub(crate) struct MapArgs {
    #[command(flatten)]
    image: ImageArgs,
}

/// A run of one kind.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Run {
    start: u64,
    len: u64,
    kind: &'static str,
    layer: Option<&'static str>,
    offset: Option<u64>,
}

pub(crate) fn execute(args: &MapArgs, json: bool) -> Result<(), Failure> {
    let image = args.image.open(true)?;
    let mut pending: Option<Run> = None;
    let mut at = 0;
    if json {
        print("[");
    }
    while at < image.disk.size() {
        let run = run(&image, at).map_err(|error| failed(&args.image.path, error))?;
        at += run.len;
        match &mut pending {
            Some(last) if joins(last, &run) => last.len += run.len,
            _ => {
                if let Some(last) = pending.replace(run) {
                    print(&line(&last, json, true));
                }
            }
        }
    }
    if let Some(last) = pending {
        print(&line(&last, json, false));
    }
    if json {
        print("]");
    }
    Ok(())
}

fn run(image: &Image, at: u64) -> Result<Run, block::Error> {
    let left = image.disk.size() - at;
    let (layer_len, layer) = match &image.qcow2 {
        Some(qcow2) => qcow2.layer(at, left).map(|(len, layer)| (len, Some(layer)))?,
        None => (left, None),
    };
    let extent = image.disk.extent(at, layer_len)?;
    let kind = match extent.kind {
        ExtentKind::Data => "data",
        ExtentKind::Zero => "zero",
        ExtentKind::Hole => "hole",
    };
    let name = |layer| if layer == Layer::Below { "below" } else { "top" };
    let offset = match layer {
        Some(Layer::Data(offset)) => Some(offset),
        _ => None,
    };
    Ok(Run { start: at, len: extent.len, kind, layer: layer.map(name), offset })
}

fn joins(last: &Run, next: &Run) -> bool {
    let offset = match (last.offset, next.offset) {
        (Some(a), Some(b)) => a + last.len == b,
        (a, b) => a == b,
    };
    last.kind == next.kind && last.layer == next.layer && offset
}

fn line(run: &Run, as_json: bool, more: bool) -> String {
    if as_json {
        let mut value = json!({ "start": run.start, "length": run.len, "kind": run.kind });
        if let Some(layer) = run.layer {
            value["layer"] = layer.into();
        }
        if let Some(offset) = run.offset {
            value["offset"] = offset.into();
        }
        return format!("{value}{}", if more { "," } else { "" });
    }
    let place = match (run.layer, run.offset) {
        (Some(_), Some(offset)) => format!("  at {offset:#x}"),
        (Some("below"), _) => "  below".to_owned(),
        _ => String::new(),
    };
    format!("{:#14x}  {:>12}  {}{place}", run.start, size::words(run.len), run.kind)
}
