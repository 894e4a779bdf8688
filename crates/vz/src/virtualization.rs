//! The framework before there is a machine.

use std::path::Path;
use std::sync::mpsc::Sender;

use crate::{Devices, Error, Framework, InstallSignal, Installer, Plan, Resource, RestoreImage, Signal};

/// The framework's entrances. On a Mac this is `sys::Mac`, else a double. The methods may wait, for the
/// network too.
pub trait Virtualization {
    /// A machine of the framework.
    type Machine: Framework + Devices;
    /// An installation of the framework.
    type Installer: Installer;

    /// Makes what a plan lists. `resources` are what its helpers have ready, in their order. What the machine reports
    /// goes into `signals`, from a thread of the framework's.
    ///
    /// # Errors
    /// What could not be opened or made, and what the framework finds wrong.
    fn machine(&self, plan: &Plan, resources: Vec<Resource>, signals: Sender<Signal>) -> Result<Self::Machine, Error>;

    /// Makes what a plan lists, for an installation from the restore image in a file, which has not begun.
    ///
    /// # Errors
    /// As [`machine`](Self::machine).
    fn installer(
        &self,
        plan: &Plan,
        resources: Vec<Resource>,
        image: &Path,
        signals: Sender<InstallSignal>,
    ) -> Result<Self::Installer, Error>;

    /// `fetchLatestSupportedWithCompletionHandler:`: asks Apple for the latest macOS that this Mac can install.
    ///
    /// # Errors
    /// The framework's reason.
    fn latest_restore_image(&self) -> Result<RestoreImage, Error>;

    /// `loadFileURL:completionHandler:`: what is in the restore image of a file.
    ///
    /// # Errors
    /// There is none, or it is none. The framework's reason.
    fn load_restore_image(&self, path: &Path) -> Result<RestoreImage, Error>;

    /// A new identity of a macOS guest (`VZMacMachineIdentifier`): the contents of the bundle's file `MachineIdentifier`.
    fn new_mac_identifier(&self) -> Vec<u8>;

    /// A new identity of another guest (`VZGenericMachineIdentifier`), on a Mac that has
    /// [`Api::GenericMachineIdentifier`](crate::Api::GenericMachineIdentifier).
    fn new_generic_identifier(&self) -> Vec<u8>;

    /// Makes the auxiliary storage of a macOS guest (`initCreatingStorageAtURL:hardwareModel:options:error:`), in a file
    /// that is not there yet.
    ///
    /// # Errors
    /// The model is none, or the file cannot be made.
    fn create_auxiliary_storage(&self, path: &Path, hardware_model: &[u8]) -> Result<(), Error>;
}
