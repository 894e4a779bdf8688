//! Random instructions on our CPU and on QEMU's, compared. Longer runs: `cargo xtask difftest`.

#![allow(clippy::print_stderr, reason = "a test says why it was skipped")]

use difftest::session::{Options, run};
use std::process::{Command, Stdio};

fn installed(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn check(length: usize, count: usize, repeat: u32, unlisted: bool) {
    for tool in ["qemu-aarch64", "aarch64-linux-gnu-gcc"] {
        if !installed(tool) {
            eprintln!("skipped: there is no {tool}");
            return;
        }
    }
    let summary = run(&Options { seed: 1, count, length, rows: Vec::new(), repeat, unlisted }).expect("both sides run");
    let text: Vec<_> = summary.different.values().map(|(count, first)| format!("{count} times {first}")).collect();
    assert!(text.is_empty(), "our CPU differs from the reference\n{}", text.join("\n"));
    if length == 1 {
        assert_eq!(summary.never_ran, Vec::<&str>::new(), "rows of which no case ran to its end");
    }
}

#[test]
fn single_instructions_do_what_the_reference_does() {
    check(1, 100_000, 1, false);
}

#[test]
fn sequences_do_what_the_reference_does() {
    check(6, 30_000, 1, false);
}

#[test]
fn words_of_no_row_are_undefined() {
    check(1, 50_000, 1, true);
}

#[test]
fn hot_instructions_do_what_the_reference_does() {
    check(6, 5_000, 300, false);
}
