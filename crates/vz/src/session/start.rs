//! The ways to start a machine, and for which machines and Macs there are any.

use std::fmt;

use config::{BootLoader, Machine, Problem};

use crate::{Api, Host};

/// How a machine is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Into macOS Recovery (`VZMacOSVirtualMachineStartOptions.startUpFromMacOSRecovery`).
    pub recovery: bool,
}

impl StartOptions {
    /// Whether a machine can be started so on a Mac.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(self, machine: &Machine, host: &Host) -> Result<(), Problem> {
        if !self.recovery {
            return Ok(());
        }
        if !matches!(machine.bootloader, BootLoader::Macos(_)) {
            let mend = "start it without, or give the rescue system of its own as a disk";
            return Err(Problem::error("recovery", "only macOS guests have a recovery system of this kind", mend));
        }
        host.need("recovery", Api::StartOptions, "start it without")
    }
}

/// The account that a new macOS guest makes on its first start, instead of asking for one
/// (`VZMacGuestProvisioningOptions`). A guest that is older than macOS 27, or that was started before, ignores it.
#[derive(Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// The person's whole name.
    pub full_name: String,
    /// The account's name.
    pub username: String,
    /// Its password. It is in nobody's `Debug` form.
    pub password: String,
    /// The account is logged in by itself.
    pub logs_in_automatically: bool,
    /// It can be reached by SSH.
    pub enables_remote_login: bool,
}

impl Provisioning {
    /// Whether a machine can be started so on a Mac.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, machine: &Machine, host: &Host) -> Result<(), Problem> {
        if !matches!(machine.bootloader, BootLoader::Macos(_)) {
            let what = "only macOS guests make an account by themselves";
            return Err(Problem::error("provisioning", what, "start it without, and make the account in the guest"));
        }
        if self.username.is_empty() || self.password.is_empty() {
            return Err(Problem::error("provisioning", "an account has a name and a password", "give both"));
        }
        host.need("provisioning", Api::Provisioning, "start it without")
    }
}

impl fmt::Debug for Provisioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioning").field("username", &self.username).finish_non_exhaustive()
    }
}
