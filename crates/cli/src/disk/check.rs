//! `russet disk check`.

use std::sync::Arc;

use block::image::Format;
use block::{Disk, RawDisk, RawOptions, qcow2};
use clap::Args;
use serde_json::json;

use super::{ImageArgs, failed};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
#[command(after_help = "\
The exit status is 0 when the image is good, also when space in it is lost, else
1. A raw image has nothing to check. Damage that --repair does not mend is in
the tables: `russet disk convert` reads out what can be read.")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    image: ImageArgs,

    /// Mend wrong reference counts and give lost space back.
    #[arg(long)]
    repair: bool,
}

pub(crate) fn execute(args: &CheckArgs, json: bool) -> Result<(), Failure> {
    let path = &args.image.path;
    let failed = |error| failed(path, error);
    let options = RawOptions { read_only: !args.repair, ..RawOptions::default() };
    let file: Arc<dyn Disk> = Arc::new(RawDisk::open(path, options).map_err(failed)?);
    let format = Format::recognise(path, args.image.format, &*file).map_err(failed)?;
    if format != Format::Qcow2 {
        match json {
            true => print(&json!({ "format": format.name(), "errors": 0, "leaked_clusters": 0 }).to_string()),
            false => print(&format!("{}: {format}, which has nothing to check", path.display())),
        }
        return Ok(());
    }
    let mut report = qcow2::check(&*file).map_err(failed)?;
    let wrong = report.errors > 0 || report.leaked > 0;
    let flags = qcow2::Qcow2::header_of(&*file).map_err(failed)?;
    let mut repaired = false;
    if args.repair && (wrong && report.repairable || flags.dirty || flags.corrupt) {
        qcow2::repair(&file).map_err(failed)?;
        report = qcow2::check(&*file).map_err(failed)?;
        repaired = true;
    }
    if json {
        print(
            &json!({
                "format": "qcow2",
                "errors": report.errors,
                "leaked_clusters": report.leaked,
                "used_clusters": report.used,
                "data_clusters": report.data,
                "messages": report.told,
                "repaired": repaired,
            })
            .to_string(),
        );
    } else {
        report.told.iter().for_each(|text| print(text));
        let mended = if repaired { ", after a repair" } else { "" };
        print(&format!(
            "{}: {} errors, {} clusters lost, {} in use{mended}",
            path.display(),
            report.errors,
            report.leaked,
            report.used
        ));
    }
    match report.errors {
        0 => Ok(()),
        _ if report.repairable && !args.repair => {
            Err(Failure::new(Status::Other, "the reference counts are wrong: mend them with --repair"))
        }
        _ => Err(Failure::new(Status::Other, "the image is damaged: read out what can be read with `disk convert`")),
    }
}
