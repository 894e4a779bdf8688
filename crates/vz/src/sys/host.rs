//! Facts about this Mac, as the framework tells them.

use objc2_foundation::NSProcessInfo;
use objc2_virtualization as vz;

use crate::{Api, Entitlements, Host, Rosetta, Version};

impl Host {
    /// This Mac. Which rights the program is signed with, and which macOS guests run, the framework does not tell.
    #[must_use]
    pub fn here(entitlements: Entitlements, macos_guests: Vec<String>) -> Self {
        let version = NSProcessInfo::processInfo().operatingSystemVersion();
        let number = |number: isize| u16::try_from(number).unwrap_or(u16::MAX);
        let macos = Version::new(number(version.majorVersion), number(version.minorVersion));
        // SAFETY: plain getters of classes, each asked only where this macOS has it.
        unsafe {
            type Configuration = vz::VZVirtualMachineConfiguration;
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let rosetta = if macos < Api::RosettaShare.since() {
                Rosetta::NotSupported
            } else {
                match vz::VZLinuxRosettaDirectoryShare::availability() {
                    vz::VZLinuxRosettaAvailability::Installed => Rosetta::Installed,
                    vz::VZLinuxRosettaAvailability::NotInstalled => Rosetta::NotInstalled,
                    _ => Rosetta::NotSupported,
                }
            };
            let interfaces = vz::VZBridgedNetworkInterface::networkInterfaces();
            Self {
                macos,
                apple_silicon: cfg!(target_arch = "aarch64"),
                supported: vz::VZVirtualMachine::isSupported(),
                cpus: count(Configuration::minimumAllowedCPUCount())..=count(Configuration::maximumAllowedCPUCount()),
                memory: Configuration::minimumAllowedMemorySize().div_ceil(1 << 20)
                    ..=Configuration::maximumAllowedMemorySize() >> 20,
                entitlements,
                rosetta,
                nested: macos >= Api::Nested.since()
                    && vz::VZGenericPlatformConfiguration::isNestedVirtualizationSupported(),
                bridged: interfaces.iter().map(|interface| interface.identifier().to_string()).collect(),
                macos_guests,
            }
        }
    }
}
