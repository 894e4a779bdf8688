//! Loops of integer and floating-point code in a Linux guest, against QEMU. The guest is Debian's kernel and our program
//! as its only process; the program times each kernel itself, after the boot.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::compare::{Group, Line, Report};
use super::emulator::{Board, Emulators};
use super::program;
use super::turns::{Measuring, take};
use crate::debian::{Guest, cpio::Archive};
use crate::{guest, shell};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    measuring: Measuring,
    /// How much longer each kernel works than usual
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Only compile the program, and say where it is: `qemu-aarch64 PROGRAM crc:10`
    #[arg(long)]
    compile: bool,
}

/// Kernels that one geometric mean sums up.
struct Set {
    name: &'static str,
    /// What the geometric mean and each kernel have to reach.
    target: f64,
    floor: Option<f64>,
    /// Names, and the repeats that take QEMU somewhat under a second.
    kernels: &'static [(&'static str, u32)],
}

const SETS: [Set; 2] = [
    Set {
        name: "integer",
        target: 1.9,
        floor: Some(0.95),
        kernels: &[
            ("sum", 25_000),
            ("copy", 30_000),
            ("crc", 4_500),
            ("heapsort", 400),
            ("sha256", 3_000),
            ("mpi", 2_100),
            ("fib", 600),
            ("vm", 300),
            ("list", 15_000),
            ("bytes", 6_000),
        ],
    },
    Set {
        name: "fp",
        target: 3.0,
        floor: None,
        kernels: &[
            ("matmul", 300),
            ("matmulf", 110),
            ("nbody", 300),
            ("fft", 1_300),
            ("fftf", 1_050),
            ("memcpy", 55_000),
            ("strlen", 30_000),
        ],
    },
];

/// The program's name, and the folder's of its source.
const PROGRAM: &str = "kernels";

/// Nothing of the kernel's own in the way: the boot is not what is measured.
const COMMAND_LINE: &str = "console=ttyAMA0 panic=-1 quiet nokaslr cryptomgr.notests --";

/// A kernel and how often it repeats its work.
type Job = (&'static str, u32);

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.compile {
        let folder = shell::target().join("guests");
        fs::create_dir_all(&folder)?;
        return shell::print(&program::compile(PROGRAM, &folder)?.display().to_string());
    }
    let names = SETS.iter().flat_map(|s| s.kernels.iter().map(|(kernel, _)| *kernel));
    options.measuring.check(&names.chain(SETS.iter().map(|s| s.name)).collect::<Vec<_>>())?;
    let guest = guest::debian(None, false)?;
    let emulators = options.measuring.choice.prepare()?;
    let groups = groups(&guest, &emulators, &options.measuring, options.scale)?;
    Report::of(emulators.machine(), guest.release, options.measuring.runs, groups).print(options.json)
}

/// Measures all that is wanted, each kernel with `scale` times its usual repeats.
pub(crate) fn groups(guest: &Guest, emulators: &Emulators, measuring: &Measuring, scale: f64) -> Result<Vec<Group>> {
    let jobs = |set: &'static Set| {
        let wanted = set.kernels.iter().filter(|(kernel, _)| measuring.wants(set.name, kernel));
        wanted.map(|&(kernel, repeats)| (kernel, ((f64::from(repeats) * scale) as u32).max(1))).collect()
    };
    let sets: Vec<(&Set, Vec<Job>)> = SETS.iter().map(|set| (set, jobs(set))).collect();
    if sets.iter().all(|(_, jobs)| jobs.is_empty()) {
        return Ok(Vec::new());
    }
    let arguments: Vec<String> = sets.iter().flat_map(|(_, jobs)| jobs).map(|(k, n)| format!("{k}:{n}")).collect();
    let command_line = format!("{COMMAND_LINE} {}", arguments.join(" "));
    let folder = tempfile::tempdir()?;
    let initrd = initrd(&folder)?;
    let board = Board::new(&guest.kernel, &initrd, &command_line);
    let wanted: Vec<&str> = sets.iter().flat_map(|(_, jobs)| jobs).map(|(kernel, _)| *kernel).collect();
    let turns = take(PROGRAM, &wanted, &board, emulators, measuring.runs)?;
    let mut groups = Vec::new();
    for (set, jobs) in sets.iter().filter(|(_, jobs)| !jobs.is_empty()) {
        let lines = jobs.iter().map(|(name, _)| Line::of(&turns, name, None)).collect::<Result<_>>()?;
        groups.push(Group::of(set.name, lines, Some(set.target), set.floor).after(&turns));
    }
    Ok(groups)
}

/// An initial RAM disk in which the program is /init.
fn initrd(folder: &tempfile::TempDir) -> Result<PathBuf> {
    let program = fs::read(program::compile(PROGRAM, folder.path())?)?;
    let mut archive = Archive::new();
    archive.folder("dev");
    archive.device("dev/console", 0o600, 5, 1);
    archive.file("init", 0o755, &program);
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, archive.finish())?;
    Ok(initrd)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::super::run::measure;
    use super::super::work::{END, Work, works};
    use super::*;

    #[test]
    fn the_program_has_every_kernel_and_counts_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let program = program::compile(PROGRAM, folder.path()).unwrap();
        let run = |repeats: u32| {
            let names = SETS.iter().flat_map(|s| s.kernels).map(|(name, _)| format!("{name}:{repeats}"));
            let mut command = Command::new("qemu-aarch64");
            command.arg(&program).args(names);
            works(&measure(&mut command, END, Duration::from_secs(100)).unwrap().said).unwrap()
        };
        let (one, two) = (run(1), run(2));
        let names: Vec<&str> = SETS.iter().flat_map(|s| s.kernels).map(|(name, _)| *name).collect();
        assert_eq!(one.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), names);
        // The CRC-32 and the SHA-256 state depend on each repeat; so does what the others say.
        for (a, b) in one.iter().zip(&two) {
            let checksum = |w: &Work| w.result.split_once("checksum=").unwrap().1.to_owned();
            // A copy of a copy is the same copy.
            assert!(checksum(a) != checksum(b) || a.name == "copy" || a.name == "memcpy", "{}", a.name);
        }
    }
}
