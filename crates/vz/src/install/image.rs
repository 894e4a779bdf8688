//! Restore images, and what a guest that is installed from one must have.

use std::fmt;

/// A version of macOS to be installed (`VZMacOSRestoreImage`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreImage {
    /// Where it is: `https:` for the latest one, `file:` for one that was loaded.
    pub url: String,
    /// `operatingSystemVersion`, such as 15.6.1.
    pub version: String,
    /// `buildVersion`, such as 24G90.
    pub build: String,
    /// `mostFeaturefulSupportedConfiguration`; `None`: this Mac and its macOS can install none of its models.
    pub requirements: Option<Requirements>,
}

impl fmt::Display for RestoreImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "macOS {} ({})", self.version, self.build)
    }
}

/// What a guest needs at least (`VZMacOSConfigurationRequirements`). With less, what happens is undefined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// `hardwareModel.dataRepresentation`: the contents of the bundle's file `HardwareModel`.
    pub hardware_model: Vec<u8>,
    /// `minimumSupportedCPUCount`.
    pub cpus: u32,
    /// `minimumSupportedMemorySize`, in MiB, rounded up.
    pub memory: u64,
}
