//! Clones of a large disk and of a machine with one, by the commands that a user gives.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
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
/// A machine with a raw disk.
const MACHINE: &str = "engine = \"soft\"\nbootloader = { kind = \"linux\", kernel = \"Image\", cmdline = \"\" }\n\
                       storage = [{ kind = \"virtio-blk\", path = \"Disk.img\" }]\n";

/// How long clones took.
#[derive(Serialize, Deserialize)]
pub(super) struct Clone {
    #[serde(default = "disk")]
    what: String,
    pub(super) place: String,
    ms: Spread,
    target_ms: f64,
    /// By reflink or as an overlay.
    how: String,
}

fn disk() -> String {
    "a disk".to_owned()
}

/// Clones a qcow2 disk, and a machine with a raw one, in `place`.
pub(super) fn measure(setting: &Setting, place: &Place) -> Result<[Clone; 2]> {
    let folder = place.folder.path();
    let (raw, image, copy) = (folder.join("disk.raw"), folder.join("disk.qcow2"), folder.join("clone.qcow2"));
    written(&raw)?;
    crate::shell::run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&image))?;
    fs::remove_file(raw)?;
    let disk = clones(setting, place, disk(), &mut |russet| {
        if copy.exists() {
            fs::remove_file(&copy)?;
        }
        russet.args(["disk", "clone"]).arg(&image).arg(&copy);
        Ok(())
    })?;
    fs::remove_file(&copy)?;
    fs::remove_file(&image)?;
    let home = folder.join("home");
    let machine = clones(setting, place, "a machine".to_owned(), &mut |russet| {
        // Anew each time: the second clone of a machine that did not run has less to do.
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        let bundle = home.join("machines/base");
        fs::create_dir_all(&bundle)?;
        fs::write(bundle.join("machine.toml"), MACHINE)?;
        written(&bundle.join("Disk.img"))?;
        russet.env("RUSSET_HOME", &home).args(["clone", "base", "copy"]);
        Ok(())
    })?;
    fs::remove_dir_all(home)?;
    Ok([disk, machine])
}

/// Makes a raw disk of which some is written.
fn written(path: &Path) -> Result<()> {
    let file = fs::File::create(path)?;
    file.set_len(SIZE)?;
    for at in (0..SIZE).step_by((SIZE / 64) as usize) {
        file.write_all_at(&[0x55; 64 << 10], at)?;
    }
    Ok(file.sync_all()?)
}

/// Runs the command that `prepare` completes, and says how long it took.
fn clones(
    setting: &Setting,
    place: &Place,
    what: String,
    prepare: &mut dyn FnMut(&mut Command) -> Result<()>,
) -> Result<Clone> {
    let (mut times, mut how) = (Vec::new(), String::new());
    for _ in 0..setting.runs {
        let mut command = Command::new(&setting.russet);
        prepare(command.arg("--json").stderr(Stdio::inherit()))?;
        let start = Instant::now();
        let output = command.output()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let word = said["how"].as_str().or_else(|| said["disks"][0]["how"].as_str());
        how = word.unwrap_or_default().to_owned();
        if !output.status.success() || how.is_empty() {
            bail!("{command:?}: {}", output.status);
        }
    }
    Ok(Clone { what, place: place.name.to_owned(), ms: Spread::of(times.into_iter()), target_ms: TARGET_MS, how })
}

impl Clone {
    /// As a line of text.
    pub(super) fn line(&self) -> String {
        let Self { what, place, ms, target_ms, how } = self;
        let verdict = if ms.median < *target_ms { "met" } else { "missed" };
        let times = format!("{:.1} ms ({:.1}-{:.1})", ms.median, ms.min, ms.max);
        format!("clone of {what} of 20 GiB, {place}: {times} by {how}, to be under {target_ms} ms: {verdict}\n")
    }
}
