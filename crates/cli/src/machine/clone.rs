//! `russet clone`.

use std::path::Path;

use ::config::Platform;
use clap::Args;
use serde_json::json;
use vm::{Draft, MachineName};

use super::{failed, name_cards, open, refuse_suspended, store};
use crate::config::print;
use crate::disk;
use crate::failure::{Failure, Status};

#[derive(Debug, Args)]
#[command(after_help = "\
All files in the machine's folder are copied: with shared blocks, in no time, where the file system can (APFS, XFS,
btrfs), else without their zeroes. Files elsewhere are used by both: give a disk that both write to one of them a copy.")]
pub(crate) struct CloneArgs {
    /// The machine, which must not run.
    name: MachineName,
    /// The name of the copy.
    new: MachineName,
    /// Keep the network addresses and the machine identifier: the two must never run at the same time.
    #[arg(long)]
    keep_identity: bool,
}

pub(crate) fn execute(args: &CloneArgs, json: bool) -> Result<(), Failure> {
    let bundle = open(&args.name)?;
    let _lock = bundle.lock().map_err(failed)?;
    refuse_suspended(&bundle)?;
    let mut machine = bundle.read().map_err(failed)?;
    let draft = store()?.draft(&args.new).map_err(failed)?;
    let files = bundle.files().map_err(|error| Failure::new(Status::Host, error.to_string()))?;
    for file in &files {
        disk::copy_file(&bundle.folder().join(file), &draft.folder().join(file), json)?;
    }
    machine.map_paths(|path| match path.strip_prefix(bundle.folder()) {
        Ok(inside) => draft.folder().join(inside),
        Err(_) => path.to_owned(),
    });
    if !args.keep_identity {
        machine.network.iter_mut().for_each(|network| network.mac = None);
        name_cards(&mut machine)?;
        match &machine.platform {
            Platform::Mac(mac) => put_identity(&draft, &mac.machine_identifier, vm::new_mac_identifier())?,
            Platform::Generic(generic) => {
                if let Some(path) = &generic.machine_identifier {
                    put_identity(&draft, path, vm::new_generic_identifier())?;
                }
            }
        }
    }
    let made = draft.finish(&machine).map_err(failed)?;
    match json {
        true => print(&json!({ "name": made.name().as_str(), "path": made.folder() }).to_string()),
        false => print(&format!("made {}: russet run {0}", made.name())),
    }
    Ok(())
}

/// Gives the copy a machine identifier of its own.
fn put_identity(draft: &Draft, path: &Path, identity: Option<Vec<u8>>) -> Result<(), Failure> {
    let wrong = |what: &str| Failure::new(Status::Host, format!("{}: {what}", path.display()));
    let identity = identity.ok_or_else(|| {
        wrong("only a Mac makes new machine identifiers: add --keep-identity, and never run both at once")
    })?;
    match path.parent() == Some(draft.folder()) {
        true => {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| wrong("the name is not UTF-8"))?;
            draft.put(name, &identity).map_err(failed)
        }
        false => Err(wrong("the machine identifier is not in the machine's folder: add --keep-identity")),
    }
}
