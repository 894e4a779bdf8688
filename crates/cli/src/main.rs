//! The `russet` command.

mod args;
mod completion;
mod config;
mod console;
mod control;
mod debian;
mod disk;
mod doctor;
mod failure;
mod host;
mod machine;
mod port;
mod prune;
mod run;
mod running;
mod say;
mod share;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use vm::Windows;

use crate::args::{Cli, Command, LogLevel};
use crate::failure::{Failure, Status};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return said(&answer),
    };
    if cli.json {
        say::as_json();
    }
    start_log(cli.level());
    let json = cli.json;
    match &cli.command {
        // A machine may have a window, which on a Mac needs this thread.
        Command::Run(_) => vm::with_windows(move |windows| work(&cli, windows)).unwrap_or_else(|error| {
            report(&Failure::new(Status::Host, error.to_string()), json);
            ExitCode::from(Status::Host.code())
        }),
        _ => work(&cli, None),
    }
}

fn work(cli: &Cli, windows: Option<Windows>) -> ExitCode {
    let result = match &cli.command {
        Command::Run(run) => run::execute(run, windows, cli.json),
        Command::Create(args) => machine::create(args, cli.json),
        Command::List => machine::list(cli.json),
        Command::Get(args) => machine::get(args, cli.json),
        Command::Set(args) => machine::set(args),
        Command::Clone(args) => machine::clone(args, cli.json),
        Command::Rename(args) => machine::rename(args, cli.json),
        Command::Delete(args) => machine::delete(args),
        Command::Stop(args) => machine::stop(args),
        Command::Prune(args) => prune::execute(args, cli.json),
        Command::Pause(args) => running::pause(args),
        Command::Resume(args) => running::resume(args),
        Command::Suspend(args) => running::suspend(args),
        Command::Balloon(args) => running::balloon(args),
        Command::Display(args) => running::display(args),
        Command::Share(command) => share::execute(command, cli.json),
        Command::Ip(args) => port::ip(args, cli.json),
        Command::Port(command) => port::execute(command, cli.json),
        Command::Config(command) => config::execute(command, cli.json),
        Command::Disk(command) => disk::execute(command, cli.json),
        Command::Doctor => doctor::execute(cli.json),
        Command::Completion(completion) => completion::execute(completion),
    };
    let written = || say::unwritten().map_or(Ok(()), |error| Err(not_written(error)));
    match result.and_then(|()| written()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::terminal::restore();
            report(&failure, cli.json);
            ExitCode::from(failure.status.code())
        }
    }
}

/// What the arguments alone have for an answer: help, the version, or what is wrong with them.
fn said(answer: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    let failure = if answer.use_stderr() && json {
        let text = answer.render().to_string();
        let what = text.split("\n\nUsage:").next().unwrap_or_default().trim();
        Failure::new(Status::Usage, what.strip_prefix("error: ").unwrap_or(what))
    } else {
        match answer.print() {
            Err(error) if !answer.use_stderr() && !say::is_gone(&error) => not_written(&error),
            _ => return ExitCode::from(if answer.use_stderr() { Status::Usage.code() } else { 0 }),
        }
    };
    report(&failure, json);
    ExitCode::from(failure.status.code())
}

fn not_written(error: &std::io::Error) -> Failure {
    Failure::new(Status::Other, format!("standard output: {error}"))
}

fn report(failure: &Failure, json: bool) {
    match json {
        true => say::line(&failure.to_json()),
        false => say::line(&failure.to_string()),
    }
}

/// Sends our log to standard error: from `level` on, or what `RUSSET_LOG` says.
fn start_log(level: LogLevel) {
    use tracing_subscriber::EnvFilter;
    let ansi = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_env("RUSSET_LOG").unwrap_or_else(|_| EnvFilter::new(level.name()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(say::Writer::new)
        .with_ansi(ansi)
        .without_time()
        .init();
}
