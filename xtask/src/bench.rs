//! Measurements.
use anyhow::Result;
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    Boot,
}
pub(crate) fn run(_: &Bench) -> Result<()> {
    Ok(())
}
