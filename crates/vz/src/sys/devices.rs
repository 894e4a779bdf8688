//! Networks, consoles, displays, sound.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use objc2::rc::Retained;
use objc2::{AnyThread, ClassType};
use objc2_foundation::{NSArray, NSFileHandle, NSString};
use objc2_virtualization as vz;

use super::error;
use super::files::{file_handle, file_url};
use super::vmnet::{self, Networks};
use crate::{Error, Network, NetworkSource, Port, Resources};

/// The network card at `place`.
pub(super) fn network(
    place: usize,
    network: &Network,
    resources: &mut Resources,
    networks: &mut Networks,
) -> Result<Retained<vz::VZVirtioNetworkDeviceConfiguration>, Error> {
    let attachment = plug(place, &network.source, resources, networks)?;
    // SAFETY: plain initializers and setters, with arguments of the declared types.
    unsafe {
        let card = vz::VZVirtioNetworkDeviceConfiguration::new();
        card.setAttachment(Some(&attachment));
        let address = match network.mac {
            None => vz::VZMACAddress::randomLocallyAdministeredAddress(),
            Some(mac) => {
                let text = NSString::from_str(&mac.to_string());
                let address = vz::VZMACAddress::initWithString(vz::VZMACAddress::alloc(), &text);
                address.ok_or_else(|| Error::new("VZMACAddress", format!("{mac} is no address")))?
            }
        };
        card.setMACAddress(&address);
        Ok(card)
    }
}

/// What the card at `place` is plugged into.
pub(super) fn plug(
    place: usize,
    source: &NetworkSource,
    resources: &mut Resources,
    networks: &mut Networks,
) -> Result<Retained<vz::VZNetworkDeviceAttachment>, Error> {
    match source {
        // SAFETY: a plain initializer.
        NetworkSource::Nat => Ok(Retained::into_super(unsafe { vz::VZNATNetworkDeviceAttachment::new() })),
        NetworkSource::Bridged { interface } => bridged(interface),
        NetworkSource::Vmnet(described) => vmnet::attach(place, described, networks),
        NetworkSource::Helper { helper, mtu } => Ok(frames(resources.frames(*helper)?, *mtu)),
    }
}

fn bridged(interface: &str) -> Result<Retained<vz::VZNetworkDeviceAttachment>, Error> {
    // SAFETY: plain getters and an initializer, with an argument of the declared type.
    unsafe {
        let interfaces = vz::VZBridgedNetworkInterface::networkInterfaces();
        let found = interfaces.iter().find(|candidate| candidate.identifier().to_string() == interface);
        let found = found.ok_or_else(|| Error::new(interface, "the interface is gone"))?;
        type Bridged = vz::VZBridgedNetworkDeviceAttachment;
        Ok(Retained::into_super(Bridged::initWithInterface(Bridged::alloc(), &found)))
    }
}

fn frames(socket: OwnedFd, mtu: Option<u16>) -> Retained<vz::VZNetworkDeviceAttachment> {
    type Frames = vz::VZFileHandleNetworkDeviceAttachment;
    // SAFETY: the handle is of a connected datagram socket; the packet size is set only where the plan has one.
    unsafe {
        let attachment = Frames::initWithFileHandle(Frames::alloc(), &file_handle(socket));
        if let Some(mtu) = mtu {
            attachment.setMaximumTransmissionUnit(isize::try_from(mtu).unwrap_or(isize::MAX));
        }
        Retained::into_super(attachment)
    }
}

/// What a console or port is attached to.
pub(super) fn port(port: &Port, resources: &mut Resources) -> Result<Retained<vz::VZSerialPortAttachment>, Error> {
    match port {
        Port::Stdio => {
            let copy = |fd: io::Result<OwnedFd>| {
                fd.map(file_handle).map_err(|error| Error::new("standard streams", error.to_string()))
            };
            let input = copy(io::stdin().as_fd().try_clone_to_owned())?;
            let output = copy(io::stdout().as_fd().try_clone_to_owned())?;
            Ok(stream(&input, &output))
        }
        Port::Helper(helper) => {
            let handle = file_handle(resources.stream(*helper)?);
            Ok(stream(&handle, &handle))
        }
        Port::File { path, append } => {
            type File = vz::VZFileSerialPortAttachment;
            // SAFETY: a plain initializer, with arguments of the declared types.
            let file = unsafe { File::initWithURL_append_error(File::alloc(), &file_url(path), *append) };
            file.map(Retained::into_super).map_err(error::of(File::NAME))
        }
    }
}

