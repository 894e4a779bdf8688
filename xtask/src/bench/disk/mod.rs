//! Disks: ours and the field's, with the same work in turn, on files in memory and on a disk.

mod clone;
mod fio;
mod guest;
mod nbd;
mod pattern;
mod qcow2;
mod report;
mod rings;
mod server;
mod virtio;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use tempfile::TempDir;

use self::report::Report;
use super::machine::{Machine, first_line};
use crate::shell;

const MIB: u64 = 1 << 20;

/// How to measure disks.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each side with each work
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long a work goes on that has no end, in seconds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The size of the disks, in MiB
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    size: u32,
    /// Only these: virtio, nbd, qcow2, clone, guest
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these places: memory, disk
    #[arg(long, value_delimiter = ',')]
    places: Vec<String>,
    /// The folder on a disk
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp")]
    folder: PathBuf,
    /// Write the report to this file, too, beside what it has of other parts from the same machine and programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The russet to measure, instead of one built now
    #[arg(long)]
    russet: Option<PathBuf>,
}

/// What all measurements share.
struct Setting {
    russet: PathBuf,
    runs: u32,
    seconds: u32,
    /// Of the disks, in bytes.
    size: u64,
}

/// Where the files are that are measured.
struct Place {
    name: &'static str,
    folder: TempDir,
}

const PARTS: [&str; 5] = ["virtio", "nbd", "qcow2", "clone", "guest"];
const PLACES: [&str; 2] = ["memory", "disk"];

pub(crate) fn run(options: &Options) -> Result<()> {
    check("--only", &options.only, &PARTS)?;
    check("--places", &options.places, &PLACES)?;
    for (program, package) in [("qemu-nbd", "qemu-utils"), ("fio", "fio"), ("nbdcopy", "libnbd-bin")] {
        if !shell::has(program) {
            bail!("{program} is missing: apt-get install {package}");
        }
    }
    let russet = match &options.russet {
        Some(path) => fs::canonicalize(path)?,
        None => {
            shell::run(shell::cargo().args(["build", "--release", "--package", "russet"]))?;
            shell::target().join("release/russet")
        }
    };
    let (runs, seconds) = (options.runs, options.seconds);
    let setting = Setting { russet, runs, seconds, size: u64::from(options.size) * MIB };
    let mut report = Report {
        machine: Machine::this(options.russet.as_deref()),
        versions: ["qemu-nbd", "fio", "nbdcopy"].map(|p| first_line(Command::new(p).arg("--version"))).to_vec(),
        runs,
        groups: Vec::new(),
        clones: Vec::new(),
    };
    let wants = |part: &str| options.only.is_empty() || options.only.iter().any(|o| o == part);
    for place in places(options)? {
        if wants("virtio") {
            report.groups.push(virtio::group(&setting, &place)?);
        }
        if wants("nbd") {
            report.groups.push(nbd::group(&setting, &place)?);
        }
        if wants("qcow2") {
            report.groups.push(qcow2::direct(&setting, &place)?);
            report.groups.push(qcow2::served(&setting, &place)?);
        }
        if wants("clone") {
            report.clones.extend(clone::measure(&setting, &place)?);
        }
        if wants("guest") {
            report.groups.push(guest::group(&setting, &place)?);
        }
    }
    let table = report.table();
    if let Some(file) = &options.json {
        let earlier = fs::read(file).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let all = match earlier {
            Some(earlier) => report.beside(earlier),
            None => report,
        };
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    shell::print(&table)
}

fn check(option: &str, given: &[String], known: &[&str]) -> Result<()> {
    match given.iter().find(|g| !known.contains(&g.as_str())) {
        Some(unknown) => bail!("{option} {unknown}: there is nothing of that name; there are {}", known.join(", ")),
        None => Ok(()),
    }
}

/// The places that are wanted, each with a folder that goes away.
fn places(options: &Options) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for (name, parent) in PLACES.into_iter().zip([Path::new("/dev/shm"), &options.folder]) {
        if options.places.is_empty() || options.places.iter().any(|p| p == name) {
            places.push(Place { name, folder: tempfile::tempdir_in(parent)? });
        }
    }
    Ok(places)
}
