//! How long a kernel takes from the start of the emulator's process to its power-off, against QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::machine::Machine;
use super::run::{Sample, Spread, measure};
use crate::debian::cpio::Archive;
use crate::{guest, shell};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each emulator with each command line
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Another Debian suite's kernel
    #[arg(long)]
    suite: Option<String>,
    /// The russet to measure, instead of one built now
    #[arg(long)]
    russet: Option<PathBuf>,
    /// What russet does with hot code: off, on or stress
    #[arg(long, default_value = "on")]
    jit: String,
    /// Only this emulator
    #[arg(long, value_enum)]
    only: Option<Emulator>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Emulator {
    Russet,
    Qemu,
}

/// The command lines, with their names.
const COMMAND_LINES: [(&str, &str); 2] = [
    ("as given", "console=ttyAMA0 panic=-1"),
    ("+ nokaslr cryptomgr.notests", "console=ttyAMA0 panic=-1 nokaslr cryptomgr.notests"),
];

const MEMORY_MIB: &str = "512";

/// What the guest's /init says before it powers off.
const PROOF: &str = "bench: init reached";

/// Longer than any boot takes that is worth measuring.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Serialize)]
struct Report {
    machine: Machine,
    kernel: String,
    runs: u32,
    results: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    command_line: &'static str,
    russet: Option<Figures>,
    qemu: Option<Figures>,
    /// Russet's median wall time divided by QEMU's.
    ratio: Option<f64>,
}

#[derive(Serialize)]
struct Figures {
    wall_s: Spread,
    cpu_s: Spread,
    max_rss_mib: Spread,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let guest = guest::debian(options.suite.as_deref(), false)?;
    let folder = tempfile::tempdir()?;
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, powering_off(&fs::read(&guest.initrd)?))?;
    let russet = match &options.russet {
        Some(path) => path.clone(),
        None if options.only == Some(Emulator::Qemu) => PathBuf::new(),
        None => build()?,
    };
    let wants = |emulator| options.only.is_none_or(|only| only == emulator);
    let mut results = Vec::new();
    for (name, command_line) in COMMAND_LINES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 1..=options.runs {
            shell::say(&format!("{name}: run {run} of {}", options.runs));
            // In turn, so that both see the same weather.
            if wants(Emulator::Russet) {
                ours.push(once(russet_command(&russet, &guest.kernel, &initrd, command_line, &options.jit), "russet")?);
            }
            if wants(Emulator::Qemu) {
                theirs.push(once(qemu_command(&guest.kernel, &initrd, command_line), "qemu-system-aarch64")?);
            }
        }
        let (ours, theirs) = (figures(&ours), figures(&theirs));
        let ratio = ours.as_ref().zip(theirs.as_ref()).map(|(o, t)| o.wall_s.median / t.wall_s.median);
        results.push(Line { name, command_line, russet: ours, qemu: theirs, ratio });
    }
    let report = Report { machine: Machine::this(), kernel: guest.release, runs: options.runs, results };
    shell::print(&if options.json { serde_json::to_string_pretty(&report)? } else { table(&report) })
}

/// The initial RAM disk with an /init that powers off at once, in a second archive which goes over the first.
fn powering_off(initrd: &[u8]) -> Vec<u8> {
    let mut archive = Archive::new();
    let init = format!("#!/bin/busybox sh\n/bin/busybox echo '{PROOF}'\n/bin/busybox poweroff -f\n");
    archive.file("init", 0o755, init.as_bytes());
    [initrd, &archive.finish()].concat()
}

fn build() -> Result<PathBuf> {
    shell::run(shell::cargo().args(["build", "--release", "--package", "russet"]))?;
    Ok(shell::target().join("release/russet"))
}

/// The machine that QEMU's options below describe: one CPU, a PL011 on standard output, nothing else.
fn russet_command(russet: &Path, kernel: &Path, initrd: &Path, command_line: &str, jit: &str) -> Command {
    let (kernel, initrd) = (kernel.display(), initrd.display());
    let loader = format!("linux,kernel=\"{kernel}\",initrd=\"{initrd}\",cmdline=\"{command_line}\"");
    let mut command = Command::new(russet);
    command.args(["run", "--engine", "soft", "--jit", jit, "--bootloader", &loader]);
    command.args(["--cpus", "1", "--memory", MEMORY_MIB, "--device", "pl011,stdio"]);
    command
}

fn qemu_command(kernel: &Path, initrd: &Path, command_line: &str) -> Command {
    let mut command = Command::new("qemu-system-aarch64");
    // No network card of QEMU's own choice: its boot ROM is in a package of its own.
    command.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", MEMORY_MIB, "-nographic", "-nic", "none"]);
    command.args(["-append", command_line, "-kernel"]).arg(kernel).arg("-initrd").arg(initrd);
    command
}

fn once(mut command: Command, name: &str) -> Result<Sample> {
    if name.starts_with("qemu") && !shell::has(name) {
        bail!("{name} is missing: apt-get install qemu-system-arm");
    }
    measure(&mut command, PROOF, LIMIT).with_context(|| format!("{name} did not boot the guest"))
}

fn figures(samples: &[Sample]) -> Option<Figures> {
    let spread = |of: fn(&Sample) -> f64| Spread::of(samples.iter().map(of));
    (!samples.is_empty()).then(|| Figures {
        wall_s: spread(|s| s.wall),
        cpu_s: spread(|s| s.cpu),
        max_rss_mib: spread(|s| s.rss),
    })
}

fn table(report: &Report) -> String {
    let mut text = format!("{}\nkernel {}, {} runs each\n", report.machine.describe(), report.kernel, report.runs);
    for line in &report.results {
        text += &format!("\n{}: {}\n", line.name, line.command_line);
        text += &format!("{:10} {:>24} {:>24} {:>24}\n", "", "wall s", "cpu s", "max RSS MiB");
        for (name, figures) in [("russet", &line.russet), ("qemu", &line.qemu)] {
            if let Some(Figures { wall_s, cpu_s, max_rss_mib }) = figures {
                let show = |s: &Spread| format!("{:.2} ({:.2}-{:.2})", s.median, s.min, s.max);
                text += &format!("{name:10} {:>24} {:>24} {:>24}\n", show(wall_s), show(cpu_s), show(max_rss_mib));
            }
        }
        if let Some(ratio) = line.ratio {
            text += &format!("{:10} {ratio:>24.2}\n", "ratio");
        }
    }
    text
}
