//! The machine: CPUs, memory, boot loader and the lists of its devices.

use serde::{Deserialize, Serialize};

use crate::{
    Balloon, BootLoader, Engine, Entropy, Graphics, Input, Network, Platform, Serial, Share, Sound, Storage, Vsock,
};

/// CPUs when nothing is said.
pub const DEFAULT_CPUS: u32 = 1;
/// Memory in MiB when nothing is said.
pub const DEFAULT_MEMORY_MIB: u64 = 512;

/// A virtual machine, described.
///
/// A description says what is there and nothing more: a list that is empty is a device that the guest does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Machine {
    /// The engine to run on; without it the caller chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Number of virtual CPUs.
    #[serde(default = "default_cpus")]
    pub cpus: u32,
    /// Guest memory in MiB.
    #[serde(default = "default_memory")]
    pub memory: u64,
    /// Offers the guest virtualization of its own (EL2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nested: bool,
    /// Shares the clipboard with the guest (SPICE agent).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clipboard: bool,
    /// How the guest is started: `[bootloader]`, `--bootloader`.
    pub bootloader: BootLoader,
    /// Identity and firmware model: `[platform]`, `--platform`.
    #[serde(default, skip_serializing_if = "Platform::is_default")]
    pub platform: Platform,
    /// Source of random numbers: `[entropy]`, `--device virtio-rng`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<Entropy>,
    /// Memory balloon: `[balloon]`, `--device virtio-balloon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// Disks, in the order in which the guest sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<Storage>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Network>,
    /// Consoles and serial ports: the first virtio console is `hvc0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<Serial>,
    /// vsock ports that are bound to sockets of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vsock: Vec<Vsock>,
    /// Folders of the host that the guest can mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub share: Vec<Share>,
    /// Displays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub graphics: Vec<Graphics>,
    /// Keyboards and pointing devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Input>,
    /// Sound devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sound: Vec<Sound>,
}

fn default_cpus() -> u32 {
    DEFAULT_CPUS
}

fn default_memory() -> u64 {
    DEFAULT_MEMORY_MIB
}

impl Machine {
    /// A machine with the default CPUs and memory, the given boot loader and no device.
    #[must_use]
    pub fn new(bootloader: BootLoader) -> Self {
        Machine {
            engine: None,
            cpus: DEFAULT_CPUS,
            memory: DEFAULT_MEMORY_MIB,
            nested: false,
            clipboard: false,
            bootloader,
            platform: Platform::default(),
            entropy: None,
            balloon: None,
            storage: Vec::new(),
            network: Vec::new(),
            serial: Vec::new(),
            vsock: Vec::new(),
            share: Vec::new(),
            graphics: Vec::new(),
            input: Vec::new(),
            sound: Vec::new(),
        }
    }
}
