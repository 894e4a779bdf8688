//! A report as a picture for the README: a bar for each ratio, on a logarithmic scale with QEMU in the middle.

use std::fmt::Write;

use super::compare::{Group, Report};

/// In pixels, as the rest.
const WIDTH: f64 = 760.0;
/// Where the scale begins and ends; names stand before it, and what the longest bars say behind it.
const SCALE: (f64, f64) = (190.0, 690.0);
const ROW: f64 = 19.0;
const BAR: f64 = 11.0;
/// From the top edge to the first group.
const HEAD: f64 = 62.0;
/// What a group's title takes, and what is left free behind a group.
const TITLE: f64 = 24.0;
const GAP: f64 = 12.0;
/// For the lines on where it was measured.
const FOOT: f64 = 50.0;

/// Greys that can be read on white and on black, where the viewer does not tell which it is.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #6e7781 }
.title { font-size: 15px; font-weight: 600 } .group { font-weight: 600 } .sum { font-weight: 700 } .small { font-size: 10.5px }
.faster { fill: #2f81f7 } .slower { fill: #d4792c } .total { fill: #1a5fc4 }
.grid { stroke: #8b949e; stroke-opacity: .25 } .qemu { stroke: #8b949e; stroke-width: 1.5 }
.target { stroke: #2da44e; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #adb5bd } .total { fill: #79b8ff } }
";

/// The picture, an SVG file.
pub(crate) fn svg(report: &Report) -> String {
    let content: f64 = report.groups.iter().map(|g| TITLE + GAP + ROW * rows(g).len() as f64).sum();
    let (bottom, height) = (HEAD + content, HEAD + content + FOOT);
    let scale = Scale::of(report);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"How many times as fast as QEMU\">\n<style>\n{STYLE}</style>\n"
    );
    text += &label(12.0, 22.0, "title", "start", "How many times as fast as QEMU");
    text += &label(12.0, 40.0, "small", "start", "Longer is better; green marks are what is to be reached.");
    for power in scale.low..=scale.high {
        let (value, kind) = (f64::from(power).exp2(), if power == 0 { "qemu" } else { "grid" });
        text += &line(scale.x(value), HEAD - 6.0, bottom - GAP, kind);
        let name = if power == 0 { "QEMU".to_owned() } else { format!("{value}×") };
        text += &label(scale.x(value), HEAD - 10.0, "small", "middle", &name);
    }
    let mut y = HEAD;
    for group in &report.groups {
        text += &label(12.0, y + 16.0, "group", "start", title(&group.name));
        y += TITLE;
        for row in rows(group) {
            text += &bar(&row, y, &scale);
            y += ROW;
        }
        y += GAP;
    }
    for (number, words) in foot(report).iter().enumerate() {
        text += &label(12.0, bottom + 12.0 + 15.0 * number as f64, "small", "start", words);
    }
    text + "</svg>\n"
}

/// A bar and its name.
struct Row {
    name: String,
    ratio: f64,
    target: Option<f64>,
    is_sum: bool,
}

/// The bars of a group: its works, and the geometric mean where there are several.
fn rows(group: &Group) -> Vec<Row> {
    let works = group.lines.iter().filter_map(|l| {
        Some(Row { name: l.name.clone(), ratio: l.ratio?, target: l.target.or(group.floor), is_sum: false })
    });
    let sum = group.geomean.filter(|_| group.lines.len() > 1 && group.target.is_some());
    let sum = sum.map(|ratio| Row { name: "geometric mean".to_owned(), ratio, target: group.target, is_sum: true });
    works.chain(sum).collect()
}

fn title(group: &str) -> &str {
    match group {
        "boot" => "Boot of Debian's kernel to power-off",
        "integer" => "Loops of integer code",
        "fp" => "Loops of floating-point and AdvSIMD code",
        "userland" => "Debian's programs",
        "smp" => "Four virtual CPUs",
        other => other,
    }
}

fn foot(report: &Report) -> [String; 2] {
    let (machine, kernel, runs) = (&report.machine, &report.kernel, report.runs);
    let clocks = "boots by the host's clock, other work by the guest's";
    [
        format!("{}, {} CPUs; {}", machine.cpu, machine.cores, machine.qemu),
        format!("russet {}, guest kernel {kernel}; medians of {runs} runs in turn; {clocks}", machine.russet),
    ]
}

/// Powers of two from left to right.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    /// Wide enough for all ratios and targets, and for one power of two on each side of QEMU.
    fn of(report: &Report) -> Self {
        let all = report.groups.iter().flat_map(rows).flat_map(|r| [Some(r.ratio), r.target]).flatten();
        let powers: Vec<f64> = all.map(f64::log2).filter(|p| p.is_finite()).collect();
        let low = powers.iter().fold(-1.0, |a: f64, b| a.min(*b)).floor();
        let high = powers.iter().fold(1.0, |a: f64, b| a.max(*b)).ceil();
        Self { low: low as i32, high: high as i32 }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = (ratio.log2() - f64::from(self.low)) / f64::from(self.high - self.low);
        SCALE.0 + part * (SCALE.1 - SCALE.0)
    }
}

fn bar(row: &Row, y: f64, scale: &Scale) -> String {
    let (one, end) = (scale.x(1.0), scale.x(row.ratio));
    let (x, width) = (one.min(end), (end - one).abs());
    let kind = match row.ratio {
        r if r < 1.0 => "slower",
        _ if row.is_sum => "total",
        _ => "faster",
    };
    let weight = if row.is_sum { "sum" } else { "" };
    let mut text = label(SCALE.0 - 14.0, y + 10.0, weight, "end", &row.name);
    let _ = writeln!(
        text,
        "<rect class=\"{kind}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>"
    );
    if let Some(target) = row.target {
        text += &line(scale.x(target), y - 2.0, y + BAR + 2.0, "target");
    }
    // Right of the bar and of the mark, whichever is longer.
    let right = end.max(one).max(row.target.map_or(0.0, |t| scale.x(t)));
    text + &label(right + 6.0, y + 10.0, weight, "start", &format!("{:.2}×", row.ratio))
}

fn line(x: f64, from: f64, to: f64, kind: &str) -> String {
    format!("<line class=\"{kind}\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\"/>\n")
}

fn label(x: f64, y: f64, kind: &str, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text class=\"{kind}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::super::compare::Line;
    use super::super::emulator::Emulator;
    use super::super::machine::Machine;
    use super::super::turns::Turn;
    use super::super::work::Work;
    use super::*;

    fn report() -> Report {
        let turn = |emulator, guest_s| {
            let works = vec![Work { name: "a<b".to_owned(), result: String::new(), guest_s, cpu_s: guest_s }];
            Turn { emulator, works, translation: None }
        };
        let line = |ours, theirs, target| {
            Line::of(&[turn(Emulator::Russet, ours), turn(Emulator::Qemu, theirs)], "a<b", target).unwrap()
        };
        let loops = Group::of("integer", vec![line(1.0, 4.0, None), line(1.0, 0.25, None)], Some(1.9), Some(0.95));
        let boots = Group::of("boot", vec![line(1.0, 2.0, Some(1.5))], None, None);
        Report::of(Machine::this(None), "6.1".to_owned(), 3, vec![boots, loops])
    }

    #[test]
    fn a_bar_goes_from_qemu_to_the_ratio() {
        // As `--json` writes it and `--from` reads it.
        let report: Report = serde_json::from_str(&serde_json::to_string(&report()).unwrap()).unwrap();
        let text = svg(&report);
        // From a quarter to four times are four powers of two, 125 pixels each; QEMU is at 440.
        let bars: Vec<&str> = text.lines().filter(|l| l.starts_with("<rect")).collect();
        for (bar, (kind, x, width)) in bars.iter().zip([
            ("faster", "440.0", "125.0"),
            ("faster", "440.0", "250.0"),
            ("slower", "190.0", "250.0"),
            ("total", "440.0", "0.0"),
        ]) {
            assert!(bar.contains(&format!("class=\"{kind}\" x=\"{x}\" ")), "{bar}");
            assert!(bar.contains(&format!(" width=\"{width}\" ")), "{bar}");
        }
        assert_eq!(bars.len(), 4);
        // Both loops have the floor, the boot and the mean what they have to reach.
        assert_eq!(text.matches("class=\"target\"").count(), 4);
        assert!(text.contains("a&lt;b</text>") && !text.contains("a<b"), "{text}");
    }

    #[test]
    fn the_picture_of_the_readme_is_that_of_the_report_beside_it() {
        let docs = crate::shell::workspace().join("docs");
        let read = |name: &str| std::fs::read_to_string(docs.join(name)).unwrap();
        let report = serde_json::from_str(&read("cpu-bench.json")).unwrap();
        assert!(
            svg(&report) == read("cpu-bench.svg"),
            "draw it anew: cargo xtask bench cpu --from docs/cpu-bench.json --svg docs/cpu-bench.svg"
        );
    }
}
