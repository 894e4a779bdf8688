//! A run of the test: which rows, how many cases, what differed.

use crate::generate::{self, branch_to_register};
use crate::ours::Ours;
use crate::reference::Reference;
use crate::report::difference;
use crate::{BATCH, Case, Rng, Stop};
use anyhow::{Result, bail, ensure};
use soft::JitMode;
use soft::isa::Row;
use std::collections::{BTreeMap, BTreeSet};

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the random numbers begin.
    pub seed: u64,
    /// Number of cases, rounded up to whole batches.
    pub count: usize,
    /// Instructions in a case, 1 to 8.
    pub length: usize,
    /// Only rows with one of these prefixes; all if empty.
    pub rows: Vec<String>,
    /// How often our CPU runs each case, from the same state; the last outcome counts.
    pub repeat: u32,
    /// Words that no row has, instead of words of the rows.
    pub unlisted: bool,
    /// What our CPU does with hot code.
    pub jit: JitMode,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// Cases run.
    pub cases: usize,
    /// For each row with differences how many, and the first in words.
    pub different: BTreeMap<&'static str, (usize, String)>,
    /// Rows of which no case ran to its end on the reference.
    pub never_ran: Vec<&'static str>,
}

/// The reference CPU for most rows, Armv8.0-A with the crypto extensions: it does not know what we do not have.
const BASE_CPU: &str = "cortex-a72";
/// The reference CPU for rows of FEAT_LSE and FEAT_RDM.
const LATER_CPU: &str = "neoverse-n1";

/// Whether a row needs the later reference CPU.
fn later(row: &Row) -> bool {
    ["CAS", "SWP", "LD_op", "SQRDMLAH", "SQRDMLSH"].iter().any(|p| row.name.starts_with(p))
}

/// Rows which mean something else in a Linux process than on a bare CPU, or wait for events that never come.
fn excluded(row: &Row) -> bool {
    ["SVC", "HVC", "ERET", "WFE", "WFI", "HINT", "SYS", "MSR", "MRS"].iter().any(|p| row.name.starts_with(p))
        && !row.name.ends_with("NZCV")
}

/// Runs the test.
///
/// # Errors
/// If a tool is missing or one of the two sides fails as a whole; differences are no error.
pub fn run(options: &Options) -> Result<Summary> {
    ensure!((1..=8).contains(&options.length), "a case has 1 to 8 instructions, not {}", options.length);
    let chosen = |row: &&Row| options.rows.is_empty() || options.rows.iter().any(|p| row.name.starts_with(p.as_str()));
    // Within a sequence, registers may come to hold anything: a branch to them could make a loop without an end, and
    // the reference does not check the alignment of exclusive stores.
    let alone = |row: &&Row| options.length > 1 && (branch_to_register(row) || row.name.starts_with("STX"));
    let rows: Vec<&'static Row> =
        soft::isa::all_rows().filter(|row| !excluded(row) && !alone(row)).filter(chosen).collect();
    ensure!(!rows.is_empty(), "no row of the table has a name that begins with any of: {}", options.rows.join(", "));
    let mut summary = Summary::default();
    let mut ours = Ours::start(options.repeat, options.jit)?;
    let total = rows.len();
    let (later, base): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| later(row));
    for (part, (rows, cpu)) in [(base, BASE_CPU), (later, LATER_CPU)].into_iter().enumerate() {
        // Words which only the later CPU knows are no question where they are meant to be undefined.
        if rows.is_empty() || options.unlisted && part != 0 {
            continue;
        }
        let mut reference = Reference::start(cpu)?;
        let mut rng = Rng::new(options.seed.wrapping_mul(2).wrapping_add(part as u64));
        let share = (options.count * rows.len()).div_ceil(total);
        let all: Vec<&'static Row> = soft::isa::all_rows().collect();
        let mut make = |k: usize| {
            if options.unlisted {
                let word = generate::unlisted(&mut rng, &rows, &all);
                generate::case_of(&mut rng, "unlisted", word)
            } else {
                generate::case(&mut rng, &rows, options.length, k)
            }
        };
        let ran = compare(&mut make, share, &mut reference, &mut ours, &mut summary)?;
        if !options.unlisted {
            summary.never_ran.extend(rows.iter().map(|row| row.name).filter(|name| !ran.contains(name)));
        }
    }
    Ok(summary)
}

/// Words that were once wrong, a line for each.
const REGRESSIONS: &str = include_str!("regressions.txt");
/// States from which each of them runs.
const STATES: usize = BATCH;

/// Runs the words that were once wrong.
///
/// # Errors
/// As [`run`], and if a line of the list is malformed.
pub fn run_regressions(jit: JitMode) -> Result<Summary> {
    let lines = REGRESSIONS.lines().map(|l| l.split('#').next().unwrap_or_default().trim()).filter(|l| !l.is_empty());
    let mut words: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for line in lines {
        let mut fields = line.split_whitespace();
        let (Some(cpu), Some(word)) = (fields.next(), fields.next()) else { bail!("`{line}` names no CPU and word") };
        let cpu = match cpu {
            "base" => BASE_CPU,
            "later" => LATER_CPU,
            _ => bail!("`{line}` begins neither with base nor with later"),
        };
        words.entry(cpu).or_default().push(u32::from_str_radix(word, 16)?);
    }
    let mut summary = Summary::default();
    let mut ours = Ours::start(1, jit)?;
    for (cpu, words) in words {
        let mut reference = Reference::start(cpu)?;
        let mut rng = Rng::new(1);
        let mut make = |k: usize| generate::case_of(&mut rng, "regression", words[k % words.len()]);
        compare(&mut make, STATES * words.len(), &mut reference, &mut ours, &mut summary)?;
    }
    Ok(summary)
}

/// Runs cases on both sides; gives the names of those that were not undefined.
fn compare(
    make: &mut impl FnMut(usize) -> Case,
    count: usize,
    reference: &mut Reference,
    ours: &mut Ours,
    summary: &mut Summary,
) -> Result<BTreeSet<&'static str>> {
    let mut ran = BTreeSet::new();
    let mut left = count;
    while left > 0 {
        let cases: Vec<Case> = (0..BATCH).map(&mut *make).collect();
        let expected = reference.run(&cases)?;
        let got = ours.run(&cases)?;
        for ((case, expected), got) in cases.iter().zip(&expected).zip(&got) {
            if expected.stop != Stop::Undefined {
                ran.insert(case.name);
            }
            if let Some(text) = difference(case, expected, got) {
                summary.different.entry(case.name).or_insert((0, text)).0 += 1;
            }
        }
        summary.cases += cases.len();
        left = left.saturating_sub(cases.len());
    }
    Ok(ran)
}
