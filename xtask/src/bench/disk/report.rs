//! What was measured of disks: ours and a peer in turn, and what the ratio has to be.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::super::machine::Machine;
use super::super::run::Spread;
use super::clone::Clone;
use crate::shell;

/// Everything that was measured in one go.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// The peers' and clients' versions.
    pub(super) versions: Vec<String>,
    pub(super) runs: u32,
    pub(super) groups: Vec<Group>,
    pub(super) clones: Vec<Clone>,
}

/// Works of one kind on one medium.
#[derive(Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    /// What ours is compared with.
    pub(super) peer: String,
    pub(super) lines: Vec<Line>,
}

/// One work.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) russet: Figures,
    pub(super) peer: Figures,
    /// Our median of MiB/s divided by the peer's.
    pub(super) ratio: f64,
    /// What the ratio has to be at least.
    pub(super) target: f64,
    /// Our CPU time for a GiB divided by the peer's, where that of both is known.
    pub(super) cpu_ratio: Option<f64>,
}

/// The runs of one work on one side.
#[derive(Serialize, Deserialize)]
pub(super) struct Figures {
    mib_per_s: Spread,
    /// CPU time that it took for a GiB, of servers.
    cpu_s_per_gib: Option<Spread>,
}

/// One run.
pub(super) struct Sample {
    pub(super) mib_per_s: f64,
    pub(super) cpu_s_per_gib: Option<f64>,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Russet,
    Peer,
}

impl Sample {
    /// So many bytes in so many seconds.
    pub(super) fn of(bytes: f64, seconds: f64) -> Self {
        Self { mib_per_s: bytes / seconds / (1 << 20) as f64, cpu_s_per_gib: None }
    }
}

impl Figures {
    fn of(samples: &[Sample]) -> Self {
        let cpu: Option<Vec<f64>> = samples.iter().map(|s| s.cpu_s_per_gib).collect();
        Self {
            mib_per_s: Spread::of(samples.iter().map(|s| s.mib_per_s)),
            cpu_s_per_gib: cpu.map(|cpu| Spread::of(cpu.into_iter())),
        }
    }
}

impl Line {
    /// Measures both in turn, `runs` times each. Who goes first takes turns, too.
    pub(super) fn measure(
        name: &str,
        target: f64,
        runs: u32,
        mut run: impl FnMut(Side) -> Result<Sample>,
    ) -> Result<Self> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..runs {
            shell::say(&format!("{name}: run {} of {runs}", turn + 1));
            let order = if turn % 2 == 0 { [Side::Russet, Side::Peer] } else { [Side::Peer, Side::Russet] };
            for side in order {
                if side == Side::Russet { &mut ours } else { &mut theirs }.push(run(side)?);
            }
        }
        Ok(Self::of(name, target, &ours, &theirs))
    }

    /// Of the runs of both, at least one each.
    pub(super) fn of(name: &str, target: f64, ours: &[Sample], theirs: &[Sample]) -> Self {
        let (russet, peer) = (Figures::of(ours), Figures::of(theirs));
        let ratio = russet.mib_per_s.median / peer.mib_per_s.median;
        let cpu = russet.cpu_s_per_gib.as_ref().zip(peer.cpu_s_per_gib.as_ref());
        let cpu_ratio = cpu.map(|(r, p)| r.median / p.median);
        Self { name: name.to_owned(), russet, peer, ratio, target, cpu_ratio }
    }
}

impl Report {
    /// This, and what an earlier report has of other works, if it is of the same machine, programs and number of runs.
    pub(super) fn beside(mut self, mut earlier: Self) -> Self {
        if (&earlier.machine, &earlier.versions, earlier.runs) != (&self.machine, &self.versions, self.runs) {
            return self;
        }
        earlier.groups.retain(|old| self.groups.iter().all(|new| new.name != old.name));
        earlier.clones.retain(|old| self.clones.iter().all(|new| new.place != old.place));
        self.groups.splice(0..0, earlier.groups);
        self.clones.splice(0..0, earlier.clones);
        self
    }

