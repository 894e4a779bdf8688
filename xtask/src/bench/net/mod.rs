//! User-mode networks. First by themselves, driven from the guest's side without a CPU engine: ours through the rings of
//! its card, libslirp through qemu's and passt through its own stream socket, with the same TCP/IP as the guest of all.
//! Then with a Linux guest that talks to the host: russet with the software CPU, and qemu with TCG and libslirp.

mod card;
mod guest;
mod linux;
mod peers;
mod report;
mod rings;
mod stream;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::peers::Peer;
use self::report::{Report, Taken};
use self::work::Work;
use super::emulator::Choice;
use super::machine::Machine;
use crate::shell;

/// How to measure networks.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Turns of each network
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long each work goes on, in milliseconds
    #[arg(long, default_value_t = 2000)]
    time: u64,
    /// Only these networks (russet, slirp, passt) or works (such as "udp up"; "linux" for those in a Linux guest)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the report to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

impl Options {
    /// Of the networks, or of the works, those that are named in `only`; all if none is.
    fn wants(&self, name: &str, all: &[&str]) -> bool {
        let named = |name: &str| self.only.iter().any(|o| o == name);
        named(name) || !all.iter().any(|other| named(other))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let peers = Peer::ALL.map(Peer::name);
    let works: Vec<_> = Work::ALL.into_iter().map(Work::name).chain(["linux"]).collect();
    if let Some(unknown) = options.only.iter().find(|o| !peers.contains(&o.as_str()) && !works.contains(&o.as_str())) {
        bail!("--only {unknown}: there are the networks {} and the works {}", peers.join(", "), works.join(", "));
    }
    let mut taken = Vec::new();
    for run in 1..=options.runs {
        for peer in Peer::ALL.into_iter().filter(|peer| options.wants(peer.name(), &peers)) {
            shell::say(&format!("run {run} of {}: {}", options.runs, peer.name()));
            for work in Work::ALL.into_iter().filter(|work| options.wants(work.name(), &works)) {
                let figures = work
                    .measure(peer, Duration::from_millis(options.time))
                    .with_context(|| format!("{} on {}", work.name(), peer.name()))?;
                taken.push(Taken { work: work.row(), peer, figures });
            }
        }
    }
    let mut machine = Machine::this(None);
    if options.wants("linux", &works) {
        let emulators = options.choice.prepare()?;
        machine = emulators.machine();
        taken.extend(linux::take(&emulators, options.runs)?);
    }
    let report = Report::of(machine, options.runs, &taken);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    shell::print(&report.table())
}
