//! All that has to pass before a change is done, from the quick to the slow.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::check;
use crate::shell::{self, cargo, has, output, run as sh, say};

/// How to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stop after format, clippy and house rules
    #[arg(long)]
    quick: bool,
}

const DARWIN: &str = "aarch64-apple-darwin";

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    step("format", || sh(cargo().args(["fmt", "--all", "--check"])).context("to mend it: cargo fmt --all"))?;
    step("house rules", check::run)?;
    step("clippy", || sh(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"])))?;
    if !options.quick {
        step("tests", tests)?;
        step("documentation", || {
            sh(cargo().env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps"]))
        })?;
        step("macOS types", darwin)?;
    }
    say(&format!("all passed in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    say(&format!("\n== {name}"));
    work().with_context(|| format!("{name} did not pass"))?;
    say(&format!("== {name}: passed in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn tests() -> Result<()> {
    if has("cargo-nextest") {
        sh(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        // The examples in documentation are not nextest's.
        return sh(cargo().args(["test", "--workspace", "--doc"]));
    }
    sh(cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

/// The types as on a Mac. What `cross-std` (a tool beside the project) or the installed toolchain offers is used.
fn darwin() -> Result<()> {
    let tool = shell::workspace().join("../shared/tools/cross-std");
    let mut check = cargo();
    if tool.is_file() {
        let bin = PathBuf::from(output(Command::new(tool).arg(DARWIN))?.trim());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path: OsString = std::env::join_paths([bin.clone()].into_iter().chain(std::env::split_paths(&path)))?;
        // The toolchain that rustup chose for us must not be asked again.
        check = Command::new(bin.join("cargo"));
        check.current_dir(shell::workspace()).env("PATH", path);
        for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
            check.env_remove(variable);
        }
    } else if !installed()? {
        say(&format!("NOT CHECKED: no standard library for {DARWIN} here; to have it: rustup target add {DARWIN}"));
        return Ok(());
    }
    sh(check.args(["check", "--workspace", "--target", DARWIN, "--target-dir"]).arg(shell::target().join("darwin")))
}

fn installed() -> Result<bool> {
    let folder = output(Command::new("rustc").args(["--print", "target-libdir", "--target", DARWIN]))?;
    Ok(PathBuf::from(folder.trim()).is_dir())
}
