//! Which classes and members of the framework a plan asks for.

use config::{RosettaCache, VsockDirection};

use super::{
    BootLoader, Disk, DiskDevice, DiskSource, Folders, Helper, Keyboard, Network, NetworkSource, Object, Plan,
    Platform, Pointing, Port, Share,
};
use crate::Api;

impl Plan {
    /// All that it asks for, each once, in the order of [`Api::ALL`].
    #[must_use]
    pub fn apis(&self) -> Vec<Api> {
        let mut apis: Vec<_> = self.objects.iter().flat_map(Object::apis).collect();
        let listens = |helper: &Helper| matches!(helper, Helper::VsockPort { direction: VsockDirection::Listen, .. });
        if self.helpers.iter().any(listens) {
            apis.push(Api::SocketListener);
        }
        apis.extend(self.saves.is_ok().then_some(Api::SaveState));
        apis.extend(self.stops.then_some(Api::Stop));
        apis.sort_unstable();
        apis.dedup();
        apis
    }
}

impl Object {
    /// The classes that it is made of, its own first, and the younger members that it sets.
    #[must_use]
    pub fn apis(&self) -> Vec<Api> {
        match self {
            Object::BootLoader(BootLoader::Linux { .. }) => vec![Api::LinuxBootLoader],
            Object::BootLoader(BootLoader::Efi { .. }) => vec![Api::EfiBootLoader, Api::EfiVariableStore],
            Object::BootLoader(BootLoader::MacOs) => vec![Api::MacOsBootLoader],
            Object::Platform(Platform::Generic { machine_identifier, nested }) => {
                let identifier = machine_identifier.as_ref().map(|_| Api::GenericMachineIdentifier);
                [Api::GenericPlatform].into_iter().chain(identifier).chain(nested.then_some(Api::Nested)).collect()
            }
            Object::Platform(Platform::Mac { .. }) => {
                vec![Api::MacPlatform, Api::MacHardwareModel, Api::MacMachineIdentifier, Api::MacAuxiliaryStorage]
            }
            Object::Disk(disk) => disk.apis(),
            Object::XhciController(drives) => {
                [Api::XhciController, Api::UsbHotPlug].into_iter().chain(drives.iter().flat_map(Disk::apis)).collect()
            }
            Object::Network(network) => network.apis(),
            Object::SerialPort(port) => vec![Api::SerialPort, port.api()],
            Object::ConsoleDevice(ports) => {
                let attachments = ports.iter().map(|(_, port)| port.api());
                [Api::ConsoleDevice, Api::ConsolePort].into_iter().chain(attachments).collect()
            }
            Object::SpiceAgent => vec![Api::ConsoleDevice, Api::ConsolePort, Api::SpiceAgent],
            Object::SocketDevice => vec![Api::SocketDevice, Api::SocketConnect],
            Object::Entropy => vec![Api::Entropy],
            Object::Balloon => vec![Api::Balloon, Api::BalloonTarget],
            Object::Share { tag, share } => {
                let automount = (tag == config::AUTOMOUNT_TAG).then_some(Api::AutomountTag);
                [Api::FileSystem].into_iter().chain(automount).chain(share.apis().iter().copied()).collect()
            }
            Object::MacDisplay { resizable, .. } => {
                let resizable = resizable.then_some([Api::Resize, Api::Reconfigures]);
                [Api::MacGraphics, Api::MacDisplay, Api::View]
                    .into_iter()
                    .chain(resizable.into_iter().flatten())
                    .collect()
            }
            Object::VirtioDisplay { resizable, .. } => {
                let resizable = resizable.then_some([Api::Resize, Api::Reconfigures]);
                [Api::VirtioGraphics, Api::Scanout, Api::View]
                    .into_iter()
                    .chain(resizable.into_iter().flatten())
                    .collect()
            }
            Object::Keyboard(Keyboard::Usb) => vec![Api::UsbKeyboard],
            Object::Keyboard(Keyboard::Mac) => vec![Api::MacKeyboard],
            Object::Pointing(Pointing::Usb) => vec![Api::UsbPointing],
            Object::Pointing(Pointing::MacTrackpad) => vec![Api::MacTrackpad],
            Object::Sound { input, output } => {
                let mut apis = vec![Api::Sound];
                apis.extend(output.then_some([Api::SoundOutput, Api::SoundSink]).into_iter().flatten());
                apis.extend(input.then_some([Api::SoundInput, Api::SoundSource]).into_iter().flatten());
                apis
            }
        }
    }
}

impl Disk {
    fn apis(&self) -> Vec<Api> {
        let mut apis = match &self.device {
            DiskDevice::VirtioBlock { identifier: None } => vec![Api::VirtioBlock],
            DiskDevice::VirtioBlock { identifier: Some(_) } => vec![Api::VirtioBlock, Api::BlockIdentifier],
            DiskDevice::Nvme => vec![Api::Nvme],
            DiskDevice::UsbMassStorage { id: None } => vec![Api::UsbMassStorage],
            DiskDevice::UsbMassStorage { id: Some(_) } => vec![Api::UsbMassStorage, Api::UsbIdentifier],
        };
        match &self.source {
            DiskSource::Image { modes, .. } => {
                apis.push(Api::DiskImage);
                apis.extend(modes.map(|_| Api::DiskImageModes));
            }
            DiskSource::BlockDevice { .. } => apis.push(Api::DiskBlockDevice),
            DiskSource::Nbd { .. } | DiskSource::Served { .. } => apis.push(Api::NetworkBlockDevice),
        }
        apis
    }
}

impl Network {
    fn apis(&self) -> Vec<Api> {
        let mut apis = vec![Api::VirtioNetwork, Api::MacAddress];
        match &self.source {
            NetworkSource::Nat => apis.push(Api::NatAttachment),
            NetworkSource::Bridged { .. } => apis.extend([Api::BridgedAttachment, Api::BridgedInterface]),
            NetworkSource::Vmnet(_) => apis.push(Api::VmnetAttachment),
            NetworkSource::Helper { mtu, .. } => {
                apis.push(Api::FileHandleNetwork);
                apis.extend(mtu.map(|_| Api::Mtu));
            }
        }
        apis
    }
}

impl Port {
    fn api(&self) -> Api {
        match self {
            Port::Stdio | Port::Helper(_) => Api::FileHandleSerial,
            Port::File { .. } => Api::FileSerial,
        }
    }
}

impl Share {
    fn apis(&self) -> &'static [Api] {
        match self {
            Share::Folders(Folders::Single(_)) => &[Api::ShareChange, Api::SingleShare, Api::SharedDirectory],
            Share::Folders(Folders::Multiple(_)) => &[Api::ShareChange, Api::MultipleShare, Api::SharedDirectory],
            Share::Rosetta { cache: None, .. } => &[Api::RosettaShare],
            Share::Rosetta { cache: Some(RosettaCache::UnixSocket(_)), .. } => &[Api::RosettaShare, Api::RosettaSocket],
            Share::Rosetta { cache: Some(RosettaCache::AbstractSocket(_)), .. } => {
                &[Api::RosettaShare, Api::RosettaAbstractSocket]
            }
        }
    }
}
