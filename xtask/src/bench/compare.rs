//! Work of a guest on both emulators: who took how long, and who is how many times as fast.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::emulator::Emulator;
use super::machine::Machine;
use super::run::Spread;
use super::translation::Translation;
use super::turns::Turn;
use super::work::Work;
use crate::shell;

/// Everything that was measured in one go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// The guest's kernel.
    pub(crate) kernel: String,
    pub(crate) runs: u32,
    pub(crate) groups: Vec<Group>,
}

/// Works that one figure sums up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// What the geometric mean of the ratios has to be at least.
    pub(crate) target: Option<f64>,
    /// What none of the ratios may be below.
    pub(crate) floor: Option<f64>,
    pub(crate) lines: Vec<Line>,
    /// The geometric mean of the ratios of wall time.
    pub(crate) geomean: Option<f64>,
    /// The same of CPU time.
    pub(crate) geomean_cpu: Option<f64>,
    /// The worst of all our runs.
    pub(crate) translation: Option<Translation>,
}

/// One work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) russet: Option<Figures>,
    pub(crate) qemu: Option<Figures>,
    /// How many times as fast as QEMU we are, by the wall clock of the guest: QEMU's median over ours.
    pub(crate) ratio: Option<f64>,
    /// The same by the CPU time of the emulator's process, which other work on the machine disturbs less.
    pub(crate) ratio_cpu: Option<f64>,
    /// What the ratio has to be at least.
    pub(crate) target: Option<f64>,
}

/// The runs of one work on one emulator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// By the guest's clock.
    pub(crate) wall_s: Spread,
    /// Of the emulator's process.
    pub(crate) cpu_s: Spread,
}

impl Report {
    /// Of what was measured on this machine.
    pub(crate) fn of(machine: Machine, kernel: String, runs: u32, groups: Vec<Group>) -> Self {
        Self { machine, kernel, runs, groups }
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        shell::print(&if json { serde_json::to_string_pretty(self)? } else { table(self) })
    }
}

impl Figures {
    fn of(turns: &[Turn], emulator: Emulator, name: &str) -> Option<Self> {
        let works = turns.iter().filter(|t| t.emulator == emulator).flat_map(|t| &t.works);
        let works: Vec<&Work> = works.filter(|w| w.name == name).collect();
        let spread = |of: fn(&Work) -> f64| Spread::of(works.iter().map(|w| of(w)));
        (!works.is_empty()).then(|| Self { wall_s: spread(|w| w.guest_s), cpu_s: spread(|w| w.cpu_s) })
    }
}

impl Line {
    /// From all turns, in which `name` gave the same result everywhere.
    pub(crate) fn of(turns: &[Turn], name: &str, target: Option<f64>) -> Result<Self> {
        let works = || turns.iter().flat_map(|t| t.works.iter().filter(|w| w.name == name).map(|w| (t.emulator, w)));
        if let Some((_, first)) = works().next() {
            for (emulator, work) in works() {
                if work.result != first.result {
                    let (by, was, is) = (emulator.name(), &first.result, &work.result);
                    bail!("{name}: the results differ: {was} at first, and {is} by {by}: one of them computes wrongly");
                }
            }
        }
        let russet = Figures::of(turns, Emulator::Russet, name);
        let qemu = Figures::of(turns, Emulator::Qemu, name);
        let both = russet.as_ref().zip(qemu.as_ref());
        let ratio = both.map(|(r, q)| q.wall_s.median / r.wall_s.median);
        let ratio_cpu = both.map(|(r, q)| q.cpu_s.median / r.cpu_s.median);
        Ok(Self { name: name.to_owned(), russet, qemu, ratio, ratio_cpu, target })
    }
}

impl Group {
    /// Sums up `lines`.
    pub(crate) fn of(name: &str, lines: Vec<Line>, target: Option<f64>, floor: Option<f64>) -> Self {
        let geomean = geometric_mean(lines.iter().filter_map(|l| l.ratio));
        let geomean_cpu = geometric_mean(lines.iter().filter_map(|l| l.ratio_cpu));
        Self { name: name.to_owned(), target, floor, lines, geomean, geomean_cpu, translation: None }
    }

    /// With what translating cost in `turns`.
    pub(crate) fn after(self, turns: &[Turn]) -> Self {
        Self { translation: turns.iter().filter_map(|turn| turn.translation).reduce(Translation::worst), ..self }
    }
}

