//! Every class of the framework that a plan can ask for, and every member that is younger than its class.
//!
//! The versions are those of Apple's documentation (developer.apple.com, Virtualization, "Availability"). The same list
//! for people is `docs/vz-classes.md`; a test keeps the two in step.

use crate::Version;

macro_rules! apis {
    ($($variant:ident $name:literal $major:literal $minor:literal $purpose:literal;)*) => {
        /// A class of the framework, or a member of one that came later than its class.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Api {
            $(#[doc = $purpose] $variant,)*
        }

        impl Api {
            /// All, in the order of the documentation's table.
            pub const ALL: &[Api] = &[$(Api::$variant,)*];

            /// Its name in the framework, as `Class` or `Class.member`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Api::$variant => $name,)* }
            }

            /// The first version of macOS that has it.
            #[must_use]
            pub const fn since(self) -> Version {
                match self { $(Api::$variant => Version::new($major, $minor),)* }
            }

            /// What it is used for, as the end of "it is for ...".
            #[must_use]
            pub const fn purpose(self) -> &'static str {
                match self { $(Api::$variant => $purpose,)* }
            }
        }
    };
}

apis! {
    LinuxBootLoader "VZLinuxBootLoader" 11 0 "direct boot of a Linux kernel";
    EfiBootLoader "VZEFIBootLoader" 13 0 "boot through UEFI firmware";
    EfiVariableStore "VZEFIVariableStore" 13 0 "the firmware's variables in a file";
    MacOsBootLoader "VZMacOSBootLoader" 12 0 "boot of macOS";
    GenericPlatform "VZGenericPlatformConfiguration" 12 0 "the platform of Linux and other guests";
    GenericMachineIdentifier "VZGenericMachineIdentifier" 13 0 "a machine identifier that stays";
    Nested "VZGenericPlatformConfiguration.nestedVirtualizationEnabled" 15 0 "virtual machines inside the guest";
    MacPlatform "VZMacPlatformConfiguration" 12 0 "the platform of macOS guests";
    MacHardwareModel "VZMacHardwareModel" 12 0 "the model of Mac that a guest was installed on";
    MacMachineIdentifier "VZMacMachineIdentifier" 12 0 "the identity of a macOS guest (ECID)";
    MacAuxiliaryStorage "VZMacAuxiliaryStorage" 12 0 "NVRAM and boot loader of a macOS guest";
    VirtioBlock "VZVirtioBlockDeviceConfiguration" 11 0 "virtio disks";
    BlockIdentifier "VZVirtioBlockDeviceConfiguration.blockDeviceIdentifier" 12 3 "serial numbers of virtio disks";
    Nvme "VZNVMExpressControllerDeviceConfiguration" 14 0 "NVMe disks";
    UsbMassStorage "VZUSBMassStorageDeviceConfiguration" 13 0 "USB drives";
    UsbIdentifier "VZUSBMassStorageDeviceConfiguration.uuid" 15 0 "USB drives that a saved state knows again";
    XhciController "VZXHCIControllerConfiguration" 15 0 "a USB controller whose drives can be unplugged";
    UsbHotPlug "VZUSBController" 15 0 "USB drives that come and go while the machine runs";
    DiskImage "VZDiskImageStorageDeviceAttachment" 11 0 "disks in raw image files";
    DiskImageModes "VZDiskImageStorageDeviceAttachment.cachingMode" 12 0 "a choice of caching and of what a flush does";
    DiskBlockDevice "VZDiskBlockDeviceStorageDeviceAttachment" 14 0 "disks that are block devices of the host";
    NetworkBlockDevice "VZNetworkBlockDeviceStorageDeviceAttachment" 14 0
        "disks over NBD (our own server behind it brings qcow2, overlays and limits)";
    VirtioNetwork "VZVirtioNetworkDeviceConfiguration" 11 0 "virtio network cards";
    CardPlug "VZNetworkDevice" 12 0 "cards that are plugged in again when their network is back";
    MacAddress "VZMACAddress" 11 0 "hardware addresses";
    NatAttachment "VZNATNetworkDeviceAttachment" 11 0 "networks behind the host's address";
    BridgedAttachment "VZBridgedNetworkDeviceAttachment" 11 0 "networks on an interface of the host";
    BridgedInterface "VZBridgedNetworkInterface" 11 0 "the interfaces that can be bridged";
    FileHandleNetwork "VZFileHandleNetworkDeviceAttachment" 11 0
        "networks over a datagram socket, among them our own user-mode network";
    Mtu "VZFileHandleNetworkDeviceAttachment.maximumTransmissionUnit" 13 0 "packets of more than 1500 bytes";
    VmnetAttachment "VZVmnetNetworkDeviceAttachment" 26 0 "networks that macOS makes for a card";
    SerialPort "VZVirtioConsoleDeviceSerialPortConfiguration" 11 0 "virtio consoles";
    ConsoleDevice "VZVirtioConsoleDeviceConfiguration" 13 0 "virtio ports with names";
    ConsolePort "VZVirtioConsolePortConfiguration" 13 0 "a virtio port with a name";
    FileHandleSerial "VZFileHandleSerialPortAttachment" 11 0 "consoles on a terminal, a pty or a socket";
    FileSerial "VZFileSerialPortAttachment" 11 0 "consoles that write into a file";
    SpiceAgent "VZSpiceAgentPortAttachment" 13 0 "a clipboard shared with the guest";
    SocketDevice "VZVirtioSocketDeviceConfiguration" 11 0 "vsock";
    SocketConnect "VZVirtioSocketDevice" 11 0 "vsock ports of the guest";
    SocketListener "VZVirtioSocketListener" 11 0 "vsock ports on which the host listens";
    Entropy "VZVirtioEntropyDeviceConfiguration" 11 0 "random numbers for the guest";
    Balloon "VZVirtioTraditionalMemoryBalloonDeviceConfiguration" 11 0 "memory that is taken from the guest";
    BalloonTarget "VZVirtioTraditionalMemoryBalloonDevice" 11 0 "how much of it, while the machine runs";
    FileSystem "VZVirtioFileSystemDeviceConfiguration" 12 0 "folders in the guest";
    ShareChange "VZVirtioFileSystemDevice" 12 0 "other folders in it while the machine runs";
    AutomountTag "VZVirtioFileSystemDeviceConfiguration.macOSGuestAutomountTag" 13 0
        "folders that a macOS guest mounts on its own";
    SharedDirectory "VZSharedDirectory" 12 0 "a folder of the host";
    SingleShare "VZSingleDirectoryShare" 12 0 "one folder as a file system";
    MultipleShare "VZMultipleDirectoryShare" 12 0 "several folders by name in a file system";
    RosettaShare "VZLinuxRosettaDirectoryShare" 13 0 "x86-64 programs in arm64 Linux guests";
    RosettaSocket "VZLinuxRosettaUnixSocketCachingOptions" 14 0
        "a cache of translations behind a unix socket of the guest";
    RosettaAbstractSocket "VZLinuxRosettaAbstractSocketCachingOptions" 14 0
        "a cache of translations behind an abstract socket of the guest";
    MacGraphics "VZMacGraphicsDeviceConfiguration" 12 0 "the display of a macOS guest";
    MacDisplay "VZMacGraphicsDisplayConfiguration" 12 0 "size and pixel density of a macOS guest's display";
    VirtioGraphics "VZVirtioGraphicsDeviceConfiguration" 13 0 "virtio displays";
    Scanout "VZVirtioGraphicsScanoutConfiguration" 13 0 "the size of a virtio display";
    Resize "VZGraphicsDisplay" 14 0 "a display whose size is changed while the machine runs";
    View "VZVirtualMachineView" 12 0 "the window";
    Reconfigures "VZVirtualMachineView.automaticallyReconfiguresDisplay" 14 0 "a display that follows its window";
    UsbKeyboard "VZUSBKeyboardConfiguration" 12 0 "USB keyboards";
    MacKeyboard "VZMacKeyboardConfiguration" 14 0 "a Mac's keyboard";
    UsbPointing "VZUSBScreenCoordinatePointingDeviceConfiguration" 12 0 "USB pointers with screen coordinates";
    MacTrackpad "VZMacTrackpadConfiguration" 13 0 "a Mac's trackpad";
    Sound "VZVirtioSoundDeviceConfiguration" 12 0 "virtio sound";
    SoundOutput "VZVirtioSoundDeviceOutputStreamConfiguration" 12 0 "what the guest plays";
    SoundSink "VZHostAudioOutputStreamSink" 12 0 "the host's loudspeaker";
    SoundInput "VZVirtioSoundDeviceInputStreamConfiguration" 12 0 "what the guest records";
    SoundSource "VZHostAudioInputStreamSource" 12 0 "the host's microphone";
    Stop "VZVirtualMachine.stopWithCompletionHandler" 12 0 "a machine that is stopped hard";
    SaveState "VZVirtualMachine.saveMachineStateToURL" 14 0 "a machine's state in a file, and back";
    StartOptions "VZMacOSVirtualMachineStartOptions" 13 0 "a start into macOS Recovery";
    Provisioning "VZMacGuestProvisioningOptions" 27 0 "an account that a new macOS guest makes by itself";
    RestoreImage "VZMacOSRestoreImage" 12 0 "macOS to be installed, the latest or from a file";
    InstallRequirements "VZMacOSConfigurationRequirements" 12 0 "what a macOS guest needs at least";
    Installer "VZMacOSInstaller" 12 0 "installation of macOS, with progress and cancel";
}
