//! Measurements. Ratios are of runs in turn on the same machine; absolute figures are of that machine only.

mod boot;
mod compare;
mod emulator;
mod kernels;
mod machine;
mod program;
mod run;
mod work;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// From the start of the process to the guest's power-off: russet and qemu-system-aarch64 in turn
    Boot(boot::Options),
    /// Loops of integer and floating-point code in a guest: russet and qemu-system-aarch64 in turn
    Kernels(kernels::Options),
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Boot(options) => boot::run(options),
        Bench::Kernels(options) => kernels::run(options),
    }
}
