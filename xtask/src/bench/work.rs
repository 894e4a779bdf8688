//! What a guest says about the works that it did, one line at the start of each and one at its end.
//!
//! ```text
//! bench: start crc
//! bench: done crc repeats=10 checksum=0x12 ns=700000000 ticks=43750000
//! ```

use anyhow::{Context, Result, bail};

use super::run::Said;

/// What begins the guest's lines for us.
pub(crate) const MARK: &str = "bench: ";
/// The last of them.
pub(crate) const END: &str = "bench: end";

/// How far the host's clock may be from the guest's over one work, as a part of it, and in seconds.
const TOLERANCE: (f64, f64) = (0.2, 0.1);

/// One work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Work {
    pub(crate) name: String,
    /// What it computed: all that the guest said of it, except times.
    pub(crate) result: String,
    /// By the guest's clock.
    pub(crate) guest_s: f64,
    /// CPU time of the emulator's process.
    pub(crate) cpu_s: f64,
}

/// The works in what a guest said, with the times at which it did.
pub(crate) fn works(said: &[Said]) -> Result<Vec<Work>> {
    let mut works = Vec::new();
    let mut started: Option<(&str, &Said)> = None;
    for line in said {
        let Some((_, text)) = line.text.split_once(MARK) else { continue };
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (Some("start"), Some(name)) => started = Some((name, line)),
            (Some("done"), Some(name)) => match started.take() {
                Some((begun, start)) if begun == name => works.push(work(name, words, start, line)?),
                _ => bail!("the guest ended {name}, which it had not begun"),
            },
            (Some("end"), None) => return Ok(works),
            _ => bail!("the guest said {text:?}"),
        }
    }
    bail!("the guest did not say {END:?}")
}

fn work<'a>(name: &str, fields: impl Iterator<Item = &'a str>, start: &Said, end: &Said) -> Result<Work> {
    let (mut result, mut ns) = (Vec::new(), None);
    for field in fields {
        match field.split_once('=') {
            Some(("ns", value)) => ns = value.parse::<u64>().ok(),
            Some(("ticks", _)) => (),
            _ => result.push(field),
        }
    }
    let ns = ns.with_context(|| format!("the guest did not say how long {name} took"))?;
    let guest_s = ns as f64 / 1e9;
    let host_s = end.at - start.at;
    if (host_s - guest_s).abs() > host_s * TOLERANCE.0 + TOLERANCE.1 {
        bail!("{name} took {guest_s:.3} s by the guest's clock and {host_s:.3} s by the host's: one of them is wrong");
    }
    Ok(Work { name: name.to_owned(), result: result.join(" "), guest_s, cpu_s: end.cpu - start.cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&str, f64)]) -> Vec<Said> {
        lines.iter().map(|&(text, at)| Said { text: text.to_owned(), at, cpu: at / 2.0 }).collect()
    }

    #[test]
    fn works_are_read_from_between_other_lines() {
        let works = works(&said(&[
            ("[    0.1] a kernel speaks", 0.1),
            ("bench: start crc", 1.0),
            ("bench: done crc repeats=3 checksum=0x12 ns=1950000000 ticks=9", 3.0),
            ("bench: end", 3.1),
        ]));
        let crc =
            Work { name: "crc".to_owned(), result: "repeats=3 checksum=0x12".to_owned(), guest_s: 1.95, cpu_s: 1.0 };
        assert_eq!(works.unwrap(), [crc]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases: [(&[(&str, f64)], &str); 5] = [
            (&[("bench: start a", 1.0)], "did not say"),
            (&[("bench: done a ns=1", 1.0)], "had not begun"),
            (&[("bench: start a", 1.0), ("bench: done a checksum=1", 1.0)], "how long"),
            (&[("bench: start a", 1.0), ("bench: done a ns=1000000000", 5.0)], "clock"),
            (&[("bench: no kernel x", 1.0)], "no kernel x"),
        ];
        for (lines, reason) in cases {
            let error = works(&said(lines)).unwrap_err().to_string();
            assert!(error.contains(reason), "{lines:?}: {error}");
        }
    }
}
