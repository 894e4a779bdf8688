//! Boot loaders: how the guest's first instruction gets into memory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::tagged::tagged_enum;

/// How the guest is started: `kind = "linux"`, `"efi"` or `"macos"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum BootLoader {
    /// A Linux kernel is loaded by us.
    Linux(LinuxBoot),
    /// UEFI firmware boots from a disk.
    Efi(EfiBoot),
    /// macOS on Apple silicon; needs a mac platform.
    Macos(MacosBoot),
}

tagged_enum!(BootLoader, "a boot loader", {
    "linux" => Linux,
    "efi" => Efi,
    "macos" => Macos,
});

/// Direct boot of a Linux kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LinuxBoot {
    /// The kernel: an arm64 `Image`, plain, gzip or EFI zboot.
    pub kernel: PathBuf,
    /// The initial RAM disk, handed to the guest as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
}

/// Boot through UEFI firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EfiBoot {
    /// The file in which the firmware keeps its variables.
    pub variable_store: PathBuf,
    /// Makes the variable store when it does not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// Firmware other than the engine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<PathBuf>,
}

/// Boot of macOS; everything that it needs is in the mac platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacosBoot {}
