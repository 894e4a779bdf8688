//! Reads files out of a Debian package, by `dpkg-deb`, which every system with apt has.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The regular files of `package` whose path (without `./`) `wanted` accepts.
pub(super) fn files(package: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut dpkg = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("dpkg-deb cannot be run")?;
    let stdout = dpkg.stdout.take().context("dpkg-deb has no output")?;
    let read = read(stdout, wanted);
    let end = dpkg.wait_with_output()?;
    if !end.status.success() {
        bail!("{}: {}", package.display(), String::from_utf8_lossy(&end.stderr).trim_end());
    }
    read.with_context(|| package.display().to_string())
}

fn read(stdout: impl Read, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(stdout);
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_file() && wanted(&path) {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents)?;
            files.insert(path, contents);
        }
    }
    // Whatever follows the end marker, so that dpkg-deb can write it and end.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(files)
}
