//! Random instructions on our CPU and on QEMU's, compared. Longer runs: `cargo xtask difftest`.

#![allow(clippy::print_stderr, reason = "a test says why it was skipped")]

use difftest::session::{Options, Summary, run, run_regressions};
use soft::JitMode;
use std::process::{Command, Stdio};

fn installed(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether both sides can be built here.
fn ready() -> bool {
    for tool in ["qemu-aarch64", "aarch64-linux-gnu-gcc"] {
        if !installed(tool) {
            assert!(std::env::var_os("CI").is_none(), "{tool} is not installed");
            eprintln!("skipped: there is no {tool}");
            return false;
        }
    }
    true
}

fn assert_equal(summary: &Summary) {
    let text: Vec<_> = summary.different.values().map(|(count, first)| format!("{count} times {first}")).collect();
    assert!(text.is_empty(), "our CPU differs from the reference\n{}", text.join("\n"));
}

fn check(length: usize, count: usize, repeat: u32, unlisted: bool, jit: JitMode) {
    if !ready() {
        return;
    }
    let summary =
        run(&Options { seed: 1, count, length, rows: Vec::new(), repeat, unlisted, jit }).expect("both sides run");
    assert_equal(&summary);
    if length == 1 {
        assert_eq!(summary.never_ran, Vec::<&str>::new(), "rows of which no case ran to its end");
    }
}

#[test]
fn single_instructions_do_what_the_reference_does() {
    check(1, 100_000, 1, false, JitMode::Off);
}

#[test]
fn sequences_do_what_the_reference_does() {
    check(6, 30_000, 1, false, JitMode::Off);
}

#[test]
fn words_of_no_row_are_undefined() {
    check(1, 50_000, 1, true, JitMode::Off);
}

#[test]
fn hot_instructions_do_what_the_reference_does() {
    check(6, 3_000, 600, false, JitMode::On);
}

#[test]
fn translated_instructions_do_what_the_reference_does() {
    check(1, 100_000, 1, false, JitMode::Stress);
}

#[test]
fn translated_sequences_do_what_the_reference_does() {
    check(8, 30_000, 1, false, JitMode::Stress);
}

/// Among all instructions, readers of flags seldom follow setters.
#[test]
fn translated_flags_do_what_the_reference_does() {
    if !ready() {
        return;
    }
    let rows = ["ADDS", "SUBS", "ANDS", "BICS", "ADC", "SBC", "CCM", "CSEL", "CSINC", "CSINV", "CSNEG"];
    let rows = rows.map(String::from).to_vec();
    let summary =
        run(&Options { seed: 1, count: 60_000, length: 8, rows, repeat: 1, unlisted: false, jit: JitMode::Stress })
            .expect("both sides run");
    assert_equal(&summary);
}

#[test]
fn what_was_once_wrong_stays_right() {
    if ready() {
        for jit in [JitMode::Off, JitMode::Stress] {
            assert_equal(&run_regressions(jit).expect("both sides run"));
        }
    }
}
