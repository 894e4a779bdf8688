//! Machines that are kept under names: made, listed, shown, changed, copied, deleted, stopped.

mod change;
mod clone;
mod create;
mod install;
mod list;
mod macos;
mod show;
mod stop;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::config::{MacAddress, Machine};
use vm::{Bundle, BundleError, MachineName, Store};

use crate::failure::{Failure, Status};

pub(crate) use change::{DeleteArgs, RenameArgs, agreed, delete, rename};
pub(crate) use clone::{CloneArgs, execute as clone};
pub(crate) use create::{CreateArgs, execute as create};
pub(crate) use list::execute as list;
pub(crate) use show::{GetArgs, SetArgs, get, set};
pub(crate) use stop::{StopArgs, ends_within, execute as stop};

/// The user's machines.
fn store() -> Result<Store, Failure> {
    Store::of_user().map_err(failed)
}

/// Removes what killed processes left of machines.
pub(crate) fn sweep() -> Result<(), Failure> {
    store()?.sweep().map_err(failed)
}

/// The machine of this name.
pub(crate) fn open(name: &MachineName) -> Result<Bundle, Failure> {
    store()?.open(name).map_err(failed)
}

/// The machine that `text` names, if there is one.
pub(crate) fn find(text: &Path) -> Option<Bundle> {
    let name: MachineName = text.to_str()?.parse().ok()?;
    Store::of_user().ok()?.find(&name)
}

/// Whether a machine could be called `text`.
pub(crate) fn is_name(text: &Path) -> bool {
    text.to_str().is_some_and(|text| text.parse::<MachineName>().is_ok())
}

/// A saved state fits its machine only as that was, and only itself has the disks that belong to it.
fn refuse_suspended(bundle: &Bundle) -> Result<(), Failure> {
    match bundle.is_suspended() {
        true => {
            let what = "is suspended: `russet run {}` goes on; stop it then, or start it anew with --discard-state";
            Err(Failure::new(
                Status::Host,
                format!("{0} {1}", bundle.name(), what.replace("{}", bundle.name().as_str())),
            ))
        }
        false => Ok(()),
    }
}

pub(crate) fn failed(error: BundleError) -> Failure {
    match error {
        BundleError::Configuration { problems, .. } => Failure::configuration(problems),
        BundleError::Locked { ref name, .. } => {
            Failure::new(Status::Host, format!("{error}: `russet stop {name}` ends it where it runs"))
        }
        BundleError::File { .. }
        | BundleError::NoHome
        | BundleError::Drafted { .. }
        | BundleError::Clone { .. }
        | BundleError::Disk(_) => Failure::new(Status::Host, error.to_string()),
        BundleError::Name(_) | BundleError::Missing(_) | BundleError::Exists(_) => {
            Failure::new(Status::Usage, error.to_string())
        }
    }
}

/// Gives each card that has no hardware address one of its own for good: locally administered, at random.
fn name_cards(machine: &mut Machine) -> Result<(), Failure> {
    for network in machine.network.iter_mut().filter(|network| network.mac.is_none()) {
        let mut address = [0; 6];
        let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut address));
        read.map_err(|error| Failure::new(Status::Host, format!("making a MAC address: {error}")))?;
        address[0] = address[0] & 0xfc | 2;
        network.mac = Some(MacAddress(address));
    }
    Ok(())
}
