//! Programs of ours for the guest, compiled by Debian's cross compiler. They are static and need no C library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, run as sh};

const COMPILER: &str = "aarch64-linux-gnu-gcc";

/// For all of a program. A loop that copies stays a loop, rather than a call of `memcpy`.
const FLAGS: [&str; 14] = [
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-march=armv8-a",
    "-mno-outline-atomics",
    "-ffreestanding",
    "-fno-math-errno",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-tree-loop-distribute-patterns",
    "-fno-tree-vectorize",
];
/// For what is to become vectors.
const VECTORS: [&str; 2] = ["-ftree-vectorize", "-fvect-cost-model=dynamic"];
const LINK: [&str; 4] = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"];

/// Compiles `xtask/guest/NAME`, with what all programs share, to the file NAME in `folder`.
///
/// What is in a folder named `fp` may become vectors; other code is of plain instructions.
pub(crate) fn compile(name: &str, folder: &Path) -> Result<PathBuf> {
    if !shell::has(COMPILER) {
        bail!("{COMPILER} is missing: apt-get install gcc-aarch64-linux-gnu");
    }
    let objects = tempfile::tempdir()?;
    let mut link = Command::new(COMPILER);
    link.args(LINK);
    for (number, source) in [sources(&guest(name))?, sources(&guest("linux"))?].concat().iter().enumerate() {
        let object = objects.path().join(format!("{number}.o"));
        let vectors: &[&str] = if source.parent().is_some_and(|p| p.ends_with("fp")) { &VECTORS } else { &[] };
        let mut command = Command::new(COMPILER);
        output(command.args(FLAGS).args(vectors).arg("-c").arg(source).arg("-o").arg(&object))?;
        link.arg(object);
    }
    let program = folder.join(name);
    output(link.arg("-o").arg(&program))?;
    Ok(program)
}

/// The folder of what is called `name` for the guest.
pub(crate) fn guest(name: &str) -> PathBuf {
    shell::workspace().join("xtask/guest").join(name)
}

/// Fails with what the compiler says.
fn output(command: &mut Command) -> Result<()> {
    if command.output().is_ok_and(|o| o.status.success()) { Ok(()) } else { sh(command) }
}

/// The C and assembler files in `folder` and the folders in it, in an order that is always the same.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|e| e == "c" || e == "S") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
