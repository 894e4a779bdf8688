//! The house rules that neither rustc nor clippy knows. Each finding names its place and its fix.

mod arrows;
mod files;
mod licences;

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, output, say};

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// A file, `file:line`, or a crate.
    place: String,
    /// What is wrong, and after a colon or dash what to do.
    text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// Looks at the whole workspace.
pub(crate) fn run() -> Result<()> {
    let mut findings = Vec::new();
    let mut lengths = Vec::new();
    for path in paths()? {
        // What is listed and cannot be read was deleted or is no text.
        let Ok(text) = std::fs::read_to_string(shell::workspace().join(&path)) else { continue };
        files::check(&path, &text, &mut findings);
        if path.ends_with(".rs") {
            lengths.push(text.lines().count());
        }
    }
    let metadata = output(shell::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    arrows::check(&serde_json::from_str(&metadata)?, &mut findings);
    let metadata = output(shell::cargo().args(["metadata", "--locked", "--format-version=1"]))?;
    let allowed = licences::allowed(&std::fs::read_to_string(shell::workspace().join("deny.toml"))?)?;
    licences::check(&serde_json::from_str(&metadata)?, &allowed, &mut findings);

    findings.sort();
    findings.iter().for_each(|f| say(&format!("{}: {}", f.place, f.text)));
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
    say(&format!("house rules: {} Rust files, median {median} lines, {} findings", lengths.len(), findings.len()));
    if !findings.is_empty() {
        bail!("the house rules are broken in {} places, named above with their fixes", findings.len());
    }
    Ok(())
}

/// All files of the project, also those that are not committed yet.
fn paths() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(shell::workspace()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    Ok(output(&mut git)?.lines().map(str::to_owned).collect())
}
