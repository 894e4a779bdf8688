//! What is wrong with a configuration, told so that it can be mended.

use std::fmt;

use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The machine can start and may disappoint.
    Warning,
    /// The machine cannot start.
    Error,
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the machine can start.
    pub severity: Severity,
    /// The field, such as `storage[0].path`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it; empty where `what` says it all.
    pub mend: String,
    /// Where the field was given: a line of the file, an argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Problem {
    /// A problem that keeps the machine from starting.
    pub fn error(path: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, path: path.into(), what: what.into(), mend: mend.into(), origin: None }
    }

    /// A problem with which the machine can start.
    pub fn warning(path: impl Into<String>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(path, what, mend) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", Plain(&self.path))?;
        if let Some(origin) = &self.origin {
            write!(f, " ({})", Plain(origin))?;
        }
        write!(f, ": {}", Plain(&self.what))?;
        if !self.mend.is_empty() {
            write!(f, ": {}", self.mend)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Text of a configuration, which may be a stranger's, with nothing in it that a terminal obeys.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

/// The name among `known` that was most likely meant by `name`.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = crate::tree::kebab(name);
    // What a peer sends can be long; a name that nobody could have meant is not measured.
    if name.len() > 64 {
        return None;
    }
    let close = |candidate: &&str| {
        let distance = distance(&name, candidate);
        let contained = name.len() >= 3 && (candidate.contains(name.as_str()) || name.contains(*candidate));
        (distance <= 2.max(name.len() / 3) || contained).then_some(distance)
    };
    known.iter().filter_map(|known| close(known).map(|distance| (distance, *known))).min().map(|(_, known)| known)
}

/// Levenshtein's distance, with a swap of neighbours counted once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_nothing_that_a_terminal_obeys() {
        let problem = Problem::error("a\x1b[31m", "`é\n`", "mend");
        assert_eq!(problem.to_string(), "error: a\\u{1b}[31m: `é\\n`: mend");
    }

    #[test]
    fn nearest_name() {
        let known = ["path", "readonly", "device-id", "kernel"];
        for (name, wanted) in [
            ("pth", Some("path")),
            ("ptah", Some("path")),
            ("read_only", Some("readonly")),
            ("deviceID", Some("device-id")),
            ("kernal", Some("kernel")),
            ("sharedDir", None),
        ] {
            assert_eq!(nearest(name, &known), wanted, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), &known), None);
    }
}
