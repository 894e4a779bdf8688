//! The devices of a configuration, with their back ends.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use block::Disk;
use config::{Serial, SerialAttachment, SerialDevice, Storage, StorageDevice};
use devices::nvme::Nvme;
use devices::pci::PciDevice;
use devices::usb::Speed;
use devices::usb::storage::{MassStorage, Medium};
use devices::virtio::balloon::Balloon;
use devices::virtio::block::Block;
use devices::virtio::console::{Console as ConsoleDevice, PipeEnd, Port, PortBackend, pipe};
use devices::virtio::entropy::Entropy;
use devices::xhci::Xhci;
use machine::Reclaim;

use super::network;
use crate::Error;
use crate::card::NatCard;
use crate::console::Console;
use crate::open::disks;

/// Queues of a disk at most; each has a thread.
const DISK_QUEUES: u32 = 4;

/// The devices of a machine.
#[derive(Default)]
pub(super) struct Devices {
    /// In the order of their PCI slots: consoles, disks, network interfaces, the rest.
    pub(super) pci: Vec<Arc<dyn PciDevice>>,
    pub(super) serial: Option<Arc<dyn PortBackend>>,
    pub(super) consoles: Vec<Console>,
    pub(super) terminal: Option<Arc<ConsoleDevice>>,
    pub(super) cards: Vec<NatCard>,
    pub(super) disks: Vec<Arc<dyn Disk>>,
    pub(super) balloon: Option<Arc<Balloon>>,
    pub(super) reclaim: Option<Arc<Reclaim>>,
    /// The host's ends of the consoles that a kernel may have.
    pub(super) hvc0: Option<PipeEnd>,
    pub(super) uart: Option<PipeEnd>,
}

pub(super) fn open(config: &config::Machine) -> Result<Devices, Error> {
    refuse(config)?;
    let mut devices = Devices::default();
    consoles(config, &mut devices)?;
    for (index, storage) in config.storage.iter().enumerate() {
        let (disk, device) = disk(&format!("storage[{index}]"), storage, disk_queues(config))?;
        devices.disks.push(disk);
        devices.pci.push(device);
    }
    for (index, (network, mac)) in config.network.iter().zip(network::macs(config)?).enumerate() {
        let card = network::card(&format!("network[{index}]"), network, mac, config.cpus, &mut devices.cards)?;
        devices.pci.push(Arc::new(card));
    }
    if config.entropy.is_some() {
        devices.pci.push(Arc::new(Entropy::new(random("entropy")?)));
    }
    if config.balloon.is_some() {
        let reclaim = Arc::new(Reclaim::new());
        let balloon = Arc::new(Balloon::new(reclaim.clone()));
        devices.pci.push(balloon.clone());
        devices.balloon = Some(balloon);
        devices.reclaim = Some(reclaim);
    }
    Ok(devices)
}

/// Names what there is no device for.
fn refuse(config: &config::Machine) -> Result<(), Error> {
    let lists = [
        ("vsock", config.vsock.len()),
        ("share", config.share.len()),
        ("graphics", config.graphics.len()),
        ("input", config.input.len()),
        ("sound", config.sound.len()),
        ("clipboard", config.clipboard.into()),
        ("nested", config.nested.into()),
    ];
    match lists.iter().find(|(_, count)| *count > 0) {
        Some((field, _)) => Err(Error::unsupported(*field, "the engine `soft` cannot do this yet: remove it")),
        None => Ok(()),
    }
}

fn consoles(config: &config::Machine, devices: &mut Devices) -> Result<(), Error> {
    let mut ports = Vec::new();
    for (index, serial) in config.serial.iter().enumerate() {
        let field = format!("serial[{index}]");
        let (port, end) = pipe();
        match serial.device {
            SerialDevice::Pl011 if devices.serial.is_some() => {
                return Err(Error::unsupported(field, "the board has one PL011: use `virtio-serial` for the others"));
            }
            SerialDevice::Pl011 => {
                devices.serial = Some(port);
                devices.uart = Some(end.clone());
            }
            SerialDevice::VirtioSerial => {
                if serial.name.is_none() {
                    devices.hvc0.get_or_insert_with(|| end.clone());
                }
                let name = serial.name.clone().unwrap_or_default();
                ports.push(Port { is_console: serial.name.is_none(), name, backend: port });
            }
        }
        devices.consoles.push(console(index, serial, end)?);
    }
    // A named port in front would become the console `hvc0`: a console goes first, if there is one.
    ports.sort_by_key(|port| !port.is_console);
    match ports.first() {
        None => return Ok(()),
        Some(port) if !port.is_console => {
            return Err(Error::unsupported("serial", "named ports need a virtio console beside them: add one"));
        }
        Some(_) => {}
    }
    if ports.len() > devices::virtio::console::MAX_PORTS {
        return Err(Error::unsupported("serial", "a machine has at most 32 virtio consoles and ports"));
    }
    let console = Arc::new(ConsoleDevice::new(ports));
    devices.pci.push(console.clone());
    devices.terminal = Some(console);
    Ok(())
}

/// The host's end of a console or port.
pub(crate) fn console(index: usize, serial: &Serial, end: PipeEnd) -> Result<Console, Error> {
    let field = format!("serial[{index}]");
    let host = |what| move |source| Error::Host { field: format!("serial[{index}]"), what, source };
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { field, path, source }
    };
    match &serial.attachment {
        SerialAttachment::Stdio => Ok(Console::stream(end)),
        SerialAttachment::Pty => Console::pty(end).map_err(host("opening a pseudo-terminal")),
        SerialAttachment::File { path, append } => Console::file(end, path, *append).map_err(file(path)),
        SerialAttachment::Socket { path } => Console::socket(end, path).map_err(file(path)),
    }
}

/// How many queues each disk may have.
pub(super) fn disk_queues(config: &config::Machine) -> u16 {
    config.cpus.clamp(1, DISK_QUEUES) as u16
}

/// A disk, and the device through which the guest sees it.
type DiskDevice = (Arc<dyn Disk>, Arc<dyn PciDevice>);

/// Opens a disk of so many queues.
pub(crate) fn disk(field: &str, storage: &Storage, queues: u16) -> Result<DiskDevice, Error> {
    let disk = disks::open(field, storage)?;
    Ok((disk.clone(), controller(storage, disk, queues)))
}

fn controller(storage: &Storage, disk: Arc<dyn Disk>, queues: u16) -> Arc<dyn PciDevice> {
    let serial = storage.device_id.as_deref();
    match storage.device {
        StorageDevice::Nvme => Arc::new(Nvme::new(disk, queues, serial)),
        StorageDevice::VirtioBlk => Arc::new(Block::new(disk, queues, serial)),
        StorageDevice::UsbMassStorage => Arc::new(usb(Medium::new(disk, serial))),
    }
}

/// A USB controller with a drive.
fn usb(medium: Arc<Medium>) -> Xhci {
    let controller = Xhci::new();
    // A new controller has a free connector.
    let _ = controller.attach(Box::new(MassStorage::new(medium, Speed::Super)));
    controller
}

/// The host's random number generator.
pub(super) fn random(field: &str) -> Result<File, Error> {
    let path = Path::new("/dev/urandom");
    File::open(path).map_err(|source| Error::File { field: field.to_owned(), path: path.into(), source })
}
