//! What was measured: medians, ratios of ours to each network, and what they have to be at least.

use std::fmt::Write;
use std::process::Command;

use serde::Serialize;

use super::peers::Peer;
use super::work::Figures;
use crate::bench::machine::Machine;
use crate::bench::run::Spread;

/// A row of the table, for one work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) work: &'static str,
    /// Of the rate.
    pub(super) unit: &'static str,
    /// What the network's CPU time is counted for.
    pub(super) share: &'static str,
}

/// One run of a work on a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) work: Row,
    pub(super) peer: Peer,
    pub(super) figures: Figures,
}

/// Everything that was measured in one go.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    passt: String,
    runs: u32,
    lines: Vec<Line>,
}

/// A work on a network.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    row: Row,
    network: &'static str,
    rate: Spread,
    /// Nanoseconds of the network's CPU time for each share; of a Linux guest the whole emulator's.
    cpu_ns: Spread,
    /// How many times that rate is ours.
    ratio: Option<f64>,
    /// How many times our CPU time that takes for the same.
    ratio_cpu: Option<f64>,
    /// What the ratio has to be at least.
    target: Option<f64>,
}

impl Report {
    pub(super) fn of(machine: Machine, runs: u32, taken: &[Taken]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        taken.iter().for_each(|t| {
            if !rows.contains(&t.work) {
                rows.push(t.work);
            }
        });
        let lines = rows.iter().flat_map(|row| Peer::ALL.into_iter().filter_map(|peer| line(taken, *row, peer)));
        let version = Command::new("passt").arg("--version").output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let passt = version.lines().next().unwrap_or("no passt").to_owned();
        Self { machine, passt, runs, lines: lines.collect() }
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text =
            format!("{}\n{}\n{} runs of each in turn, medians\n\n", self.machine.describe(), self.passt, self.runs);
        for line in &self.lines {
            let Row { work, unit, share } = line.row;
            let name = format!("{work} ({})", line.network);
            let _ = write!(
                text,
                "{name:<22}{:>10.0} {unit:<14}{:>8.0} ns/{share:<10}",
                line.rate.median, line.cpu_ns.median
            );
            if let (Some(ratio), Some(cpu)) = (line.ratio, line.ratio_cpu) {
                let _ = write!(text, "  ours {ratio:>5.2} times as fast, {cpu:>5.2} for the CPU time");
            }
            if let Some(target) = line.target {
                let verdict = if line.ratio.is_some_and(|ratio| ratio >= target) { "reached" } else { "missed" };
                let _ = write!(text, "; {target} {verdict}");
            }
            text.push('\n');
        }
        text.trim_end().to_owned()
    }
}

fn spread(taken: &[Taken], row: Row, peer: Peer, of: fn(&Figures) -> f64) -> Option<Spread> {
    let mut figures = taken.iter().filter(|t| t.work == row && t.peer == peer).map(|t| of(&t.figures)).peekable();
    figures.peek()?;
    Some(Spread::of(figures))
}

fn line(taken: &[Taken], row: Row, peer: Peer) -> Option<Line> {
    let rate = spread(taken, row, peer, |f| f.rate)?;
    let cpu_ns = spread(taken, row, peer, |f| f.cpu_ns)?;
    let other = peer != Peer::Russet;
    let ours = |of| spread(taken, row, Peer::Russet, of).filter(|_| other);
    let ratio = ours(|f| f.rate).map(|ours| ours.median / rate.median);
    let ratio_cpu = ours(|f| f.cpu_ns).map(|ours| cpu_ns.median / ours.median);
    let target = match peer {
        Peer::Russet => None,
        Peer::Slirp => Some(2.0),
        Peer::Passt => row.work.starts_with("tcp").then_some(1.0),
    };
    Some(Line { row, network: peer.name(), rate, cpu_ns, ratio, ratio_cpu, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_compared_with_each_and_judged() {
        let row = |work| Row { work, unit: "Mbit/s", share: "KiB" };
        let taken = |work, peer, rate, cpu_ns| Taken { work: row(work), peer, figures: Figures { rate, cpu_ns } };
        let all = [
            taken("tcp up", Peer::Russet, 90.0, 10.0),
            taken("tcp up", Peer::Russet, 110.0, 10.0),
            taken("tcp up", Peer::Slirp, 60.0, 30.0),
            taken("tcp up", Peer::Passt, 80.0, 5.0),
            taken("linux up", Peer::Slirp, 1.0, 1.0),
        ];
        let report = Report::of(Machine::this(None), 1, &all);
        let lines: Vec<_> = report.lines.iter().map(|l| (l.network, l.ratio, l.ratio_cpu, l.target)).collect();
        assert_eq!(lines[0], ("russet", None, None, None));
        assert_eq!(lines[1], ("slirp", Some(100.0 / 60.0), Some(3.0), Some(2.0)));
        assert_eq!(lines[2], ("passt", Some(1.25), Some(0.5), Some(1.0)));
        assert_eq!(lines[3], ("slirp", None, None, Some(2.0)));
        let table = report.table();
        assert!(table.contains("2 missed") && table.contains("1 reached"), "{table}");
    }
}
