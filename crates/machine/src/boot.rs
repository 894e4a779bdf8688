//! What is booted.

use std::fs::File;
use std::sync::Arc;

use devices::flash::Flash;

/// What the first CPU begins with. The files are read again at each reset.
pub enum Boot {
    /// A Linux kernel.
    Linux(LinuxBoot),
    /// Firmware, which finds something to boot by itself.
    Firmware(FirmwareBoot),
}

/// A Linux kernel to boot.
pub struct LinuxBoot {
    /// The kernel: an arm64 Image, plain or packed.
    pub kernel: File,
    /// The initial RAM disk.
    pub initrd: Option<File>,
    /// The kernel's command line.
    pub command_line: String,
}

/// UEFI firmware for the field's `virt` boards.
pub struct FirmwareBoot {
    /// The firmware: code for address 0.
    pub code: File,
    /// Where it keeps its variables.
    pub variables: Arc<Flash>,
}

impl Boot {
    /// The firmware, if that is what is booted.
    pub(crate) fn firmware(&self) -> Option<&FirmwareBoot> {
        match self {
            Self::Linux(_) => None,
            Self::Firmware(firmware) => Some(firmware),
        }
    }
}
