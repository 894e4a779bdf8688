//! A plan's objects, put together in the framework's configuration.

use std::path::Path;

use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2::{AnyThread, ClassType, Message};
use objc2_foundation::{NSArray, NSString};
use objc2_virtualization as vz;

use super::export::Exports;
use super::files::{data, file_url};
use super::vmnet::Networks;
use super::{devices, disks, error, shares};
use crate::{BootLoader, Error, Keyboard, Object, Plan, Platform, Pointing, Resource, Resources};

/// The lists of a configuration, which are set at once when all are known.
#[derive(Default)]
struct Lists {
    storage: Vec<Retained<vz::VZStorageDeviceConfiguration>>,
    usb: Vec<Retained<vz::VZUSBControllerConfiguration>>,
    network: Vec<Retained<vz::VZNetworkDeviceConfiguration>>,
    serial: Vec<Retained<vz::VZSerialPortConfiguration>>,
    console: Vec<Retained<vz::VZConsoleDeviceConfiguration>>,
    share: Vec<Retained<vz::VZDirectorySharingDeviceConfiguration>>,
    graphics: Vec<Retained<vz::VZGraphicsDeviceConfiguration>>,
    keyboard: Vec<Retained<vz::VZKeyboardConfiguration>>,
    pointing: Vec<Retained<vz::VZPointingDeviceConfiguration>>,
    sound: Vec<Retained<vz::VZAudioDeviceConfiguration>>,
    exports: Exports,
    networks: Networks,
}

/// What a plan has become.
pub(super) struct Configured {
    pub(super) configuration: Retained<vz::VZVirtualMachineConfiguration>,
    /// Its disks over NBD.
    pub(super) exports: Exports,
    /// Its networks that macOS makes.
    pub(super) networks: Networks,
}

/// Makes everything that the plan lists, and has the framework validate it.
pub(super) fn configuration(plan: &Plan, resources: Vec<Resource>) -> Result<Configured, Error> {
    let mut resources = Resources::new(resources);
    let mut lists = Lists::default();
    // SAFETY: plain initializers and setters, with arguments of the declared types.
    let configuration = unsafe {
        let configuration = vz::VZVirtualMachineConfiguration::new();
        configuration.setCPUCount(plan.cpus as usize);
        configuration.setMemorySize(plan.memory);
        configuration
    };
    for object in &plan.objects {
        add(object, &configuration, &mut lists, &mut resources)?;
    }
    lists.set(&configuration);
    // SAFETY: a plain method.
    let valid = unsafe { configuration.validateWithError() };
    valid.map_err(error::of(vz::VZVirtualMachineConfiguration::NAME))?;
    Ok(Configured { configuration, exports: lists.exports, networks: lists.networks })
}

fn add(
    object: &Object,
    configuration: &vz::VZVirtualMachineConfiguration,
    lists: &mut Lists,
    resources: &mut Resources,
) -> Result<(), Error> {
    // SAFETY: plain initializers and setters, with arguments of the declared types; the plan holds what this macOS has.
    unsafe {
        match object {
            Object::BootLoader(loader) => configuration.setBootLoader(Some(&*boot_loader(loader)?)),
            Object::Platform(described) => configuration.setPlatform(&*platform(described)?),
            Object::Disk(disk) => lists.storage.push(disks::storage(disk, resources, &mut lists.exports)?),
            Object::XhciController(drives) => {
                let drive = |disk| disks::drive(disk, resources, &mut lists.exports);
                let drives: Result<Vec<_>, _> = drives.iter().map(drive).collect();
                let drives: Vec<_> = drives?.into_iter().map(ProtocolObject::from_retained).collect();
                let controller = vz::VZXHCIControllerConfiguration::new();
                controller.setUsbDevices(&NSArray::from_retained_slice(&drives));
                lists.usb.push(Retained::into_super(controller));
            }
            Object::Network(card) => {
                let place = lists.network.len();
                let card = devices::network(place, card, resources, &mut lists.networks)?;
                lists.network.push(Retained::into_super(card));
            }
            Object::SerialPort(port) => {
                let serial = vz::VZVirtioConsoleDeviceSerialPortConfiguration::new();
                serial.setAttachment(Some(&*devices::port(port, resources)?));
                lists.serial.push(Retained::into_super(serial));
            }
            Object::ConsoleDevice(ports) => {
                lists.console.push(Retained::into_super(devices::console_device(ports, resources)?));
            }
            Object::SpiceAgent => lists.console.push(Retained::into_super(devices::spice_agent())),
            Object::SocketDevice => {
                let socket = Retained::into_super(vz::VZVirtioSocketDeviceConfiguration::new());
                configuration.setSocketDevices(&NSArray::from_retained_slice(&[socket]));
            }
            Object::Entropy => {
                let entropy = Retained::into_super(vz::VZVirtioEntropyDeviceConfiguration::new());
                configuration.setEntropyDevices(&NSArray::from_retained_slice(&[entropy]));
            }
            Object::Balloon => {
                let balloon = Retained::into_super(vz::VZVirtioTraditionalMemoryBalloonDeviceConfiguration::new());
                configuration.setMemoryBalloonDevices(&NSArray::from_retained_slice(&[balloon]));
            }
            Object::Share { tag, share } => lists.share.push(Retained::into_super(shares::share(tag, share)?)),
            Object::MacDisplay { width, height, pixels_per_inch, .. } => {
                let display = devices::mac_display(*width, *height, *pixels_per_inch);
                lists.graphics.push(Retained::into_super(display));
            }
            Object::VirtioDisplay { width, height, .. } => {
                lists.graphics.push(Retained::into_super(devices::virtio_display(*width, *height)));
            }
            Object::Keyboard(Keyboard::Usb) => {
                lists.keyboard.push(Retained::into_super(vz::VZUSBKeyboardConfiguration::new()));
            }
            Object::Keyboard(Keyboard::Mac) => {
                lists.keyboard.push(Retained::into_super(vz::VZMacKeyboardConfiguration::new()));
            }
            Object::Pointing(Pointing::Usb) => {
                let pointing = vz::VZUSBScreenCoordinatePointingDeviceConfiguration::new();
                lists.pointing.push(Retained::into_super(pointing));
            }
            Object::Pointing(Pointing::MacTrackpad) => {
                lists.pointing.push(Retained::into_super(vz::VZMacTrackpadConfiguration::new()));
            }
            Object::Sound { input, output } => {
                lists.sound.push(Retained::into_super(devices::sound(*input, *output)));
            }
        }
    }
    Ok(())
}

