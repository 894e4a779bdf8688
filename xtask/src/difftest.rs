//! `cargo xtask difftest`: random instructions on our CPU and on QEMU's.

use anyhow::{Result, ensure};
use difftest::session;
use soft::JitMode;

use crate::shell::say;

/// The options of the command.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of cases
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,
    /// Instructions in a case, 1 to 8
    #[arg(long, default_value_t = 1)]
    length: usize,
    /// Only rows of the instruction table with these prefixes, as in "FADD,FSUB"
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// How often our CPU runs each case; several hundred times, and a JIT has compiled it
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Words that no row of the table has, which should be undefined
    #[arg(long)]
    unlisted: bool,
    /// What our CPU does with hot code: off, on or stress (translate everything before it runs)
    #[arg(long, value_enum, default_value_t = Jit::Off)]
    jit: Jit,
}

/// What our CPU does with hot code.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Jit {
    Off,
    On,
    Stress,
}

/// Runs the test and says what differed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { seed, count, length, rows, repeat, unlisted, jit } = options;
    let options = session::Options {
        seed: *seed,
        count: *count,
        length: *length,
        rows: rows.clone(),
        repeat: *repeat,
        unlisted: *unlisted,
        jit: match jit {
            Jit::Off => JitMode::Off,
            Jit::On => JitMode::On,
            Jit::Stress => JitMode::Stress,
        },
    };
    let summary = session::run(&options)?;
    for (count, first) in summary.different.values() {
        say(&format!("{count} differences, the first of them:\n{first}"));
    }
    if !summary.never_ran.is_empty() {
        say(&format!("no case of these rows ran: {}", summary.never_ran.join(", ")));
    }
    ensure!(
        summary.different.is_empty(),
        "{} rows differ from the reference in {} cases from seed {seed}",
        summary.different.len(),
        summary.cases
    );
    say(&format!("{} cases, no difference", summary.cases));
    Ok(())
}
