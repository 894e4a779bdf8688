//! `russet rename` and `russet delete`.

use std::io::{IsTerminal, Write};

use clap::Args;
use serde_json::json;
use vm::MachineName;

use super::{failed, open, store};
use crate::failure::{Failure, Status};
use crate::say::print;

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The machine.
    name: MachineName,
    /// Its new name.
    new: MachineName,
}

pub(crate) fn rename(args: &RenameArgs, json: bool) -> Result<(), Failure> {
    let renamed = store()?.rename(&open(&args.name)?, &args.new).map_err(failed)?;
    if json {
        print(&json!({ "name": renamed.name().as_str(), "path": renamed.folder() }).to_string());
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The machine.
    name: MachineName,
    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

pub(crate) fn delete(args: &DeleteArgs) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    if !args.force && !agreed(&format!("Delete {} and all in {}?", bundle.name(), bundle.folder().display()))? {
        return Err(Failure::new(Status::Other, "nothing was deleted"));
    }
    store()?.delete(&bundle).map_err(failed)
}

/// Asks the user of the terminal.
pub(crate) fn agreed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Status::Usage, "there is no terminal to ask on: add --force"));
    }
    let mut answer = String::new();
    let asked = write!(std::io::stderr(), "{question} [y/N] ").and_then(|()| std::io::stdin().read_line(&mut answer));
    asked.map_err(|error| Failure::new(Status::Other, format!("the terminal cannot be asked: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
