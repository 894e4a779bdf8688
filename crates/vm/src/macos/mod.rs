//! macOS guests: their installation into a new machine, and how many of them run.
//!
//! [`install_macos`] goes from a restore image, the latest one, a file or a URL, to a machine that can be started. What
//! it asks of the framework goes through [`vz::Virtualization`], so that all of it runs on any host over a double.

mod error;
mod guests;
mod install;
mod source;

pub use error::InstallError;
pub use guests::{MacosGuest, MacosGuests, Seat};
pub use install::{InstallStep, MACOS_SIZE, NewMac};
pub use source::RestoreSource;

use config::MacPlatform;
use std::path::Path;

/// The files of a macOS guest in its folder, by the names that users know them by.
#[must_use]
pub fn mac_files(folder: &Path) -> MacPlatform {
    MacPlatform {
        machine_identifier: folder.join("MachineIdentifier"),
        hardware_model: folder.join("HardwareModel"),
        auxiliary_storage: folder.join("AuxiliaryStorage"),
    }
}
