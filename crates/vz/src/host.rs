//! What a plan must know of the Mac on which it is to be done.

use std::fmt;
use std::ops::RangeInclusive;

use config::Problem;

use crate::Api;

/// A version of macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number: 11 to 15, then 26 and on.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    /// Of both numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "macOS {}", self.major),
            minor => write!(f, "macOS {}.{minor}", self.major),
        }
    }
}

/// Rights that are signed into the running program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// `com.apple.security.virtualization`, without which no machine is valid.
    pub virtualization: bool,
    /// `com.apple.vm.networking`, which Apple grants on request, for bridged networks.
    pub networking: bool,
}

/// Rosetta for Linux guests (`VZLinuxRosettaDirectoryShare.availability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rosetta {
    /// This Mac cannot have it.
    NotSupported,
    /// It can be installed.
    NotInstalled,
    /// It is there.
    Installed,
}

/// Facts about a Mac.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The version of macOS.
    pub macos: Version,
    /// It has Apple silicon; else it is an Intel Mac.
    pub apple_silicon: bool,
    /// The framework works here (`VZVirtualMachine.supported`). In macOS that is a guest itself it may not.
    pub supported: bool,
    /// CPUs that a machine may have (`minimumAllowedCPUCount` to `maximumAllowedCPUCount`).
    pub cpus: RangeInclusive<u32>,
    /// Memory that a machine may have, in MiB (`minimumAllowedMemorySize` to `maximumAllowedMemorySize`).
    pub memory: RangeInclusive<u64>,
    /// The rights of this program.
    pub entitlements: Entitlements,
    /// The state of Rosetta.
    pub rosetta: Rosetta,
    /// The chip and macOS let guests virtualize (`isNestedVirtualizationSupported`).
    pub nested: bool,
    /// Interfaces that can be bridged, by their BSD names (`VZBridgedNetworkInterface.networkInterfaces`).
    pub bridged: Vec<String>,
    /// The macOS guests that run now on this Mac, in any process, by name.
    pub macos_guests: Vec<String>,
}

impl Host {
    /// Whether its macOS has it.
    #[must_use]
    pub fn has(&self, api: Api) -> bool {
        self.macos >= api.since()
    }

    /// As [`has`](Self::has), for what `field` asks for.
    ///
    /// # Errors
    /// Its macOS is older. `instead` says what to do other than updating.
    pub fn need(&self, field: &str, api: Api, instead: &str) -> Result<(), Problem> {
        if self.has(api) {
            return Ok(());
        }
        let what = format!("{} came with {}, and this Mac has {}", api.purpose(), api.since(), self.macos);
        let mend = format!("update to {} or later, or {instead}", api.since());
        Err(Problem::error(field, what, mend))
    }
}
