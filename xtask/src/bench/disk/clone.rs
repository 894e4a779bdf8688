//! A clone of a large disk, by the command that a user gives.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::super::run::Spread;
use super::{Place, Setting};

/// The size of the disk, in bytes.
const SIZE: u64 = 20 << 30;
/// What it may take, in milliseconds.
const TARGET_MS: f64 = 50.0;

/// How long clones took.
#[derive(Serialize, Deserialize)]
pub(super) struct Clone {
    pub(super) place: String,
    ms: Spread,
    target_ms: f64,
    /// By reflink or as an overlay.
    how: String,
}

/// Clones a disk of which some is written, in `place`.
pub(super) fn measure(setting: &Setting, place: &Place) -> Result<Clone> {
    let (disk, clone) = (place.folder.path().join("disk.qcow2"), place.folder.path().join("clone.qcow2"));
    let raw = place.folder.path().join("disk.raw");
    let file = fs::File::create(&raw)?;
    file.set_len(SIZE)?;
    for at in (0..SIZE).step_by((SIZE / 64) as usize) {
        file.write_all_at(&[0x55; 64 << 10], at)?;
    }
    drop(file);
    crate::shell::run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&disk))?;
    let (mut times, mut how) = (Vec::new(), String::new());
    for _ in 0..setting.runs {
        let start = Instant::now();
        let mut command = Command::new(&setting.russet);
        command.args(["--json", "disk", "clone"]).arg(&disk).arg(&clone);
        let output = command.stderr(Stdio::inherit()).output()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        how = said["how"].as_str().unwrap_or_default().to_owned();
        if !output.status.success() || how.is_empty() {
            bail!("{command:?}: {}", output.status);
        }
        fs::remove_file(&clone)?;
    }
    fs::remove_file(raw)?;
    fs::remove_file(disk)?;
    Ok(Clone { place: place.name.to_owned(), ms: Spread::of(times.into_iter()), target_ms: TARGET_MS, how })
}

impl Clone {
    /// As a line of text.
    pub(super) fn line(&self) -> String {
        let Self { place, ms, target_ms, how } = self;
        let verdict = if ms.median < *target_ms { "met" } else { "missed" };
        let times = format!("{:.1} ms ({:.1}-{:.1})", ms.median, ms.min, ms.max);
        format!("clone of 20 GiB, {place}: {times} by {how}, to be under {target_ms} ms: {verdict}\n")
    }
}
