//! All that has to pass before a change is done, from the quick to the slow. The tests come last, so that what their
//! runner says last is the last that is said.

mod mistakes;
mod tests;
pub(crate) mod types;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::shell::{self, cargo, run as sh, say};
use crate::{check, mac};

/// How to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stop after format, clippy and house rules
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    step("format", || sh(cargo().args(["fmt", "--all", "--check"])).context("to mend it: cargo fmt --all"))?;
    step("house rules", check::run)?;
    step("clippy", || sh(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"])))?;
    if options.quick {
        return Ok(());
    }
    step("fuzz targets", fuzz_targets)?;
    step("types on other hosts", types::run)?;
    step("mistakes in code for Macs", mistakes::run)?;
    step("program for Macs", program_for_macs)?;
    step("documentation", || sh(cargo().env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps"])))?;
    step("guest of the tests", tests::guest)?;
    say("\n== tests");
    say("all but one of minutes, which is a command of its own: cargo xtask guest-test");
    tests::run().context("the tests did not pass")
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    say(&format!("\n== {name}"));
    work().with_context(|| format!("{name}: did not pass"))?;
    say(&format!("== {name}: passed in {} s", start.elapsed().as_secs()));
    Ok(())
}

/// The command for Macs, built and signed; nothing can run it here.
fn program_for_macs() -> Result<()> {
    if let Some(missing) = mac::ci()? {
        say(&format!("NOT BUILT: {missing}"));
    }
    Ok(())
}

/// The fuzz targets still compile. To run them is a command of its own and needs more: see `fuzz/Cargo.toml`.
fn fuzz_targets() -> Result<()> {
    say("compiled only; to run one: cargo +nightly fuzz run virtqueue");
    let folder = shell::target().join("fuzz");
    // The fuzzer's own library is not linked by a check; without this it would be compiled.
    let mut clippy = cargo();
    clippy.current_dir(shell::workspace().join("fuzz")).env("CUSTOM_LIBFUZZER_PATH", folder.join("libnone.a"));
    sh(clippy.args(["clippy", "--locked", "--target-dir"]).arg(&folder).args(["--", "-Dwarnings"]))
}
