//! Programs of a Debian root file system in a Linux guest, on one CPU and on four, against QEMU.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::compare::{Group, Line, Report};
use super::emulator::{Board, Emulators};
use super::program;
use super::turns::{Measuring, take};
use crate::debian::{Guest, cpio::Archive};
use crate::guest;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    measuring: Measuring,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Programs that one script starts.
pub(crate) struct Set {
    /// Also the script's name, in `xtask/guest/userland`.
    name: &'static str,
    cpus: u32,
    /// What the geometric mean has to reach.
    target: f64,
    /// Names of works, and what a work has to reach itself.
    works: &'static [(&'static str, Option<f64>)],
}

/// One program at a time.
pub(crate) const USERLAND: Set = Set {
    name: "userland",
    cpus: 1,
    target: 1.5,
    works: &[("gzip", None), ("sha256sum", None), ("awk", None), ("python3", None), ("fork", Some(2.0))],
};

/// Four at a time. The emulators have the host's CPUs for them, which may be fewer.
pub(crate) const SMP: Set =
    Set { name: "smp", cpus: 4, target: 1.0, works: &[("compress", Some(1.0)), ("jobs", Some(1.0))] };

/// The suite of the root file system.
const SUITE: &str = "bookworm";

const COMMAND_LINE: &str = "console=ttyAMA0 panic=-1 quiet nokaslr cryptomgr.notests";

pub(crate) fn run(options: &Options, set: &Set) -> Result<()> {
    options.measuring.check(&set.works.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
    let guest = guest::debian(None, false)?;
    let emulators = options.measuring.choice.prepare()?;
    let group = group(set, &guest, &emulators, &options.measuring)?;
    Report::of(emulators.machine(), guest.release, options.measuring.runs, group.into_iter().collect())
        .print(options.json)
}

/// Measures what is wanted of `set`; nothing if nothing is.
pub(crate) fn group(set: &Set, guest: &Guest, emulators: &Emulators, measuring: &Measuring) -> Result<Option<Group>> {
    let wanted = || set.works.iter().filter(|(name, _)| measuring.wants(set.name, name));
    let names: Vec<&str> = wanted().map(|(name, _)| *name).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let initrd = initrd(folder.path(), &guest.initrd, set.name, &names)?;
    let disk = guest::root(SUITE, false)?;
    let board = Board { cpus: set.cpus, disk: Some(&disk), ..Board::new(&guest.kernel, &initrd, COMMAND_LINE) };
    let turns = take(set.name, &names, &board, emulators, measuring.runs)?;
    let lines = wanted().map(|&(name, target)| Line::of(&turns, name, target)).collect::<Result<_>>()?;
    Ok(Some(Group::of(set.name, lines, Some(set.target), None).after(&turns)))
}

/// The initial RAM disk of `russet run debian` with another /init and the works, in a second archive which goes over
/// the first.
pub(crate) fn initrd(folder: &Path, debian: &Path, set: &str, works: &[&str]) -> Result<PathBuf> {
    let mut archive = Archive::new();
    archive.folder("bench");
    archive.file("bench/timed", 0o755, &fs::read(program::compile("timed", folder)?)?);
    archive.file("bench/only", 0o644, format!("only='{}'\n", works.join(" ")).as_bytes());
    let mut files: Vec<_> = fs::read_dir(program::guest("userland"))?.collect::<std::io::Result<_>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let (name, contents) = (file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?);
        archive.file(&format!("bench/{name}"), 0o644, &contents);
        if name == "init.sh" {
            archive.file("init", 0o755, &contents);
        }
        if name == format!("{set}.sh") {
            archive.file("bench/works.sh", 0o644, &contents);
        }
    }
    let initrd = folder.join("initrd");
    fs::write(&initrd, [fs::read(debian)?, archive.finish()].concat())?;
    Ok(initrd)
}
