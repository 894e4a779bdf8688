//! What translating cost the guest and the host, by the counters of `russet run --stats --json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The worst that was seen of a machine, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Translation {
    /// The longest time that a CPU stood still because code was translated, by the CPU time of its thread.
    longest_pause_us: u64,
    /// The part of such a time in which a full buffer was emptied; 0 when none was full.
    longest_flush_us: u64,
    /// Buffers emptied.
    flushes: u64,
    /// Memory of predecoded and translated code, of all CPUs of a machine.
    bytes: u64,
}

/// What the longest pause may be at most; the longest flush; the memory.
const MOST: Translation =
    Translation { longest_pause_us: 1000, longest_flush_us: 20_000, flushes: u64::MAX, bytes: 128 << 20 };

impl Translation {
    /// Of the machine that said `stderr`; `None` if it said nothing of it.
    pub(crate) fn of(stderr: &str) -> Option<Self> {
        let events = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let cpus = events.filter(|event| event["event"] == "counters").map(|event| {
            let counter = |name: &str| event["counters"][name].as_u64();
            Some(Self {
                longest_pause_us: counter("longest translation stall in us")?,
                longest_flush_us: counter("longest flush in us")?,
                flushes: counter("translation flushes")?,
                bytes: counter("bytes of code pages and translations")?,
            })
        });
        cpus.collect::<Option<Vec<Self>>>()?
            .into_iter()
            .reduce(|one, other| Self { bytes: one.bytes + other.bytes, ..Self::worst(one, other) })
    }

    /// The worst of two machines.
    pub(crate) fn worst(self, other: Self) -> Self {
        Self {
            longest_pause_us: self.longest_pause_us.max(other.longest_pause_us),
            longest_flush_us: self.longest_flush_us.max(other.longest_flush_us),
            flushes: self.flushes + other.flushes,
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// As lines of a table.
    pub(crate) fn table(&self) -> String {
        let line = |name: &str, value: f64, most: f64, unit: &str| {
            let verdict = if value <= most { "met" } else { "missed" };
            format!("{name:36} {value:>8.2} {unit:3} {:>13} {most} {unit} {verdict}\n", "at most")
        };
        let (ms, mib) = (|us: u64| us as f64 / 1e3, |bytes: u64| bytes as f64 / f64::from(1 << 20));
        let mut text =
            line("longest pause for a translation", ms(self.longest_pause_us), ms(MOST.longest_pause_us), "ms");
        text += &match self.flushes {
            0 => "no buffer of translated code was full\n".to_owned(),
            _ => line("longest emptying of a full buffer", ms(self.longest_flush_us), ms(MOST.longest_flush_us), "ms"),
        };
        text + &line("memory for code, all CPUs together", mib(self.bytes), mib(MOST.bytes), "MiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(pause: u64, flushes: u64, bytes: u64) -> String {
        format!(
            "{{\"event\":\"counters\",\"cpu\":0,\"counters\":{{\"longest translation stall in us\":{pause},\
             \"longest flush in us\":7,\"translation flushes\":{flushes},\"bytes of code pages and translations\":{bytes}}}}}\n"
        )
    }

    #[test]
    fn cpus_wait_each_and_take_memory_together() {
        let said = format!("a warning\n{{\"event\":\"network\"}}\n{}{}", counters(10, 0, 5), counters(30, 1, 6));
        let both = Translation { longest_pause_us: 30, longest_flush_us: 7, flushes: 1, bytes: 11 };
        assert_eq!(Translation::of(&said), Some(both));
        assert_eq!(both.worst(Translation { bytes: 20, ..Translation::default() }), Translation { bytes: 20, ..both });
        assert_eq!(Translation::of("a warning\n"), None);
        assert_eq!(Translation::of("{\"event\":\"counters\",\"counters\":{}}"), None, "a russet that does not say it");
    }

    #[test]
    fn a_table_says_what_is_met_and_what_is_missed() {
        let text = Translation { longest_pause_us: 1500, longest_flush_us: 0, flushes: 0, bytes: 64 << 20 }.table();
        let ends: Vec<&str> = text.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["missed", "full", "met"], "{text}");
    }
}