impl Lists {
    /// Sets those that are not empty: a macOS that lacks the class lacks the setter, too.
    fn set(&self, configuration: &vz::VZVirtualMachineConfiguration) {
        fn some<T: Message>(list: &[Retained<T>], set: impl FnOnce(&NSArray<T>)) {
            if !list.is_empty() {
                set(&NSArray::from_retained_slice(list));
            }
        }
        // SAFETY: plain setters, with arguments of the declared types.
        unsafe {
            some(&self.storage, |list| configuration.setStorageDevices(list));
            some(&self.usb, |list| configuration.setUsbControllers(list));
            some(&self.network, |list| configuration.setNetworkDevices(list));
            some(&self.serial, |list| configuration.setSerialPorts(list));
            some(&self.console, |list| configuration.setConsoleDevices(list));
            some(&self.share, |list| configuration.setDirectorySharingDevices(list));
            some(&self.graphics, |list| configuration.setGraphicsDevices(list));
            some(&self.keyboard, |list| configuration.setKeyboards(list));
            some(&self.pointing, |list| configuration.setPointingDevices(list));
            some(&self.sound, |list| configuration.setAudioDevices(list));
        }
    }
}

fn boot_loader(described: &BootLoader) -> Result<Retained<vz::VZBootLoader>, Error> {
    // SAFETY: plain initializers and setters, with arguments of the declared types.
    unsafe {
        Ok(match described {
            BootLoader::Linux { kernel, initrd, cmdline } => {
                let class = vz::VZLinuxBootLoader::alloc();
                let loader = vz::VZLinuxBootLoader::initWithKernelURL(class, &file_url(kernel));
                loader.setCommandLine(&NSString::from_str(cmdline));
                if let Some(initrd) = initrd {
                    loader.setInitialRamdiskURL(Some(&file_url(initrd)));
                }
                Retained::into_super(loader)
            }
            BootLoader::Efi { variable_store, create } => {
                type Store = vz::VZEFIVariableStore;
                let url = file_url(variable_store);
                let store = if *create && !variable_store.exists() {
                    let options = vz::VZEFIVariableStoreInitializationOptions::empty();
                    let made = Store::initCreatingVariableStoreAtURL_options_error(Store::alloc(), &url, options);
                    made.map_err(error::of(Store::NAME))?
                } else {
                    Store::initWithURL(Store::alloc(), &url)
                };
                let loader = vz::VZEFIBootLoader::new();
                loader.setVariableStore(Some(&store));
                Retained::into_super(loader)
            }
            BootLoader::MacOs => Retained::into_super(vz::VZMacOSBootLoader::new()),
        })
    }
}

fn platform(described: &Platform) -> Result<Retained<vz::VZPlatformConfiguration>, Error> {
    match described {
        Platform::Generic { machine_identifier, nested } => {
            // SAFETY: plain initializers and setters; the younger members are set only where the plan has them.
            unsafe {
                let platform = vz::VZGenericPlatformConfiguration::new();
                if let Some(path) = machine_identifier {
                    type Identifier = vz::VZGenericMachineIdentifier;
                    let identifier = Identifier::initWithDataRepresentation(Identifier::alloc(), &*data(path)?);
                    platform.setMachineIdentifier(&*identifier.ok_or_else(|| foreign(path, Identifier::NAME))?);
                }
                if *nested {
                    platform.setNestedVirtualizationEnabled(true);
                }
                Ok(Retained::into_super(platform))
            }
        }
        Platform::Mac { machine_identifier, hardware_model, auxiliary_storage } => {
            type Identifier = vz::VZMacMachineIdentifier;
            type Model = vz::VZMacHardwareModel;
            type Storage = vz::VZMacAuxiliaryStorage;
            // SAFETY: plain initializers and setters, with arguments of the declared types.
            unsafe {
                let identifier =
                    Identifier::initWithDataRepresentation(Identifier::alloc(), &*data(machine_identifier)?);
                let identifier = identifier.ok_or_else(|| foreign(machine_identifier, Identifier::NAME))?;
                let model = Model::initWithDataRepresentation(Model::alloc(), &*data(hardware_model)?);
                let model = model.ok_or_else(|| foreign(hardware_model, Model::NAME))?;
                if !model.isSupported() {
                    let what = "this Mac and its macOS cannot run the model that the guest was installed on";
                    return Err(Error::new(Model::NAME, what));
                }
                // The other initializer, `initWithURL:`, came in macOS 13.
                #[allow(deprecated)]
                let storage = Storage::initWithContentsOfURL(Storage::alloc(), &file_url(auxiliary_storage));
                let platform = vz::VZMacPlatformConfiguration::new();
                platform.setMachineIdentifier(&identifier);
                platform.setHardwareModel(&model);
                platform.setAuxiliaryStorage(Some(&storage));
                Ok(Retained::into_super(platform))
            }
        }
    }
}

fn foreign(path: &Path, class: &str) -> Error {
    Error::new(path.display().to_string(), format!("this is no {class}"))
}
