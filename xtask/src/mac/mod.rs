//! The executor for Macs, linted and linked on any host.
//!
//! What is linked is the example `boot` of `crates/vz`. The command `russet` is not linked here: a part of it in C (of
//! ring) needs a compiler and headers for macOS. On a Mac the program is also signed; elsewhere it has the linker's
//! ad-hoc signature, without rights, and has to be signed on the Mac. None has been started on a Mac yet.

mod stubs;

use anyhow::{Context, Result};

use crate::ci::types;
use crate::shell::{self, print, run as sh, say};

/// Macs with Apple silicon.
const TARGET: &str = "aarch64-apple-darwin";
/// The rights that everybody may sign with.
const ENTITLEMENTS: &str = "crates/vz/entitlements/russet.entitlements";

pub(crate) fn run() -> Result<()> {
    let cargo = || {
        let missing = || format!("no standard library for {TARGET} here; to have it: rustup target add {TARGET}");
        types::cargo_for(TARGET)?.with_context(missing)
    };
    let folder = shell::target().join("mac");
    sh(cargo()?.args(lint()).arg("--target-dir").arg(&folder).args(["--", "-Dwarnings"]))?;

    let mut build = cargo()?;
    build.args(["build", "--release", "--package", "russet-vz", "--example", "boot", "--target", TARGET]);
    build.arg("--target-dir").arg(&folder);
    let native = cfg!(target_os = "macos");
    if !native {
        let sdk = folder.join("stubs");
        stubs::write(&sdk)?;
        // Never -dead_strip_dylibs: classes are looked up by name, so nothing refers to their frameworks.
        build.env("SDKROOT", sdk).env("CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER", "rust-lld");
        build.env("CARGO_TARGET_AARCH64_APPLE_DARWIN_RUSTFLAGS", "-Clinker-flavor=ld64.lld");
        // A standard library that was compiled aside has nothing to optimise at link time.
        build.env("CARGO_PROFILE_RELEASE_LTO", "off");
    }
    sh(&mut build)
        .context("an undefined symbol? Add it to xtask/src/mac/imports.txt, below the library that has it")?;

    let program = folder.join(TARGET).join("release/examples/boot");
    let sign = ["--force", "--sign", "-", "--entitlements", ENTITLEMENTS];
    if native {
        sh(std::process::Command::new("codesign").current_dir(shell::workspace()).args(sign).arg(&program))?;
    } else {
        say(&format!("linked, and not started. On the Mac sign it first: codesign {} boot", sign.join(" ")));
    }
    print(&program.display().to_string())
}

fn lint() -> [&'static str; 6] {
    ["clippy", "--package", "russet-vz", "--all-targets", "--target", TARGET]
}
