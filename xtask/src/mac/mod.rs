//! The command `russet` for Macs with Apple silicon, from any host: linted, built, its imports checked, and signed.
//!
//! On Linux there is no SDK of macOS: its libraries and headers are stubs made from lists of ours ([`stubs`]), the linker
//! is the one that comes with Rust, and the signature is written here ([`sign`]). None has been started on a Mac yet.

mod macho;
mod sign;
mod stubs;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ci::types;
use crate::shell::{self, has, print, run as sh, say};

/// Macs with Apple silicon.
pub(crate) const TARGET: &str = "aarch64-apple-darwin";
/// The rights that everybody may sign with.
const RIGHTS: &str = "crates/vz/entitlements/russet.entitlements";
/// Those and bridged networks.
const BRIDGED_RIGHTS: &str = "crates/vz/entitlements/russet-bridged.entitlements";

/// The first macOS with the framework, on which the program still has to start.
const MINIMUM: (u32, u32) = (11, 0);

/// How to sign.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Claim the right to bridged networks, too. macOS kills the program at launch where Apple has not granted it
    #[arg(long)]
    bridged: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let missing = missing()?;
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    let mut clippy = cargo()?;
    clippy.args(["clippy", "--package", "russet-vz", "--all-targets", "--target", TARGET, "--target-dir"]);
    sh(clippy.arg(folder()).args(["--", "-Dwarnings"]))?;
    let rights = if options.bridged { BRIDGED_RIGHTS } else { RIGHTS };
    print(&program(rights)?.display().to_string())
}

/// Builds and signs the program with everybody's rights, for CI; why it cannot be built here, if it cannot.
pub(crate) fn ci() -> Result<Option<String>> {
    let missing = missing()?;
    if !missing.is_empty() {
        return Ok(Some(missing.join("; ")));
    }
    program(RIGHTS)?;
    Ok(None)
}

/// What this host lacks, and how to have it.
fn missing() -> Result<Vec<String>> {
    let mut missing = Vec::new();
    if types::cargo_for(TARGET)?.is_none() {
        missing.push(format!("no standard library for {TARGET} here; to have it: rustup target add {TARGET}"));
    }
    if !has("clang") {
        missing.push("no clang here, which compiles the C parts of ring; to have it: apt install clang".to_owned());
    }
    Ok(missing)
}

fn cargo() -> Result<Command> {
    types::cargo_for(TARGET)?.context("the standard library is gone")
}

fn folder() -> PathBuf {
    shell::target().join("mac")
}

/// Builds the program, checks what it takes from macOS, and signs it with `rights`; where it is.
fn program(rights: &str) -> Result<PathBuf> {
    build()?;
    let built = folder().join(TARGET).join("release/russet");
    let program = folder().join("russet");
    let mut bytes = std::fs::read(&built).with_context(|| built.display().to_string())?;
    let file = macho::MachO::new(&bytes)?;
    stubs::check(&file).context("xtask/src/mac/imports.txt")?;
    file.check_start(MINIMUM).context("no Mac would start it")?;
    if cfg!(target_os = "macos") {
        std::fs::copy(&built, &program)?;
        let codesign = ["--force", "--sign", "-", "--identifier", IDENTIFIER, "--entitlements", rights];
        sh(Command::new("codesign").current_dir(shell::workspace()).args(codesign).arg(&program))?;
    } else {
        let list = std::fs::read_to_string(shell::workspace().join(rights)).context(rights.to_owned())?;
        sign::sign(&mut bytes, IDENTIFIER, &list)?;
        install(&program, &bytes)?;
        say(&format!("signed ad hoc with {rights}, and not started: that needs a Mac"));
    }
    Ok(program)
}

/// By which macOS knows the program.
const IDENTIFIER: &str = "russet";

fn build() -> Result<()> {
    let mut cargo = cargo()?;
    cargo.args(["rustc", "--release", "--package", "russet", "--bin", "russet", "--target", TARGET, "--target-dir"]);
    cargo.arg(folder());
    if !cfg!(target_os = "macos") {
        let sdk = folder().join("sdk");
        stubs::write(&sdk)?;
        // Never -dead_strip_dylibs: classes are looked up by name, so nothing refers to their frameworks.
        cargo.env("SDKROOT", sdk).env("CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER", "rust-lld");
        cargo.env("CARGO_TARGET_AARCH64_APPLE_DARWIN_RUSTFLAGS", "-Clinker-flavor=ld64.lld");
        cargo.env("CC_aarch64_apple_darwin", "clang").env("AR_aarch64_apple_darwin", "ar");
        // A standard library that was compiled aside has nothing to optimise at link time.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        // All undefined symbols, not the first twenty.
        cargo.args(["--", "-Clink-arg=--error-limit=0"]);
    }
    sh(&mut cargo).context("an undefined symbol? Add it to xtask/src/mac/imports.txt, below the library that has it")
}

/// Puts a program in place of the one before, at once.
fn install(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&new, path).with_context(|| path.display().to_string())
}
