//! Loops of integer and floating-point code in a Linux guest, against QEMU. The guest is Debian's kernel and our program
//! as its only process; the program times each kernel itself, after the boot.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::compare::{Group, Line, Report, Turn, table};
use super::emulator::{Board, Choice, Emulators};
use super::machine::Machine;
use super::program;
use super::run::measure;
use super::work::{END, works};
use crate::debian::{Guest, cpio::Archive};
use crate::{guest, shell};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these kernels or groups, such as crc,fib or fp
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Boots of each emulator; each runs all kernels
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How much longer each kernel works than usual
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Only compile the program, and say where it is: `qemu-aarch64 PROGRAM crc:10`
    #[arg(long)]
    compile: bool,
    #[command(flatten)]
    choice: Choice,
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

/// Longer than any run takes that is worth measuring.
const LIMIT: Duration = Duration::from_secs(900);

/// A kernel and how often it repeats its work.
type Job = (&'static str, u32);

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.compile {
        let folder = shell::target().join("guests");
        fs::create_dir_all(&folder)?;
        return shell::print(&program::compile(PROGRAM, &folder)?.display().to_string());
    }
    let sets = chosen(options)?;
    let guest = guest::debian(None, false)?;
    let emulators = options.choice.prepare()?;
    let turns = turns(&sets, &guest, &emulators, options.runs)?;
    let mut groups = Vec::new();
    for (set, jobs) in &sets {
        let lines = jobs.iter().map(|(name, _)| Line::of(&turns, name, None)).collect::<Result<_>>()?;
        groups.push(Group::of(set.name, lines, Some(set.target), set.floor));
    }
    let report = Report { machine: Machine::this(), kernel: guest.release, runs: options.runs, groups };
    shell::print(&if options.json { serde_json::to_string_pretty(&report)? } else { table(&report) })
}

/// What is wanted of each set.
fn chosen(options: &Options) -> Result<Vec<(&'static Set, Vec<Job>)>> {
    let known = |name: &str| SETS.iter().any(|s| s.name == name || s.kernels.iter().any(|(k, _)| *k == name));
    if let Some(unknown) = options.only.iter().find(|o| !known(o)) {
        let names: Vec<&str> = SETS.iter().flat_map(|s| s.kernels.iter().map(|(k, _)| *k)).collect();
        bail!("--only {unknown}: there is no such kernel; there are {} and the groups integer, fp", names.join(", "));
    }
    let wanted =
        |set: &Set, kernel: &str| options.only.is_empty() || options.only.iter().any(|o| *o == set.name || o == kernel);
    let scaled = |repeats: u32| ((f64::from(repeats) * options.scale) as u32).max(1);
    let jobs = |set: &'static Set| {
        let jobs = set.kernels.iter().filter(|(kernel, _)| wanted(set, kernel));
        jobs.map(|&(kernel, repeats)| (kernel, scaled(repeats))).collect::<Vec<_>>()
    };
    Ok(SETS.iter().map(|set| (set, jobs(set))).filter(|(_, jobs)| !jobs.is_empty()).collect())
}

fn turns(sets: &[(&Set, Vec<Job>)], guest: &Guest, emulators: &Emulators, runs: u32) -> Result<Vec<Turn>> {
    let folder = tempfile::tempdir()?;
    let initrd = initrd(&folder)?;
    let jobs: Vec<String> = sets.iter().flat_map(|(_, jobs)| jobs).map(|(k, n)| format!("{k}:{n}")).collect();
    let command_line = format!("{COMMAND_LINE} {}", jobs.join(" "));
    let mut turns = Vec::new();
    for run in 1..=runs {
        shell::say(&format!("kernels: run {run} of {runs}"));
        // In turn, so that both see the same weather.
        for &emulator in &emulators.wanted {
            let board = Board::new(&guest.kernel, &initrd, &command_line);
            let measured = measure(&mut emulators.command(emulator, &board), END, LIMIT);
            let works = measured.and_then(|(_, said)| works(&said));
            let works = works.with_context(|| format!("{} did not run the kernels", emulator.name()))?;
            turns.push(Turn { emulator, works });
        }
    }
    Ok(turns)
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

    use super::*;

    #[test]
    fn the_program_has_every_kernel_and_counts_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let program = program::compile(PROGRAM, folder.path()).unwrap();
        let run = |repeats: u32| {
            let names = SETS.iter().flat_map(|s| s.kernels).map(|(name, _)| format!("{name}:{repeats}"));
            let mut command = Command::new("qemu-aarch64");
            command.arg(&program).args(names);
            works(&measure(&mut command, END, Duration::from_secs(100)).unwrap().1).unwrap()
        };
        let (one, two) = (run(1), run(2));
        let names: Vec<&str> = SETS.iter().flat_map(|s| s.kernels).map(|(name, _)| *name).collect();
        assert_eq!(one.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), names);
        // The CRC-32 and the SHA-256 state depend on each repeat; so does what the others say.
        for (a, b) in one.iter().zip(&two) {
            let checksum = |w: &super::super::work::Work| w.result.split_once("checksum=").unwrap().1.to_owned();
            // A copy of a copy is the same copy.
            assert!(checksum(a) != checksum(b) || a.name == "copy" || a.name == "memcpy", "{}", a.name);
        }
    }
}
