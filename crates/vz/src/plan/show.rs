//! A plan as people read it: a line for each helper and object.

use std::fmt;

use config::RosettaCache;

use super::{
    BlockSync, BootLoader, Disk, DiskDevice, DiskSource, Folders, Helper, ImageSync, Network, NetworkSource, Object,
    Plan, Platform, Port, Share,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} CPUs, {} MiB", self.cpus, self.memory >> 20)?;
        for (number, helper) in self.helpers.iter().enumerate() {
            writeln!(f, "helper {number}: {helper}")?;
        }
        for object in &self.objects {
            writeln!(f, "{object}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "{warning}"))
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(api) = self.apis().first() {
            f.write_str(api.name())?;
        }
        match self {
            Object::BootLoader(boot_loader) => boot_loader.fmt(f),
            Object::Platform(platform) => platform.fmt(f),
            Object::Disk(disk) => disk.fmt(f),
            Object::XhciController(drives) => {
                drives.iter().try_for_each(|disk| write!(f, "\n  {}{disk}", disk.device.name()))
            }
            Object::Network(network) => network.fmt(f),
            Object::SerialPort(port) => port.fmt(f),
            Object::ConsoleDevice(ports) => ports.iter().try_for_each(|(name, port)| write!(f, "\n  {name:?}:{port}")),
            Object::SpiceAgent => write!(f, "\n  VZSpiceAgentPortAttachment sharesClipboard"),
            Object::Share { tag, share } => write!(f, " {tag:?}\n  {share}"),
            Object::MacDisplay { width, height, pixels_per_inch, resizable } => {
                write!(f, " {width}x{height}, {pixels_per_inch} pixels per inch{}", follows(*resizable))
            }
            Object::VirtioDisplay { width, height, resizable } => write!(f, " {width}x{height}{}", follows(*resizable)),
            Object::Sound { input, output } => {
                write!(f, "{}{}", if *input { " input" } else { "" }, if *output { " output" } else { "" })
            }
            Object::SocketDevice | Object::Entropy | Object::Balloon | Object::Keyboard(_) | Object::Pointing(_) => {
                Ok(())
            }
        }
    }
}

fn follows(resizable: bool) -> &'static str {
    if resizable { ", follows its window" } else { "" }
}

impl fmt::Display for BootLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootLoader::Linux { kernel, initrd, cmdline } => {
                write!(f, " {}", kernel.display())?;
                if let Some(initrd) = initrd {
                    write!(f, " {}", initrd.display())?;
                }
                write!(f, " {cmdline:?}")
            }
            BootLoader::Efi { variable_store, create } => {
                let create = if *create { ", made when it is missing" } else { "" };
                write!(f, "\n  VZEFIVariableStore {}{create}", variable_store.display())
            }
            BootLoader::MacOs => Ok(()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Platform::Generic { machine_identifier, nested } => {
                if let Some(path) = machine_identifier {
                    write!(f, " identifier {}", path.display())?;
                }
                f.write_str(if *nested { " nested" } else { "" })
            }
            Platform::Mac { machine_identifier, hardware_model, auxiliary_storage } => write!(
                f,
                " identifier {}, model {}, auxiliary storage {}",
                machine_identifier.display(),
                hardware_model.display(),
                auxiliary_storage.display()
            ),
        }
    }
}

