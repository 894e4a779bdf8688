//! Opens what a configuration names: kernel, disks, networks, consoles.

mod boot;
mod devices;
mod disks;
mod nat;
mod network;

use std::sync::Arc;

use ::devices::virtio::balloon::Balloon;
use ::devices::virtio::console::Console as ConsoleDevice;
use block::Disk;
use machine::{Boot, Parts};

use crate::card::NatCard;
use crate::sysrq::KernelConsole;
use crate::{Console, Error};

pub(crate) use devices::{console, disk};
pub(crate) use disks::{image_format, open as disk_image};
pub(crate) use nat::forwards;
pub(crate) use network::{macs, plain_datagrams, plugged};

/// What a virtual machine is made from.
pub(crate) struct Opened {
    pub(crate) parts: Parts,
    pub(crate) consoles: Vec<Console>,
    pub(crate) cards: Vec<NatCard>,
    /// The disks, and how many queues each may have.
    pub(crate) disks: Vec<Arc<dyn Disk>>,
    pub(crate) disk_queues: u16,
    /// The virtio console, which can be resized.
    pub(crate) terminal: Option<Arc<ConsoleDevice>>,
    pub(crate) balloon: Option<Arc<Balloon>>,
    /// The console of the Linux kernel.
    pub(crate) kernel_console: Option<KernelConsole>,
}

/// Opens everything, for a machine with so many slots for disks that come and go.
pub(crate) fn machine(config: &config::Machine, slots: usize) -> Result<Opened, Error> {
    let boot = boot::open(config)?;
    let opened = devices::open(config)?;
    let memory = config.memory.checked_mul(1 << 20);
    let memory = memory.ok_or_else(|| Error::unsupported("memory", "is more than any machine has"))?;
    let kernel_console = match &boot {
        Boot::Linux(linux) => KernelConsole::of(&linux.command_line, &opened),
        Boot::Firmware(_) => None,
    };
    let parts = Parts {
        cpus: config.cpus,
        memory,
        boot,
        pci: opened.pci,
        slots,
        serial: opened.serial,
        reclaim: opened.reclaim,
    };
    let (consoles, cards, disks) = (opened.consoles, opened.cards, opened.disks);
    let disk_queues = devices::disk_queues(config);
    let (terminal, balloon) = (opened.terminal, opened.balloon);
    Ok(Opened { parts, consoles, cards, disks, disk_queues, terminal, balloon, kernel_console })
}

impl KernelConsole {
    /// The one of the devices that the command line names. Of several the first that we have is as good as any, since
    /// the kernel listens on all of them.
    fn of(command_line: &str, devices: &devices::Devices) -> Option<Self> {
        let names = command_line.split_ascii_whitespace().filter_map(|word| word.strip_prefix("console="));
        names.filter_map(|name| name.split(',').next()).find_map(|name| match name {
            "hvc0" => devices.hvc0.clone().map(Self::Hvc),
            "ttyAMA0" => devices.uart.clone().map(Self::Uart),
            _ => None,
        })
    }
}
