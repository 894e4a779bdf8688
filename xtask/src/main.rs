//! House checks, guest images and benches: `cargo xtask help`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod check;
mod ci;
mod difftest;
mod guest;
mod guest_test;
mod kill_test;
mod mac;
mod shell;

/// The fetcher is a part of the `russet` command, which is no library.
#[path = "../../crates/cli/src/debian/mod.rs"]
mod debian;

/// House checks, guest images and benches of Russet.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// All that has to pass before a change is done: format, clippy, house rules, tests, documentation, macOS types
    Ci(ci::Options),
    /// The house rules: what cannot be said to clippy. Each finding names its fix
    Check,
    /// Prepares guest images and prints where they are
    #[command(subcommand)]
    Guest(guest::Image),
    /// Boots Debian in all tests that there are for it, also the long ones: its programs here and on QEMU
    GuestTest(guest_test::Options),
    /// Kills a machine while its guest writes to its disks, 100 times: nothing that was flushed is lost
    KillTest(kill_test::Options),
    /// Lints, builds and signs `russet` for Macs with Apple silicon, from Linux and from a Mac, and prints where it is
    Mac(mac::Options),
    /// Compares our CPU with QEMU's on random instructions
    Difftest(difftest::Options),
    /// Measures
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Ci(options) => ci::run(&options),
        Task::Check => check::run(),
        Task::Guest(image) => guest::run(&image),
        Task::GuestTest(options) => guest_test::run(&options),
        Task::KillTest(options) => kill_test::run(&options),
        Task::Mac(options) => mac::run(&options),
        Task::Difftest(options) => difftest::run(&options),
        Task::Bench(bench) => bench::run(&bench),
    }
}
