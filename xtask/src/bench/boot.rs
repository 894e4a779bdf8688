//! How long a kernel takes from the start of the emulator's process to its power-off, against QEMU.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::compare::{self, Group};
use super::emulator::{Board, Choice, Emulator, Emulators};
use super::machine::Machine;
use super::run::{Run, Sample, Spread, measure};
use super::translation::Translation;
use super::turns::Turn;
use super::work::Work;
use crate::debian::{Guest, cpio::Archive};
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
    #[command(flatten)]
    choice: Choice,
}

/// What is booted.
struct Boot {
    name: &'static str,
    command_line: &'static str,
    /// How many times as fast as QEMU it has to be at least.
    target: Option<f64>,
}

/// At most 0.65 and 0.55 of QEMU's time.
const BOOTS: [Boot; 3] = [
    Boot { name: "as given", command_line: "console=ttyAMA0 panic=-1", target: Some(1.0 / 0.65) },
    Boot {
        name: "+ nokaslr cryptomgr.notests",
        command_line: "console=ttyAMA0 panic=-1 nokaslr cryptomgr.notests",
        target: None,
    },
    Boot {
        name: "no tests, quiet",
        command_line: "console=ttyAMA0 panic=-1 nokaslr cryptomgr.notests quiet",
        target: Some(1.0 / 0.55),
    },
];

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
    let emulators = options.choice.prepare()?;
    let mut results = Vec::new();
    for boot in &BOOTS {
        let boots = boots(boot, &guest, &emulators, options.runs)?;
        let of = |emulator| figures(boots.iter().filter(|(e, _)| *e == emulator).map(|(_, run)| run.sample));
        let (ours, theirs) = (of(Emulator::Russet), of(Emulator::Qemu));
        let ratio = ours.as_ref().zip(theirs.as_ref()).map(|(o, t)| o.wall_s.median / t.wall_s.median);
        results.push(Line { name: boot.name, command_line: boot.command_line, russet: ours, qemu: theirs, ratio });
    }
    let report = Report { machine: emulators.machine(), kernel: guest.release, runs: options.runs, results };
    shell::print(&if options.json { serde_json::to_string_pretty(&report)? } else { table(&report) })
}

/// The boots that have to reach something, as works. The time is the host's, for the whole process.
pub(crate) fn group(guest: &Guest, emulators: &Emulators, runs: u32) -> Result<Group> {
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    for boot in BOOTS.iter().filter(|b| b.target.is_some()) {
        let work =
            |s: Sample| Work { name: boot.name.to_owned(), result: String::new(), guest_s: s.wall, cpu_s: s.cpu };
        let turn = |(emulator, run): (Emulator, Run)| {
            let translation = Translation::of(&run.stderr);
            Turn { emulator, works: vec![work(run.sample)], translation }
        };
        let turns: Vec<Turn> = boots(boot, guest, emulators, runs)?.into_iter().map(turn).collect();
        lines.push(compare::Line::of(&turns, boot.name, boot.target)?);
        all.extend(turns);
    }
    Ok(Group::of("boot", lines, None, None).after(&all))
}

/// Boots on each emulator, in turn, so that both see the same weather.
fn boots(boot: &Boot, guest: &Guest, emulators: &Emulators, runs: u32) -> Result<Vec<(Emulator, Run)>> {
    let folder = tempfile::tempdir()?;
    let initrd = folder.path().join("initrd");
    fs::write(&initrd, powering_off(&fs::read(&guest.initrd)?))?;
    let board = Board::new(&guest.kernel, &initrd, boot.command_line);
    let mut boots = Vec::new();
    for number in 1..=runs {
        shell::say(&format!("{}: run {number} of {runs}", boot.name));
        for emulator in emulators.order(number) {
            let run = measure(&mut emulators.command(emulator, &board), PROOF, LIMIT);
            let run = run.with_context(|| format!("{} did not boot the guest", emulator.name()))?;
            boots.push((emulator, run));
        }
    }
    Ok(boots)
}

/// The initial RAM disk with an /init that powers off at once, in a second archive which goes over the first.
fn powering_off(initrd: &[u8]) -> Vec<u8> {
    let mut archive = Archive::new();
    let init = format!("#!/bin/busybox sh\n/bin/busybox echo '{PROOF}'\n/bin/busybox poweroff -f\n");
    archive.file("init", 0o755, init.as_bytes());
    [initrd, &archive.finish()].concat()
}

fn figures(samples: impl Iterator<Item = Sample>) -> Option<Figures> {
    let samples: Vec<Sample> = samples.collect();
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
