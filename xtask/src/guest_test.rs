//! `cargo xtask guest-test`: the tests with guests that take too long for every change.

use anyhow::Result;

use crate::guest;
use crate::shell::{cargo, run as sh};

/// Where the tests look for the root file system.
const ROOT: &str = "RUSSET_TEST_ROOT";

/// The options of the command.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The suite of the root file system
    #[arg(long, default_value = "bookworm")]
    suite: String,
}

/// Makes the guests and runs their tests, the quick ones too.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::debian(None, false)?;
    let root = guest::root(&options.suite, false)?.canonicalize()?;
    let tests = ["test", "-p", "russet", "--test", "guest", "--", "--include-ignored", "--test-threads", "2"];
    sh(cargo().env(ROOT, root).args(tests))
}
