//! The calls of the framework that a session makes, and what comes back.

use std::path::PathBuf;

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
        let since = Api::StartOptions.since();
        if !self.recovery {
            Ok(())
        } else if !matches!(machine.bootloader, BootLoader::Macos(_)) {
            let mend = "start it without, or give the rescue system of its own as a disk";
            Err(Problem::error("recovery", "only macOS guests have a recovery system of this kind", mend))
        } else if host.macos < since {
            let what = format!("{} came with {since}, and this Mac has {}", Api::StartOptions.purpose(), host.macos);
            Err(Problem::error("recovery", what, format!("update to {since} or later, or start it without")))
        } else {
            Ok(())
        }
    }
}

/// A call that is answered later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `startWithCompletionHandler:`, or `startWithOptions:completionHandler:`.
    Start(StartOptions),
    /// `restoreMachineStateFromURL:completionHandler:`; the machine is paused then.
    Restore(PathBuf),
    /// `pauseWithCompletionHandler:`.
    Pause,
    /// `resumeWithCompletionHandler:`.
    Resume,
    /// `saveMachineStateToURL:completionHandler:`.
    Save(PathBuf),
    /// `stopWithCompletionHandler:`.
    Stop,
}

/// What the framework reports, in the order in which it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// A call is answered; the text is the framework's reason.
    Done(Call, Result<(), String>),
    /// `guestDidStopVirtualMachine:`: the guest powered off.
    GuestStopped,
    /// `virtualMachine:didStopWithError:`.
    StoppedWithError(String),
    /// `virtualMachine:networkDevice:attachmentWasDisconnectedWithError:`, with the card's place among the cards.
    Disconnected(usize, String),
}

/// `VZVirtualMachine`, as a session sees it. On a Mac it is the framework's, else a double.
pub trait Framework {
    /// Begins a call and returns at once. Its answer comes as [`Signal::Done`], never from within. A session does not
    /// begin one before the one before is answered.
    fn call(&mut self, call: Call);

    /// `requestStopWithError:`: asks the guest to power off.
    ///
    /// # Errors
    /// The framework's reason why it cannot be asked.
    fn request_stop(&mut self) -> Result<(), String>;

    /// `validateSaveRestoreSupportWithError:`: whether the state of a machine with this configuration can be saved.
    ///
    /// # Errors
    /// The framework's reason why it cannot, or ours where it has no such check.
    fn check_save(&self) -> Result<(), String>;
}
