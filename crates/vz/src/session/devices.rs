//! What can be done to the devices of a machine while it runs.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::{Drive, Folders, NetworkSource, Resource};

/// Takes the answer of the framework; the text is its reason. It is called once, on a thread of the framework's, and
/// must not wait there.
pub type Answer<T> = Box<dyn FnOnce(Result<T, String>) + Send>;

/// Takes the connections of a vsock port, on a thread of the framework's; it must not wait there.
pub type Accept = Box<dyn Fn(OwnedFd) + Send>;

/// A USB drive of a machine, by its UUID (`VZUSBDevice.uuid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DriveId(pub u128);

/// A disk of a machine that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskId {
    /// One of the configuration, by its place in `storage`.
    Storage(usize),
    /// A drive that was attached since the machine started.
    Drive(DriveId),
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(place) => write!(f, "storage[{place}]"),
            Self::Drive(drive) => write!(f, "drive {drive}"),
        }
    }
}

impl DriveId {
    /// That of the drive at this place in the configuration's `storage`, the same in every run. Where the framework makes
    /// it, it is another each time, and a saved state does not find its drives.
    pub(crate) fn of_configuration(place: usize) -> Self {
        // A UUID of version 8 (RFC 9562, 5.8): `russet`, and the place.
        Self(0x7275_7373_6574_8000_8000_0000_0000_0000 | (place as u128 & 0xffff_ffff))
    }
}

impl fmt::Display for DriveId {
    /// As UUIDs are written (RFC 9562, 4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id) = self;
        let group = |low: u32, bits: u32| (id >> low) & ((1 << bits) - 1);
        let [a, b, c, d, e] = [group(96, 32), group(80, 16), group(64, 16), group(48, 16), group(0, 48)];
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

/// The devices of a machine that runs or is paused: [`Session::devices`](crate::Session::devices) gives them in no
/// other state. Every method returns at once. Where the machine has no such device, the answer says so.
pub trait Devices {
    /// `VZUSBController attachDevice:completionHandler:`, at the first controller. `resources` are what the drive's
    /// helpers have ready.
    fn attach_drive(&mut self, drive: Drive, resources: Vec<Resource>, answer: Answer<DriveId>);

    /// `VZUSBController.usbDevices` of the first controller: those of the configuration first, in its order.
    fn drives(&mut self, answer: Answer<Vec<DriveId>>);

    /// `VZUSBController detachDevice:completionHandler:`. The guest is not asked.
    fn detach_drive(&mut self, drive: DriveId, answer: Answer<()>);

    /// `VZVirtioTraditionalMemoryBalloonDevice.targetVirtualMachineMemorySize`: how much memory the guest is to keep,
    /// in MiB. The framework holds it between its least and the machine's memory. Whether the guest follows is up to it.
    fn set_memory_target(&mut self, mib: u64, answer: Answer<()>);

    /// `VZGraphicsDisplay reconfigureWithSizeInPixels:error:`, of the display. Whether the guest follows is up to it.
    fn resize_display(&mut self, width: u32, height: u32, answer: Answer<()>);

    /// `VZNetworkDevice.attachment`, of the card at this place among the cards: it is plugged in again where it has lost
    /// what it was plugged into, and left alone where it has not. That it fails later is a
    /// [`Signal::Disconnected`](crate::Signal::Disconnected).
    fn plug(&mut self, card: usize, source: NetworkSource, answer: Answer<()>);

    /// `VZVirtioFileSystemDevice.share`, of the device with this tag: what the guest finds in it from now on.
    fn set_share(&mut self, tag: String, folders: Folders, answer: Answer<()>);

    /// `VZVirtioSocketDevice connectToPort:completionHandler:`: a stream to a program in the guest.
    fn connect(&mut self, port: u32, answer: Answer<OwnedFd>);

    /// `VZVirtioSocketDevice setSocketListener:forPort:`: every stream that a program in the guest opens to the port,
    /// until [`ignore`](Self::ignore). One that listened there before does no more.
    fn listen(&mut self, port: u32, accept: Accept, answer: Answer<()>);

    /// `VZVirtioSocketDevice removeSocketListenerForPort:`.
    fn ignore(&mut self, port: u32);
}
