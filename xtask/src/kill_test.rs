//! `cargo xtask kill-test`: kills the process while a guest writes and flushes, often.

use anyhow::Result;

use crate::guest;
use crate::shell::{cargo, run as sh};

/// Where the test finds how often.
const KILLS: &str = "RUSSET_TEST_KILLS";

/// The options of the command.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often
    #[arg(long, default_value_t = 100)]
    kills: u64,
}

/// Runs the test that is also among the quick ones, for longer.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::debian(None, false)?;
    let tests = ["test", "-p", "russet", "--test", "guest", "kills", "--", "--nocapture"];
    sh(cargo().env(KILLS, options.kills.to_string()).args(tests))
}
