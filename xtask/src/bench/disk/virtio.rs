//! A virtio disk on a raw file, from the guest's side of its rings, against fio with io_uring on a file like it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use block::{RawDisk, RawOptions};

use super::pattern::{Pattern, Way, make_disk};
use super::report::{Group, Line, Sample, Side};
use super::rings::Rings;
use super::{MIB, Place, Setting, fio};

/// Patterns, and the least ratio that we want. Long writes are last: they leave pieces that do not say where they are.
const WORKS: [(Pattern, f64); 4] = [
    (Pattern::new(Way::Read, MIB, 8), 0.9),
    (Pattern::new(Way::RandRead, 4096, 32), 0.7),
    (Pattern::new(Way::RandWrite, 4096, 32), 0.7),
    (Pattern::new(Way::Write, MIB, 8), 0.9),
];

/// Measures all works in `place`.
pub(super) fn group(setting: &Setting, place: &Place) -> Result<Group> {
    let [ours, theirs] = ["virtio.raw", "native.raw"].map(|name| place.folder.path().join(name));
    make_disk(&ours, setting.size)?;
    make_disk(&theirs, setting.size)?;
    let measure = |&(pattern, target): &(Pattern, f64)| {
        Line::measure(&pattern.name(), target, setting.runs, |side| {
            let (bytes, seconds) = match side {
                Side::Russet => rings(&ours, pattern, setting)?,
                Side::Peer => native(&theirs, pattern, setting)?,
            };
            Ok(Sample::of(bytes, seconds))
        })
    };
    let lines = WORKS.iter().map(measure).collect::<Result<_>>()?;
    fs::remove_file(ours)?;
    fs::remove_file(theirs)?;
    Ok(Group { name: format!("virtio-blk by its rings, raw, {}", place.name), peer: "fio io_uring".to_owned(), lines })
}

fn rings(file: &Path, pattern: Pattern, setting: &Setting) -> Result<(f64, f64)> {
    forget(file)?;
    let disk = RawDisk::open(file, RawOptions::default())?;
    Rings::new(Arc::new(disk), pattern).run(Duration::from_secs(setting.seconds.into()))
}

fn native(file: &Path, pattern: Pattern, setting: &Setting) -> Result<(f64, f64)> {
    forget(file)?;
    fio::run(&[
        "--ioengine=io_uring".to_owned(),
        "--time_based".to_owned(),
        format!("--runtime={}", setting.seconds),
        format!("--filename={}", file.display()),
        format!("--size={}", setting.size),
        format!("--rw={}", pattern.way.name()),
        format!("--bs={}", pattern.block),
        format!("--iodepth={}", pattern.depth),
    ])
}

/// Both begin with nothing of the file in the page cache, as fio does by itself.
#[cfg(target_os = "linux")]
fn forget(file: &Path) -> Result<()> {
    let file = fs::File::open(file)?;
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Nor is there the peer, fio on io_uring, on other hosts.
#[cfg(not(target_os = "linux"))]
fn forget(_file: &Path) -> Result<()> {
    anyhow::bail!("this is measured on Linux only: nothing else empties its page cache for a file")
}
