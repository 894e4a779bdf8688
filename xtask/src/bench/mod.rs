//! Measurements. Ratios are of runs in turn on the same machine; absolute figures are of that machine only.

mod boot;
mod machine;
mod run;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// From the start of the process to the guest's power-off: russet and qemu-system-aarch64 in turn
    Boot(boot::Options),
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Boot(options) => boot::run(options),
    }
}
