//! What a plan is made of: the framework's objects, one type for each kind, and what of ours runs beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Caching, MacAddress, RosettaCache, SharedDirectory, VsockDirection};

use super::Vmnet;
use crate::DriveId;

/// An object that becomes a property of the machine's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// `bootLoader`.
    BootLoader(BootLoader),
    /// `platform`.
    Platform(Platform),
    /// One of `storageDevices`.
    Disk(Disk),
    /// One of `usbControllers`, with its drives.
    XhciController(Vec<Disk>),
    /// One of `networkDevices`.
    Network(Network),
    /// One of `serialPorts`: a virtio console.
    SerialPort(Port),
    /// One of `consoleDevices`: virtio ports with their names.
    ConsoleDevice(Vec<(String, Port)>),
    /// One of `consoleDevices`: the port of the SPICE agent, which shares the clipboard.
    SpiceAgent,
    /// `socketDevices`: vsock. The ports are the helpers'.
    SocketDevice,
    /// `entropyDevices`.
    Entropy,
    /// `memoryBalloonDevices`.
    Balloon,
    /// One of `directorySharingDevices`.
    Share {
        /// The tag by which the guest mounts it.
        tag: String,
        /// What is in it.
        share: Share,
    },
    /// `graphicsDevices`: a Mac's display.
    MacDisplay {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// In pixels.
        pixels_per_inch: u32,
        /// The view makes it follow the window.
        resizable: bool,
    },
    /// `graphicsDevices`: a virtio display.
    VirtioDisplay {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// The view makes it follow the window.
        resizable: bool,
    },
    /// One of `keyboards`.
    Keyboard(Keyboard),
    /// One of `pointingDevices`.
    Pointing(Pointing),
    /// One of `audioDevices`.
    Sound {
        /// It has a stream from the microphone.
        input: bool,
        /// It has a stream to the loudspeaker.
        output: bool,
    },
}

/// What starts the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootLoader {
    /// `VZLinuxBootLoader`.
    Linux {
        /// The kernel. The framework takes a plain Image only: packed ones are unpacked before.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The command line.
        cmdline: String,
    },
    /// `VZEFIBootLoader` with its `VZEFIVariableStore`.
    Efi {
        /// The file of the variable store.
        variable_store: PathBuf,
        /// Makes it when it is not there.
        create: bool,
    },
    /// `VZMacOSBootLoader`.
    MacOs,
}

/// What the machine says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platform {
    /// `VZGenericPlatformConfiguration`.
    Generic {
        /// File with the machine identifier; without it the framework makes one for this run.
        machine_identifier: Option<PathBuf>,
        /// The guest can virtualize.
        nested: bool,
    },
    /// `VZMacPlatformConfiguration`.
    Mac {
        /// File with the identity.
        machine_identifier: PathBuf,
        /// File with the hardware model.
        hardware_model: PathBuf,
        /// The auxiliary storage.
        auxiliary_storage: PathBuf,
    },
}

/// A disk: the device and what its blocks are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its place in the configuration's `storage`; `None` for one that is plugged in later.
    pub place: Option<usize>,
    /// The device that the guest sees.
    pub device: DiskDevice,
    /// Where the blocks are.
    pub source: DiskSource,
    /// The guest cannot write.
    pub read_only: bool,
}

/// The device of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskDevice {
    /// `VZVirtioBlockDeviceConfiguration`.
    VirtioBlock {
        /// `blockDeviceIdentifier`.
        identifier: Option<String>,
    },
    /// `VZNVMExpressControllerDeviceConfiguration`.
    Nvme,
    /// `VZUSBMassStorageDeviceConfiguration`.
    UsbMassStorage {
        /// `uuid`, by which a saved state knows the drive again; `None`: the framework's own.
        id: Option<DriveId>,
    },
}

/// The attachment of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    /// `VZDiskImageStorageDeviceAttachment`.
    Image {
        /// The file.
        path: PathBuf,
        /// Caching and what a flush does; `None` on macOS 11, where there is no choice.
        modes: Option<(Caching, ImageSync)>,
    },
    /// `VZDiskBlockDeviceStorageDeviceAttachment`.
    BlockDevice {
        /// The device node.
        path: PathBuf,
        /// What a flush does.
        sync: BlockSync,
    },
    /// `VZNetworkBlockDeviceStorageDeviceAttachment` at a server of the user's.
    Nbd {
        /// The export.
        uri: String,
        /// In milliseconds; `None`: the framework's own.
        timeout: Option<u64>,
        /// What a flush does.
        sync: BlockSync,
    },
    /// The same at our own server, the helper with this number.
    Served {
        /// The place in [`Plan::helpers`](super::Plan::helpers).
        helper: usize,
        /// What a flush does.
        sync: BlockSync,
    },
}

/// `VZDiskImageSynchronizationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSync {
    /// To the medium.
    Full,
    /// Out of the page cache.
    Fsync,
    /// Nowhere.
    None,
}

/// `VZDiskSynchronizationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSync {
    /// Flushes and barriers are passed on.
    Full,
    /// They are not.
    None,
}

/// `VZVirtioNetworkDeviceConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The attachment.
    pub source: NetworkSource,
    /// The hardware address; `None`: a random one, locally administered.
    pub mac: Option<MacAddress>,
}

/// What a card is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkSource {
    /// `VZNATNetworkDeviceAttachment`.
    Nat,
    /// `VZBridgedNetworkDeviceAttachment`.
    Bridged {
        /// The interface's BSD name.
        interface: String,
    },
    /// `VZFileHandleNetworkDeviceAttachment` on a datagram socket that a helper has ready.
    Helper {
        /// The place in [`Plan::helpers`](super::Plan::helpers).
        helper: usize,
        /// The largest packet, in bytes.
        mtu: Option<u16>,
    },
    /// `VZVmnetNetworkDeviceAttachment`.
    Vmnet(Vmnet),
}

/// The attachment of a console or port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// `VZFileHandleSerialPortAttachment` on standard input and output.
    Stdio,
    /// The same on a pty or socket that a helper makes.
    Helper(usize),
    /// `VZFileSerialPortAttachment`.
    File {
        /// The file.
        path: PathBuf,
        /// Adds to it.
        append: bool,
    },
}

/// What a file system shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    /// Folders of the host, which can be others while the machine runs.
    Folders(Folders),
    /// `VZLinuxRosettaDirectoryShare`, which stays as long as the machine runs.
    Rosetta {
        /// Is installed first.
        install: bool,
        /// `options`: where the guest's daemon keeps translations.
        cache: Option<RosettaCache>,
    },
}

/// Folders of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folders {
    /// `VZSingleDirectoryShare`.
    Single(SharedDirectory),
    /// `VZMultipleDirectoryShare`: by name, or none.
    Multiple(BTreeMap<String, SharedDirectory>),
}

/// Keyboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyboard {
    /// `VZUSBKeyboardConfiguration`.
    Usb,
    /// `VZMacKeyboardConfiguration`.
    Mac,
}

/// Pointing devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointing {
    /// `VZUSBScreenCoordinatePointingDeviceConfiguration`.
    Usb,
    /// `VZMacTrackpadConfiguration`.
    MacTrackpad,
}

/// What of ours has to run before and beside the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Helper {
    /// Our NBD server on a unix socket, for what the framework cannot open or do itself.
    NbdServer {
        /// The disk, by its place in the configuration's `storage`.
        storage: usize,
    },
    /// Our user-mode network.
    UserNat {
        /// The card, by its place in the configuration's `network`.
        network: usize,
    },
    /// Our switch between machines of one user.
    Switch {
        /// The network's name.
        name: String,
    },
    /// A datagram socket, connected to this one.
    DatagramSocket {
        /// The socket of the network program.
        path: PathBuf,
        /// Says hello as vfkit does.
        vfkit_magic: bool,
    },
    /// A stream of frames, from and into datagrams.
    StreamSocket {
        /// The socket of the network program.
        path: PathBuf,
        /// It comes to us.
        listen: bool,
    },
    /// A socket that the process was started with: as it is when it is of datagrams and not recorded.
    Descriptor {
        /// The descriptor.
        fd: u32,
    },
    /// A new pseudo-terminal.
    Pty,
    /// A listening unix socket that takes one client at a time.
    ConsoleSocket {
        /// The socket.
        path: PathBuf,
    },
    /// A vsock port that is bound to a unix socket.
    VsockPort {
        /// The port.
        port: u32,
        /// The unix socket.
        socket: PathBuf,
        /// Who connects.
        direction: VsockDirection,
    },
}
