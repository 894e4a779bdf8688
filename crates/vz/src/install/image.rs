//! Restore images, and what a guest that is installed from one must have.

use std::fmt;

use config::{Machine, Problem};

use crate::Host;

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

impl RestoreImage {
    /// What a guest of it must have, and whether a machine has that much.
    ///
    /// # Errors
    /// This Mac can install none of its models, or the machine is too small.
    pub fn check(&self, machine: &Machine, host: &Host) -> Result<&Requirements, Vec<Problem>> {
        let Some(needs) = &self.requirements else {
            let what = format!("{self} has no model of a Mac that this one, with {}, can run", host.macos);
            return Err(vec![Problem::error("macos", what, "update macOS, or choose another restore image")]);
        };
        let mut problems = Vec::new();
        if machine.cpus < needs.cpus {
            let what = format!("{self} needs {} CPUs at least, not {}", needs.cpus, machine.cpus);
            problems.push(Problem::error("cpus", what, format!("give {} or more", needs.cpus)));
        }
        if machine.memory < needs.memory {
            let what = format!("{self} needs {} MiB at least, not {}", needs.memory, machine.memory);
            problems.push(Problem::error("memory", what, format!("give {} or more", needs.memory)));
        }
        if problems.is_empty() { Ok(needs) } else { Err(problems) }
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
