//! The whole workspace and its tests, type-checked as on hosts that are not this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::shell::{self, cargo, output, run as sh, say};

/// Macs, and arm64 Linux, where nothing translates the guest's code.
const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "aarch64-unknown-linux-gnu"];

pub(super) fn run() -> Result<()> {
    let mut unchecked = Vec::new();
    for target in TARGETS {
        let Some(mut clippy) = cargo_for(target)? else {
            unchecked.push(target);
            continue;
        };
        // Parts in C (of ring) need the target's compiler and headers, and types do not need them.
        if !(target.contains("apple") && cfg!(target_os = "macos")) {
            let name = target.replace('-', "_");
            clippy.env(format!("CC_{name}"), "true").env(format!("AR_{name}"), "true").env("SDKROOT", "/");
        }
        clippy.args(["clippy", "--workspace", "--all-targets", "--target", target, "--target-dir"]);
        sh(clippy.arg(shell::target().join("types")).args(["--", "-Dwarnings"]))?;
    }
    for target in unchecked {
        say(&format!("NOT CHECKED: no standard library for {target} here; to have it: rustup target add {target}"));
    }
    Ok(())
}

/// `cargo` with the target's standard library, if there is one.
pub(crate) fn cargo_for(target: &str) -> Result<Option<Command>> {
    Ok(if installed(target)? { Some(cargo()) } else { aside(target) })
}

/// Whether the toolchain that runs this has the target's standard library.
fn installed(target: &str) -> Result<bool> {
    let folder = output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// The `cargo` of a toolchain with the target's standard library which `cross-std`, a tool beside the project, makes.
fn aside(target: &str) -> Option<Command> {
    let tool = shell::workspace().join("../shared/tools/cross-std");
    if !tool.is_file() {
        return None;
    }
    let bin = match output(Command::new(tool).arg(target)) {
        Ok(bin) => PathBuf::from(bin.trim()),
        Err(error) => {
            say(&format!("{error:#}"));
            return None;
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin.clone()].into_iter().chain(std::env::split_paths(&path))).ok()?;
    let mut cargo = Command::new(bin.join("cargo"));
    cargo.current_dir(shell::workspace()).env("PATH", path);
    // The toolchain that rustup chose for us must not be asked again, nor its libraries loaded: rustc finds the
    // standard library from where its own library is.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC", "LD_LIBRARY_PATH"] {
        cargo.env_remove(variable);
    }
    Some(cargo)
}
