//! The emulators in turn, each with the same guest, so that both see the same weather.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::emulator::{Board, Choice, Emulator, Emulators};
use super::run::measure;
use super::translation::Translation;
use super::work::{END, Work, works};
use crate::shell;

/// How to measure works in a guest.
#[derive(clap::Args)]
pub(crate) struct Measuring {
    /// Only the works or groups of these names, with commas between them
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Boots of each emulator; each does all works
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

impl Measuring {
    /// Whether a work of that name is wanted, in a group of that name.
    pub(crate) fn wants(&self, group: &str, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == group || o == work)
    }

    /// Refuses names that are none of `known`.
    pub(crate) fn check(&self, known: &[&str]) -> Result<()> {
        match self.only.iter().find(|o| !known.contains(&o.as_str())) {
            Some(unknown) => {
                bail!("--only {unknown}: there is nothing of that name; there are {}", known.join(", "))
            }
            None => Ok(()),
        }
    }
}

/// What one boot of a guest on an emulator gave.
pub(crate) struct Turn {
    pub(crate) emulator: Emulator,
    pub(crate) works: Vec<Work>,
    pub(crate) translation: Option<Translation>,
}

/// Longer than any run takes that is worth measuring.
const LIMIT: Duration = Duration::from_secs(900);

/// Boots `board` on each emulator `runs` times. `name` is what is measured, and each guest does all of `wanted`.
pub(crate) fn take(
    name: &str,
    wanted: &[&str],
    board: &Board<'_>,
    emulators: &Emulators,
    runs: u32,
) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for number in 1..=runs {
        shell::say(&format!("{name}: run {number} of {runs}"));
        for emulator in emulators.order(number) {
            let context = || format!("{name} on {}", emulator.name());
            let run = measure(&mut emulators.command(emulator, board), END, LIMIT).with_context(context)?;
            let works = works(&run.said).with_context(context)?;
            if !works.iter().map(|w| w.name.as_str()).eq(wanted.iter().copied()) {
                bail!("{name} on {}: the guest did not do {}", emulator.name(), wanted.join(", "));
            }
            turns.push(Turn { emulator, works, translation: Translation::of(&run.stderr) });
        }
    }
    Ok(turns)
}
