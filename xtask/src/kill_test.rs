//! `cargo xtask kill-test`: kills the process while a guest writes and flushes, often.

use anyhow::Result;

use crate::guest;
use crate::shell::{cargo, run as sh};

/// Where the test finds how often, and the root file system with fio.
const KILLS: &str = "RUSSET_TEST_KILLS";
const ROOT: &str = "RUSSET_TEST_ROOT";

/// The options of the command.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often
    #[arg(long, default_value_t = 100)]
    kills: u64,
    /// Who writes: our own records, of each of which it is known whether it was flushed, or fio, which verifies them.
    /// Without it one after the other
    #[arg(long)]
    writer: Option<Writer>,
}

/// Who writes in the guest.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Writer {
    Records,
    Fio,
}

/// Runs the test that is also among the quick ones, for longer, and that with fio.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::debian(None, false)?;
    let tests = match options.writer {
        None => "kills::",
        Some(Writer::Records) => "kills::records::",
        Some(Writer::Fio) => "kills::fio::",
    };
    let mut command = cargo();
    command.env(KILLS, options.kills.to_string());
    if !matches!(options.writer, Some(Writer::Records)) {
        command.env(ROOT, guest::root("bookworm", false)?.canonicalize()?);
    }
    let arguments = ["test", "-p", "russet", "--test", "guest", tests, "--", "--nocapture", "--test-threads", "1"];
    sh(command.args(arguments).arg("--include-ignored"))
}
