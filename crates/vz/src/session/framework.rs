//! The calls of the framework that a session makes, and what comes back.

use std::path::PathBuf;

use super::{DiskId, Provisioning, StartOptions};

/// A call that is answered later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `startWithCompletionHandler:`, or `startWithOptions:completionHandler:`.
    Start(StartOptions),
    /// `startWithOptions:completionHandler:` with `guestProvisioningOptions`.
    Provision(Provisioning),
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
    /// `attachment:didEncounterError:` of the attachment of a disk over NBD: it works no more.
    DiskFailed(DiskId, String),
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
