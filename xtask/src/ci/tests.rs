//! Every test of the workspace, with cargo-nextest where it is installed, else with `cargo test`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, has, print, run as sh, say};

/// Fetches the guest that tests boot, so that they neither wait for each other's download nor do without it.
pub(super) fn guest() -> Result<()> {
    let guest = crate::guest::debian(None, false)?;
    say(&guest.kernel.display().to_string());
    Ok(())
}

pub(super) fn run() -> Result<()> {
    if !has("cargo-nextest") {
        say("cargo-nextest is not installed: with cargo test");
        return counted(cargo().args(["test", "--workspace", "--no-fail-fast"]));
    }
    // The examples in documentation are not nextest's.
    let examples = sh(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]));
    sh(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
    examples
}

/// Runs `cargo test`, which sums up each of its programs, and sums up those.
fn counted(test: &mut Command) -> Result<()> {
    let mut child = test.stdout(Stdio::piped()).spawn().context("cargo cannot be run")?;
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(child.stdout.take().context("no standard output")?).lines() {
        let line = line?;
        print(&line)?;
        if let Some((p, f)) = summary(&line) {
            passed += p;
            failed += f;
        }
    }
    let status = child.wait()?;
    print(&format!("{passed} passed, {failed} failed"))?;
    ensure!(status.success(), "cargo test: {status}");
    Ok(())
}

/// The numbers of what passed and failed, from a line such as `test result: ok. 3 passed; 0 failed; ...`.
fn summary(line: &str) -> Option<(u64, u64)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = counts.split("; ");
    let passed = counts.next()?.strip_suffix(" passed")?.parse().ok()?;
    Some((passed, counts.next()?.strip_suffix(" failed")?.parse().ok()?))
}

#[cfg(test)]
mod unit {
    use super::summary;

    #[test]
    fn summaries_are_read_and_other_lines_are_not() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(summary(ok), Some((12, 0)));
        assert_eq!(summary("test result: FAILED. 1 passed; 2 failed; 0 ignored"), Some((1, 2)));
        assert_eq!(summary("test a::b ... ok"), None);
    }
}
