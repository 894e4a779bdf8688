//! `russet config`: check and convert machine configurations.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use vm::ThisHost;

use crate::failure::{Failure, Status};
use crate::run::MachineArgs;
use crate::say::print;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a machine's file and report every problem at once.
    ///
    /// The exit status is 0 when the machine could start, with or without warnings, else 2.
    Check {
        /// The machine's TOML file.
        file: PathBuf,
        /// Check for this engine instead of the one that the file names.
        #[arg(long)]
        engine: Option<String>,
    },
    /// Print a machine's file with everything that there is, explained.
    Example,
    /// Show the machine that arguments describe, as TOML, JSON (--json) or arguments (--args).
    ///
    /// For example, to keep what you typed:
    ///   russet config show -k Image -d root.img -p 4 > machine.toml
    Show {
        #[command(flatten)]
        machine: Box<MachineArgs>,
        /// Show the arguments of `russet run` instead.
        #[arg(long, conflicts_with = "json")]
        args: bool,
    },
}

pub(crate) fn execute(command: &ConfigCommand, json: bool) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { file, engine } => check(&MachineArgs::of_file(file, engine.as_deref()), json),
        ConfigCommand::Example => {
            print(::config::EXAMPLE.trim_end());
            Ok(())
        }
        ConfigCommand::Show { machine, args } => show(machine, *args, json),
    }
}

fn check(args: &MachineArgs, json: bool) -> Result<(), Failure> {
    let description = args.describe()?;
    let problems = description.parsed.check(description.engine(), &ThisHost);
    let good = !problems.iter().any(|problem| problem.severity == ::config::Severity::Error);
    if json {
        print(&json!({ "good": good, "problems": problems }).to_string());
        // The problems were printed as the result, so the failure has no words of its own.
        return if good { Ok(()) } else { Err(Failure::new(Status::Usage, "the configuration is wrong")) };
    }
    if !good {
        return Err(Failure::configuration(problems));
    }
    for problem in &problems {
        print(&problem.to_string());
    }
    print("the machine can start");
    Ok(())
}

fn show(args: &MachineArgs, as_args: bool, json: bool) -> Result<(), Failure> {
    let description = args.describe()?;
    let machine = match description.parsed.machine {
        Some(machine) if description.parsed.problems.is_empty() => machine,
        _ => return Err(Failure::configuration(description.parsed.problems)),
    };
    let unwritable = |problem| Failure::configuration(vec![problem]);
    let text = if json {
        serde_json::to_string_pretty(&machine).map_err(|error| Failure::new(Status::Other, error.to_string()))?
    } else if as_args {
        let args = machine.to_args().map_err(unwritable)?;
        args.iter().map(|arg| shell_quote(arg)).collect::<Vec<_>>().join(" ")
    } else {
        machine.to_toml().map_err(unwritable)?.trim_end().to_owned()
    };
    print(&text);
    Ok(())
}

/// `text` as one word for a POSIX shell.
fn shell_quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,=:+@%".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        for (text, wanted) in [("a,b=c", "a,b=c"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''")] {
            assert_eq!(shell_quote(text), wanted);
        }
    }
}
