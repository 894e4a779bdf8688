//! `russet get` and `russet set`.

use ::config::Severity;
use clap::Args;
use serde_json::Value;
use vm::{MachineName, ThisHost};

use super::{failed, name_cards, open, refuse_suspended};
use crate::failure::{Failure, Status};
use crate::run::MachineArgs;
use crate::say;
use crate::say::print;

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The machine.
    name: MachineName,
    /// One value, such as cpus or network.0.mac; else all of it, as TOML or JSON.
    key: Option<String>,
}

pub(crate) fn get(args: &GetArgs, json: bool) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    let machine = bundle.read().map_err(failed)?;
    let other = |error: serde_json::Error| Failure::new(Status::Other, error.to_string());
    let value = serde_json::to_value(&machine).map_err(other)?;
    match &args.key {
        None if json => print(&serde_json::to_string_pretty(&value).map_err(other)?),
        None => {
            let text = machine.to_toml().map_err(|problem| Failure::configuration(vec![problem]))?;
            print(text.trim_end());
        }
        Some(key) => match value.pointer(&format!("/{}", key.replace('.', "/"))) {
            Some(Value::String(text)) if !json => print(text),
            Some(value) => print(&value.to_string()),
            None => {
                let what = format!("{} has no `{key}`: `russet get {0}` shows what there is", args.name);
                return Err(Failure::new(Status::Usage, what));
            }
        },
    }
    Ok(())
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  russet set web -p 4 -m 4096
  russet set web -d data.img            one more disk
  russet get web > m.toml; edit m.toml; russet set web m.toml")]
pub(crate) struct SetArgs {
    /// The machine.
    name: MachineName,

    #[command(flatten)]
    machine: MachineArgs,
}

pub(crate) fn set(args: &SetArgs) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    refuse_suspended(&bundle)?;
    let own = bundle.configuration();
    let file = args.machine.target.as_deref().unwrap_or(&own);
    let mut description = args.machine.describe_from(Some(file), None, None)?;
    if let Some(machine) = &mut description.parsed.machine {
        machine.map_paths(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        name_cards(machine)?;
    }
    let problems = description.parsed.check(description.engine(), &ThisHost);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Failure::configuration(problems));
    }
    problems.iter().for_each(say::warning);
    match &description.parsed.machine {
        Some(machine) => bundle.write(machine).map_err(failed)?,
        None => return Err(Failure::new(Status::Usage, "there is no machine in the configuration")),
    }
    if bundle.holder().is_some() {
        say::note("the machine runs: it changes when it starts next");
    }
    Ok(())
}
