//! The command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::completion::CompletionArgs;
use crate::config::ConfigCommand;
use crate::disk::DiskCommand;
use crate::machine::{CloneArgs, CreateArgs, DeleteArgs, GetArgs, RenameArgs, SetArgs, StopArgs};
use crate::port::{IpArgs, PortCommand};
use crate::prune::PruneArgs;
use crate::run::RunArgs;
use crate::running::{BalloonArgs, DisplayArgs, RunningArgs, SuspendArgs};
use crate::share::ShareCommand;

const AFTER_HELP: &str = "\
Examples:
  russet run debian                         a root prompt; Ctrl-] q leaves
  russet run -k Image -i initrd.gz -d root.img -t 0
  russet create web debian --disk-size 20G  a machine that is kept
  russet run web                            runs it, and: russet stop web
  russet run machine.toml
  russet run debian --publish 2222:22 --control vm.sock
  russet port add vm.sock 8080:80           port 8080 leads to the guest's 80
  russet doctor                             what this host can do

Exit status:
  0    the guest powered off, or the command did what it was asked
  1    something else failed, as what a running machine was asked for
  2    the command line or the configuration is wrong, or a file that they name:
       correct it and it works
  3    this host cannot do it now: an engine, a permission, a lock, a download
  4    the guest crashed
  130  the machine was stopped by force: Ctrl-C twice, or Ctrl-] q
  129, 131, 143  the same by SIGHUP, SIGQUIT, SIGTERM";

/// Virtual machines on a software CPU, KVM or Apple's framework.
#[derive(Debug, Parser)]
#[command(name = "russet", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Write results and errors as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Log more to standard error; twice and thrice for yet more. RUSSET_LOG=filter says it exactly.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Log this and what is worse; as vfkit has it.
    #[arg(long, global = true, value_enum, value_name = "LEVEL", conflicts_with = "verbose")]
    pub(crate) log_level: Option<LogLevel>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The level that so many `-v` mean.
    fn of_count(verbose: u8) -> Self {
        match verbose {
            0 => Self::Warn,
            1 => Self::Info,
            2 => Self::Debug,
            _ => Self::Trace,
        }
    }

    /// As a filter of `tracing` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Cli {
    /// What is logged, where RUSSET_LOG does not say it.
    pub(crate) fn level(&self) -> LogLevel {
        self.log_level.unwrap_or_else(|| LogLevel::of_count(self.verbose))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a machine in this terminal.
    Run(Box<RunArgs>),
    /// Make a machine that is kept under a name.
    Create(Box<CreateArgs>),
    /// List the machines that are kept, and which of them run.
    #[command(visible_alias = "ls")]
    List,
    /// Show a machine's description, or one value of it.
    Get(GetArgs),
    /// Change a machine's description by the arguments of `russet run`, for when it starts next.
    Set(Box<SetArgs>),
    /// Copy a machine that does not run.
    Clone(CloneArgs),
    /// Give a machine that does not run another name.
    Rename(RenameArgs),
    /// Delete a machine that does not run, with its disks.
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
    /// Remove what was fetched and can be had again: restore images of macOS, Debian's guest.
    Prune(PruneArgs),
    /// Ask the guest of a running machine to power off, and wait until it has.
    Stop(StopArgs),
    /// Make a running guest stand still, until `russet resume`.
    ///
    /// It keeps its memory, and no time passes for it. Its disks and its network finish what they have begun.
    Pause(RunningArgs),
    /// Let a paused guest run on.
    Resume(RunningArgs),
    /// Save the state of a running machine into its folder, and end it; `russet run` goes on from there.
    ///
    /// On Apple's framework, from macOS 14. A machine whose state cannot be saved runs on, and the error says why: what
    /// it has that the framework does not save, or a disk that was attached while it ran.
    Suspend(SuspendArgs),
    /// Ask a running guest to do with less of its memory, or give it all back.
    ///
    /// It gives what it can when it can. What it gives goes back to the host.
    Balloon(BalloonArgs),
    /// Give the display of a running machine another size.
    Display(DisplayArgs),
    /// Attach, detach and list the folders of the host that a running machine shows to its guest.
    #[command(subcommand)]
    Share(ShareCommand),
    /// Print the address of a running machine: behind our NAT before it asks for it, on macOS's networks once it is leased.
    Ip(IpArgs),
    /// Add, remove and list the ports of the host that lead to a running machine.
    #[command(subcommand)]
    Port(PortCommand),
    /// Check and convert machine configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with disks.
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Say which engines work on this host, and why the others do not.
    ///
    /// An engine is tried, not looked at: KVM runs a small guest, because a /dev/kvm that opens may still be unable to.
    /// The exit status is 0 when some engine can run machines, else 3.
    Doctor,
    /// Write a script that completes russet's arguments in a shell.
    ///
    /// For bash: russet completion bash > ~/.local/share/bash-completion/completions/russet
    Completion(CompletionArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// What is laid out by hand is broken in the wrong places on a terminal of 80 columns, if it is wider.
    #[test]
    fn what_help_lays_out_by_hand_fits_a_terminal() {
        const TERMINAL: usize = 80;
        const INDENT: usize = 10;
        let (mut commands, mut wide) = (vec![Cli::command()], Vec::new());
        while let Some(command) = commands.pop() {
            let mut look = |text: String, width: usize, by_hand: fn(&str) -> bool| {
                let lines = text.lines().filter(|line| line.chars().count() > width && by_hand(line));
                wide.extend(lines.map(|line| format!("{}: {line}", command.get_name())));
            };
            if let Some(after) = command.get_after_help() {
                look(after.to_string(), TERMINAL, |_| true);
            }
            for help in command.get_arguments().filter_map(|argument| argument.get_long_help()) {
                look(help.to_string(), TERMINAL - INDENT, |line| line.starts_with(' '));
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(wide.is_empty(), "{}", wide.join("\n"));
    }
}