/// Of positive values; none of none.
pub(crate) fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The report as text.
fn table(report: &Report) -> String {
    let mut text = format!("{}\nkernel {}, {} runs each\n", report.machine.describe(), report.kernel, report.runs);
    for group in &report.groups {
        text += &format!("\n{:12} {:>22} {:>22}", group.name, "russet s", "QEMU s");
        text += &format!(" {:>7} {:>7} {:>7}\n", "ratio", "by CPU", "target");
        for line in &group.lines {
            let floor = line.target.or(group.floor);
            let [ours, theirs] = [&line.russet, &line.qemu].map(|f| f.as_ref().map(|f| shown(&f.wall_s)));
            let [ours, theirs] = [ours, theirs].map(|t| t.unwrap_or_else(|| "-".to_owned()));
            text += &format!("{:12} {ours:>22} {theirs:>22}", line.name);
            text += &ratios(line.ratio, line.ratio_cpu, floor);
        }
        if group.lines.len() > 1 {
            text += &format!("{:12} {:>22} {:>22}", "geomean", "", "");
            text += &ratios(group.geomean, group.geomean_cpu, group.target);
        }
    }
    let translation = report.groups.iter().filter_map(|group| group.translation).reduce(Translation::worst);
    if let Some(translation) = translation {
        text += &format!("\n{}", translation.table());
    }
    text + "\nratio: how many times as fast as QEMU, by the guest's clock; by CPU: by CPU time of the emulator\n"
}

fn shown(spread: &Spread) -> String {
    format!("{:.3} ({:.3}-{:.3})", spread.median, spread.min, spread.max)
}

fn ratios(wall: Option<f64>, cpu: Option<f64>, target: Option<f64>) -> String {
    let number = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.2}"));
    let verdict = match (wall, target) {
        (Some(wall), Some(target)) if wall >= target => "met",
        (Some(_), Some(_)) => "missed",
        _ => "",
    };
    format!(" {:>7} {:>7} {:>7} {verdict}", number(wall), number(cpu), number(target)).trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(emulator: Emulator, name: &str, result: &str, guest_s: f64) -> Turn {
        let work = Work { name: name.to_owned(), result: result.to_owned(), guest_s, cpu_s: guest_s / 2.0 };
        Turn { emulator, works: vec![work], translation: None }
    }

    #[test]
    fn a_ratio_is_of_medians_and_says_how_many_times_as_fast() {
        let turns = [
            turn(Emulator::Russet, "a", "1", 1.0),
            turn(Emulator::Qemu, "a", "1", 3.0),
            turn(Emulator::Russet, "a", "1", 1.0),
            turn(Emulator::Qemu, "a", "1", 5.0),
            turn(Emulator::Russet, "b", "2", 9.0),
        ];
        let line = Line::of(&turns, "a", None).unwrap();
        assert_eq!((line.ratio, line.ratio_cpu), (Some(4.0), Some(4.0)));
        assert_eq!(line.qemu.unwrap().wall_s, Spread { median: 4.0, min: 3.0, max: 5.0 });
        let alone = Line::of(&turns, "b", None).unwrap();
        assert!(alone.russet.is_some() && alone.qemu.is_none() && alone.ratio.is_none());
    }

    #[test]
    fn different_results_are_no_measurement() {
        let turns = [turn(Emulator::Russet, "a", "1", 1.0), turn(Emulator::Qemu, "a", "2", 1.0)];
        assert!(Line::of(&turns, "a", None).unwrap_err().to_string().contains("1 at first, and 2 by qemu"));
    }

    #[test]
    fn the_geometric_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean([4.0, 0.25].into_iter()).unwrap() - 1.0).abs() < 1e-12);
        assert!((geometric_mean([1.0, 8.0, 27.0].into_iter()).unwrap() - 6.0).abs() < 1e-12);
        assert_eq!(geometric_mean(std::iter::empty()), None);
    }

    #[test]
    fn a_table_says_what_is_met_and_what_is_missed() {
        let line = |name: &str, ours: f64, target| {
            let turns = [turn(Emulator::Russet, name, "1", ours), turn(Emulator::Qemu, name, "1", 1.0)];
            Line::of(&turns, name, target).unwrap()
        };
        let lines = vec![line("fast", 0.25, None), line("slow", 2.0, None), line("own", 1.0, Some(2.0))];
        let group = Group::of("loops", lines, Some(1.2), Some(0.95));
        let report = Report { machine: Machine::this(None), kernel: "6.1".to_owned(), runs: 1, groups: vec![group] };
        let text = table(&report);
        let verdict = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name)).unwrap();
            line.split_whitespace().rev().take(4).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(verdict("fast"), "met 0.95 4.00 4.00");
        assert_eq!(verdict("slow"), "missed 0.95 0.50 0.50");
        assert_eq!(verdict("own"), "missed 2.00 1.00 1.00");
        assert_eq!(verdict("geomean"), "met 1.20 1.26 1.26");
    }
}