impl DiskDevice {
    fn name(&self) -> &'static str {
        match self {
            DiskDevice::VirtioBlock { .. } => "VZVirtioBlockDeviceConfiguration",
            DiskDevice::Nvme => "VZNVMExpressControllerDeviceConfiguration",
            DiskDevice::UsbMassStorage { .. } => "VZUSBMassStorageDeviceConfiguration",
        }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let DiskDevice::VirtioBlock { identifier: Some(identifier) } = &self.device {
            write!(f, " identifier {identifier:?}")?;
        }
        if let DiskDevice::UsbMassStorage { id: Some(id) } = &self.device {
            write!(f, " {id}")?;
        }
        f.write_str("\n    ")?;
        let sync = |sync: &BlockSync| match sync {
            BlockSync::Full => "full",
            BlockSync::None => "none",
        };
        match &self.source {
            DiskSource::Image { path, modes } => {
                write!(f, "VZDiskImageStorageDeviceAttachment {}", path.display())?;
                if let Some((caching, sync)) = modes {
                    let sync = match sync {
                        ImageSync::Full => "full",
                        ImageSync::Fsync => "fsync",
                        ImageSync::None => "none",
                    };
                    write!(f, " {caching:?} {sync}")?;
                }
            }
            DiskSource::BlockDevice { path, sync: mode } => {
                write!(f, "VZDiskBlockDeviceStorageDeviceAttachment {} {}", path.display(), sync(mode))?;
            }
            DiskSource::Nbd { uri, timeout, sync: mode } => {
                write!(f, "VZNetworkBlockDeviceStorageDeviceAttachment {uri:?} {}", sync(mode))?;
                if let Some(timeout) = timeout {
                    write!(f, " {timeout} ms")?;
                }
            }
            DiskSource::Served { helper, sync: mode } => {
                write!(f, "VZNetworkBlockDeviceStorageDeviceAttachment at helper {helper} {}", sync(mode))?;
            }
        }
        f.write_str(if self.read_only { " read-only" } else { "" })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mac {
            Some(mac) => write!(f, " {mac}\n  ")?,
            None => write!(f, " random address\n  ")?,
        }
        match &self.source {
            NetworkSource::Nat => f.write_str("VZNATNetworkDeviceAttachment"),
            NetworkSource::Bridged { interface } => write!(f, "VZBridgedNetworkDeviceAttachment {interface:?}"),
            NetworkSource::Vmnet(vmnet) => vmnet.fmt(f),
            NetworkSource::Helper { helper, mtu } => {
                write!(f, "VZFileHandleNetworkDeviceAttachment at helper {helper}")?;
                mtu.map_or(Ok(()), |mtu| write!(f, ", packets of {mtu} bytes"))
            }
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Stdio => f.write_str(" VZFileHandleSerialPortAttachment on standard input and output"),
            Port::Helper(helper) => write!(f, " VZFileHandleSerialPortAttachment at helper {helper}"),
            Port::File { path, append } => {
                let append = if *append { " append" } else { "" };
                write!(f, " VZFileSerialPortAttachment {}{append}", path.display())
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read_only = |read_only: bool| if read_only { " read-only" } else { "" };
        match self {
            Share::Folders(Folders::Single(directory)) => {
                let path = directory.path.display();
                write!(f, "VZSingleDirectoryShare {path}{}", read_only(directory.read_only))
            }
            Share::Folders(Folders::Multiple(directories)) => {
                f.write_str("VZMultipleDirectoryShare")?;
                directories.iter().try_for_each(|(name, directory)| {
                    write!(f, "\n    {name:?}: {}{}", directory.path.display(), read_only(directory.read_only))
                })
            }
            Share::Rosetta { install, cache } => {
                write!(f, "VZLinuxRosettaDirectoryShare{}", if *install { ", installed first" } else { "" })?;
                match cache {
                    None => Ok(()),
                    Some(RosettaCache::UnixSocket(path)) => {
                        write!(f, "\n    VZLinuxRosettaUnixSocketCachingOptions {path:?}")
                    }
                    Some(RosettaCache::AbstractSocket(name)) => {
                        write!(f, "\n    VZLinuxRosettaAbstractSocketCachingOptions {name:?}")
                    }
                }
            }
        }
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Helper::NbdServer { storage } => write!(f, "NBD server for storage[{storage}]"),
            Helper::UserNat { network } => write!(f, "user-mode NAT for network[{network}]"),
            Helper::Switch { name } => write!(f, "switch {name:?}"),
            Helper::DatagramSocket { path, vfkit_magic } => {
                write!(f, "datagrams to {}{}", path.display(), if *vfkit_magic { ", as vfkit" } else { "" })
            }
            Helper::StreamSocket { path, listen } => {
                write!(f, "stream {} {}", if *listen { "at" } else { "to" }, path.display())
            }
            Helper::Descriptor { fd } => write!(f, "descriptor {fd}"),
            Helper::Pty => f.write_str("pseudo-terminal"),
            Helper::ConsoleSocket { path } => write!(f, "console socket {}", path.display()),
            Helper::VsockPort { port, socket, direction } => {
                write!(f, "vsock port {port}: {direction:?} {}", socket.display())
            }
        }
    }
}