fn stream(input: &NSFileHandle, output: &NSFileHandle) -> Retained<vz::VZSerialPortAttachment> {
    type Stream = vz::VZFileHandleSerialPortAttachment;
    let class = Stream::alloc();
    // SAFETY: a plain initializer; both handles are open in the direction that is asked of them.
    unsafe {
        Retained::into_super(Stream::initWithFileHandleForReading_fileHandleForWriting(
            class,
            Some(input),
            Some(output),
        ))
    }
}

/// A device with ports that have names.
pub(super) fn console_device(
    ports: &[(String, Port)],
    resources: &mut Resources,
) -> Result<Retained<vz::VZVirtioConsoleDeviceConfiguration>, Error> {
    let attachments: Result<Vec<_>, _> = ports.iter().map(|(_, p)| port(p, resources)).collect();
    let names = ports.iter().map(|(name, _)| NSString::from_str(name));
    Ok(named_ports(&names.zip(attachments?).collect::<Vec<_>>()))
}

/// The port of the SPICE agent.
pub(super) fn spice_agent() -> Retained<vz::VZVirtioConsoleDeviceConfiguration> {
    // SAFETY: plain initializers, getters and setters.
    unsafe {
        let agent = vz::VZSpiceAgentPortAttachment::new();
        agent.setSharesClipboard(true);
        named_ports(&[(vz::VZSpiceAgentPortAttachment::spiceAgentPortName(), Retained::into_super(agent))])
    }
}

fn named_ports(
    ports: &[(Retained<NSString>, Retained<vz::VZSerialPortAttachment>)],
) -> Retained<vz::VZVirtioConsoleDeviceConfiguration> {
    // SAFETY: plain initializers and setters; indices are below the count that is set first.
    unsafe {
        let device = vz::VZVirtioConsoleDeviceConfiguration::new();
        device.ports().setMaximumPortCount(u32::try_from(ports.len()).unwrap_or(u32::MAX));
        for (index, (name, attachment)) in ports.iter().enumerate() {
            let port = vz::VZVirtioConsolePortConfiguration::new();
            port.setName(Some(name));
            port.setIsConsole(false);
            port.setAttachment(Some(attachment));
            device.ports().setObject_atIndexedSubscript(Some(&port), index);
        }
        device
    }
}

/// The display of a macOS guest.
pub(super) fn mac_display(width: u32, height: u32, density: u32) -> Retained<vz::VZMacGraphicsDeviceConfiguration> {
    type Display = vz::VZMacGraphicsDisplayConfiguration;
    let [width, height, density] = [width, height, density].map(|number| number as isize);
    // SAFETY: plain initializers and setters, with arguments of the declared types.
    unsafe {
        let class = Display::alloc();
        let display = Display::initWithWidthInPixels_heightInPixels_pixelsPerInch(class, width, height, density);
        let device = vz::VZMacGraphicsDeviceConfiguration::new();
        device.setDisplays(&NSArray::from_retained_slice(&[display]));
        device
    }
}

/// A virtio display.
pub(super) fn virtio_display(width: u32, height: u32) -> Retained<vz::VZVirtioGraphicsDeviceConfiguration> {
    type Scanout = vz::VZVirtioGraphicsScanoutConfiguration;
    let [width, height] = [width, height].map(|number| number as isize);
    // SAFETY: plain initializers and setters, with arguments of the declared types.
    unsafe {
        let scanout = Scanout::initWithWidthInPixels_heightInPixels(Scanout::alloc(), width, height);
        let device = vz::VZVirtioGraphicsDeviceConfiguration::new();
        device.setScanouts(&NSArray::from_retained_slice(&[scanout]));
        device
    }
}

/// A sound device with its streams.
pub(super) fn sound(input: bool, output: bool) -> Retained<vz::VZVirtioSoundDeviceConfiguration> {
    let mut streams: Vec<Retained<vz::VZVirtioSoundDeviceStreamConfiguration>> = Vec::new();
    // SAFETY: plain initializers and setters.
    unsafe {
        if output {
            let stream = vz::VZVirtioSoundDeviceOutputStreamConfiguration::new();
            stream.setSink(Some(&vz::VZHostAudioOutputStreamSink::new()));
            streams.push(Retained::into_super(stream));
        }
        if input {
            let stream = vz::VZVirtioSoundDeviceInputStreamConfiguration::new();
            stream.setSource(Some(&vz::VZHostAudioInputStreamSource::new()));
            streams.push(Retained::into_super(stream));
        }
        let device = vz::VZVirtioSoundDeviceConfiguration::new();
        device.setStreams(&NSArray::from_retained_slice(&streams));
        device
    }
}