    /// As text.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{}\n{}, {} runs each\n", self.machine.describe(), self.versions.join(", "), self.runs);
        for group in &self.groups {
            let (name, peer) = (&group.name, format!("{} MiB/s", group.peer));
            text += &format!("\n{name:40} {:>20} {peer:>24} {:>7} {:>7}\n", "russet MiB/s", "ratio", "target");
            for line in &group.lines {
                let [ours, theirs] = [&line.russet, &line.peer].map(|f| shown(&f.mib_per_s));
                let Line { name, ratio, target, .. } = line;
                let verdict = if ratio >= target { "met" } else { "missed" };
                let cpu = line.cpu_ratio.map_or_else(String::new, |cpu| format!(", {cpu:.2} of its CPU time"));
                text += &format!("  {name:38} {ours:>20} {theirs:>24} {ratio:>7.2} {target:>7.2} {verdict}{cpu}\n");
            }
        }
        if !self.clones.is_empty() {
            text.push('\n');
        }
        self.clones.iter().for_each(|clone| text += &clone.line());
        text
    }
}

fn shown(spread: &Spread) -> String {
    format!("{:.0} ({:.0}-{:.0})", spread.median, spread.min, spread.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_medians_and_who_is_first_takes_turns() {
        let mut order = Vec::new();
        let mut speeds = [10.0, 1.0, 2.0, 90.0, 30.0, 3.0].into_iter();
        let line = Line::measure("work", 1.5, 3, |side| {
            order.push(side);
            Ok(Sample::of(speeds.next().unwrap() * (1 << 20) as f64, 1.0))
        });
        use Side::{Peer, Russet};
        let line = line.unwrap();
        assert_eq!(order, [Russet, Peer, Peer, Russet, Russet, Peer]);
        assert_eq!((line.russet.mib_per_s.median, line.peer.mib_per_s.median), (30.0, 2.0));
        assert_eq!((line.ratio, line.cpu_ratio), (15.0, None));
    }

    #[test]
    fn a_table_says_what_is_met_and_what_is_missed() {
        let sample = |mib_per_s, cpu| [Sample { mib_per_s, cpu_s_per_gib: Some(cpu) }];
        let line = |name, ours| Line::of(name, 1.5, &sample(ours, 1.0), &sample(100.0, 2.0));
        let lines = vec![line("fast", 150.0), line("slow", 149.0)];
        let groups = vec![Group { name: "a group".to_owned(), peer: "peer".to_owned(), lines }];
        let (machine, versions) = (Machine::this(None), vec!["fio-3".to_owned()]);
        let report = Report { machine, versions, runs: 1, groups, clones: Vec::new() };
        let table = report.table();
        let end = |name: &str| table.lines().find(|l| l.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(end("fast").ends_with("1.50    1.50 met, 0.50 of its CPU time"), "{table}");
        assert!(end("slow").ends_with("1.49    1.50 missed, 0.50 of its CPU time"), "{table}");
    }

    #[test]
    fn parts_come_together_that_are_of_one_kind() {
        let report = |runs, names: &[&str]| {
            let group = |name: &&str| Group { name: (*name).to_owned(), peer: "peer".to_owned(), lines: Vec::new() };
            let groups = names.iter().map(group).collect();
            Report { machine: Machine::this(None), versions: Vec::new(), runs, groups, clones: Vec::new() }
        };
        let names = |report: &Report| report.groups.iter().map(|g| g.name.clone()).collect::<Vec<_>>();
        let earlier = || {
            let json = serde_json::to_string(&report(3, &["a", "b"])).unwrap();
            serde_json::from_str::<Report>(&json).unwrap()
        };
        assert_eq!(names(&report(3, &["b", "c"]).beside(earlier())), ["a", "b", "c"]);
        assert_eq!(names(&report(2, &["c"]).beside(earlier())), ["c"]);
    }
}
