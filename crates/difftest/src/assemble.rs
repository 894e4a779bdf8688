//! The guest halves of the test are assembly, assembled when the test runs.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cross compiler of Debian and its kin.
const COMPILER: &str = "aarch64-linux-gnu-gcc";

/// Its companion which makes flat binaries.
const OBJCOPY: &str = "aarch64-linux-gnu-objcopy";

/// Assembles `source` in `folder` to a static program called `name`, with `options` for the linker.
pub(crate) fn assemble(folder: &Path, name: &str, source: &str, options: &[&str]) -> Result<PathBuf> {
    let input = folder.join(name).with_extension("s");
    let output = folder.join(name);
    std::fs::write(&input, source).with_context(|| format!("writing {}", input.display()))?;
    let status = Command::new(COMPILER)
        .args(["-nostdlib", "-static", "-o"])
        .args([&output, &input])
        .args(options)
        .status()
        .with_context(|| format!("starting {COMPILER}; install the package gcc-aarch64-linux-gnu"))?;
    ensure!(status.success(), "{COMPILER} could not assemble {}", input.display());
    Ok(output)
}

/// As [`assemble`], but gives the bytes to load at `address`, where the program begins.
pub(crate) fn assemble_flat(folder: &Path, name: &str, source: &str, address: u64) -> Result<Vec<u8>> {
    let program = assemble(folder, name, source, &[&format!("-Wl,-Ttext={address:#x}")])?;
    let flat = program.with_extension("bin");
    let status = Command::new(OBJCOPY)
        .args(["-O", "binary", "-j", ".text"])
        .args([&program, &flat])
        .status()
        .with_context(|| format!("starting {OBJCOPY}; install the package binutils-aarch64-linux-gnu"))?;
    ensure!(status.success(), "{OBJCOPY} could not convert {}", program.display());
    std::fs::read(&flat).with_context(|| format!("reading {}", flat.display()))
}
