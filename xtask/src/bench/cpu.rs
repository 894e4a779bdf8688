//! All that is said of the speed of the software CPU, in one go: boots, loops, programs, four CPUs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::compare::Report;
use super::picture::svg;
use super::turns::Measuring;
use super::userland::{SMP, USERLAND};
use super::{boot, kernels, userland};
use crate::guest;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    measuring: Measuring,
    /// Write the report to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw it
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure nothing, and take the report that `--json` wrote to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "russet", "jit", "emulator", "only"])]
    from: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let report = match &options.from {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is no report", file.display()))?
        }
        None => all(&options.measuring)?,
    };
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, svg(&report))?;
    }
    report.print(false)
}

fn all(measuring: &Measuring) -> Result<Report> {
    const GROUPS: [&str; 5] = ["boot", "integer", "fp", "userland", "smp"];
    measuring.check(&GROUPS)?;
    let guest = guest::debian(None, false)?;
    let emulators = measuring.choice.prepare()?;
    let mut groups = Vec::new();
    if measuring.wants("boot", "") {
        groups.push(boot::group(&guest, &emulators, measuring.runs)?);
    }
    groups.extend(kernels::groups(&guest, &emulators, measuring, 1.0)?);
    for set in [&USERLAND, &SMP] {
        groups.extend(userland::group(set, &guest, &emulators, measuring)?);
    }
    Ok(Report::of(emulators.machine(), guest.release, measuring.runs, groups))
}
