//! Devices of a machine that runs.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use block2::RcBlock;
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_core_foundation::CGSize;
use objc2_foundation::NSError;
use objc2_virtualization::{self as vz, VZUSBDevice};

use super::error::{failure, reason};
use super::export::watch;
use super::machine::{Inner, Machine};
use super::{devices, disks, shares, vsock};
use crate::{Accept, Answer, Devices, DiskId, Drive, DriveId, Folders, NetworkSource, Resource, Resources};

impl Devices for Machine {
    fn attach_drive(&mut self, drive: Drive, resources: Vec<Resource>, answer: Answer<DriveId>) {
        self.inner.run(move |inner| {
            let mut exports = Vec::new();
            let drive = match disks::drive(&drive.disk, &mut Resources::new(resources), &mut exports) {
                Ok(drive) => drive,
                Err(error) => return answer(Err(error.to_string())),
            };
            let Some(controller) = controller(inner) else { return answer(Err(none("USB controller"))) };
            // SAFETY: on the machine's queue, with arguments of the declared types.
            unsafe {
                let class = vz::VZUSBMassStorageDevice::alloc();
                let device = vz::VZUSBMassStorageDevice::initWithConfiguration(class, &drive);
                let device = ProtocolObject::from_retained(device);
                let id = id(&device);
                let watched = exports.iter().map(|(_, export)| (id, watch(DiskId::Drive(id), export, &inner.report)));
                inner.drives.borrow_mut().extend(watched);
                let done = once(move |error| answer(failure(error).map(|()| id)));
                controller.attachDevice_completionHandler(&device, &done);
            }
        });
    }

    fn drives(&mut self, answer: Answer<Vec<DriveId>>) {
        self.inner.run(move |inner| {
            // SAFETY: on the machine's queue.
            let devices = controller(inner).map(|controller| unsafe { controller.usbDevices() });
            answer(Ok(devices.iter().flatten().map(|device| id(&device)).collect()));
        });
    }

    fn detach_drive(&mut self, drive: DriveId, answer: Answer<()>) {
        self.inner.run(move |inner| {
            let Some(controller) = controller(inner) else { return answer(Err(none("USB controller"))) };
            // SAFETY: on the machine's queue, with arguments of the declared types.
            unsafe {
                let Some(device) = controller.usbDevices().iter().find(|device| id(device) == drive) else {
                    return answer(Err(none("drive of this number")));
                };
                let done = once(move |error| answer(failure(error)));
                controller.detachDevice_completionHandler(&device, &done);
            }
        });
    }

    fn set_memory_target(&mut self, mib: u64, answer: Answer<()>) {
        self.inner.run(move |inner| {
            // SAFETY: on the machine's queue.
            let balloon = unsafe { inner.machine.memoryBalloonDevices() }.firstObject();
            type Balloon = vz::VZVirtioTraditionalMemoryBalloonDevice;
            let Some(balloon) = balloon.and_then(|balloon| balloon.downcast::<Balloon>().ok()) else {
                return answer(Err(none("balloon")));
            };
            // SAFETY: on the machine's queue. The framework holds the number within its bounds.
            unsafe { balloon.setTargetVirtualMachineMemorySize(mib << 20) };
            answer(Ok(()));
        });
    }

    fn resize_display(&mut self, width: u32, height: u32, answer: Answer<()>) {
        self.inner.run(move |inner| {
            // SAFETY: on the machine's queue.
            let device = unsafe { inner.machine.graphicsDevices() }.firstObject();
            // SAFETY: as above.
            let display = device.and_then(|device| unsafe { device.displays() }.firstObject());
            let Some(display) = display else { return answer(Err(none("display"))) };
            let size = CGSize { width: f64::from(width), height: f64::from(height) };
            // SAFETY: as above.
            let resized = unsafe { display.reconfigureWithSizeInPixels_error(size) };
            answer(resized.map_err(|error| reason(&error)));
        });
    }

    fn plug(&mut self, card: usize, source: NetworkSource, answer: Answer<()>) {
        self.inner.run(move |inner| {
            // SAFETY: on the machine's queue.
            let Some(device) = unsafe { inner.machine.networkDevices() }.iter().nth(card) else {
                return answer(Err(none("network card at this place")));
            };
            // SAFETY: as above.
            if unsafe { device.attachment() }.is_some() {
                return answer(Ok(()));
            }
            let (mut nothing, mut networks) = (Resources::new(Vec::new()), inner.networks.borrow_mut());
            let plugged = devices::plug(card, &source, &mut nothing, &mut networks).map(|attachment| {
                // SAFETY: as above, with an argument of the declared type.
                unsafe { device.setAttachment(Some(&attachment)) };
            });
            answer(plugged.map_err(|error| error.to_string()));
        });
    }

    fn set_share(&mut self, tag: String, folders: Folders, answer: Answer<()>) {
        self.inner.run(move |inner| {
            let Some(device) = file_system(inner, &tag) else { return answer(Err(none("share of this tag"))) };
            let set = shares::folders(&folders).map(|folders| {
                // SAFETY: on the machine's queue. Only Rosetta would raise an exception, and that is none of `Folders`.
                unsafe { device.setShare(Some(&folders)) };
            });
            answer(set.map_err(|error| error.to_string()));
        });
    }

    fn connect(&mut self, port: u32, answer: Answer<OwnedFd>) {
        self.inner.run(move |inner| {
            let Some(socket) = socket(inner) else { return answer(Err(none("vsock"))) };
            let answer = Cell::new(Some(answer));
            let done = RcBlock::new(move |connection: *mut vz::VZVirtioSocketConnection, error: *mut NSError| {
                // SAFETY: the framework gives null or a connection that lives as long as the handler runs.
                let connection = unsafe { connection.as_ref() };
                if let Some(answer) = answer.take() {
                    answer(failure(error).and_then(|()| vsock::stream(connection.ok_or_else(|| none("connection"))?)));
                }
            });
            // SAFETY: on the machine's queue, with a handler of the declared type.
            unsafe { socket.connectToPort_completionHandler(port, &done) };
        });
    }

    fn listen(&mut self, port: u32, accept: Accept, answer: Answer<()>) {
        self.inner.run(move |inner| {
            let Some(socket) = socket(inner) else { return answer(Err(none("vsock"))) };
            let listener = vsock::Listener::new(accept);
            // SAFETY: on the machine's queue. The listener is kept as long as it is set.
            unsafe { socket.setSocketListener_forPort(listener.as_framework(), port) };
            inner.listeners.borrow_mut().insert(port, listener);
            answer(Ok(()));
        });
    }

    fn ignore(&mut self, port: u32) {
        self.inner.run(move |inner| {
            if let Some(socket) = socket(inner) {
                // SAFETY: on the machine's queue.
                unsafe { socket.removeSocketListenerForPort(port) };
            }
            inner.listeners.borrow_mut().remove(&port);
        });
    }
}

fn none(what: &str) -> String {
    format!("the machine has no {what}")
}

fn id(device: &ProtocolObject<dyn VZUSBDevice>) -> DriveId {
    // SAFETY: a plain getter, on the machine's queue, where all callers are.
    DriveId(u128::from_be_bytes(unsafe { device.uuid() }.as_bytes()))
}

fn controller(inner: &Inner) -> Option<Retained<vz::VZUSBController>> {
    // SAFETY: on the machine's queue, where all callers are.
    unsafe { inner.machine.usbControllers() }.firstObject()
}

fn file_system(inner: &Inner, tag: &str) -> Option<Retained<vz::VZVirtioFileSystemDevice>> {
    // SAFETY: on the machine's queue, where all callers are.
    let devices = unsafe { inner.machine.directorySharingDevices() };
    let mut devices = devices.iter().filter_map(|device| device.downcast::<vz::VZVirtioFileSystemDevice>().ok());
    // SAFETY: as above.
    devices.find(|device| unsafe { device.tag() }.to_string() == tag)
}

fn socket(inner: &Inner) -> Option<Retained<vz::VZVirtioSocketDevice>> {
    // SAFETY: on the machine's queue, where all callers are.
    let device = unsafe { inner.machine.socketDevices() }.firstObject()?;
    device.downcast().ok()
}

/// A completion handler, which the framework calls once.
fn once(handler: impl FnOnce(*mut NSError) + 'static) -> RcBlock<dyn Fn(*mut NSError)> {
    let handler = Cell::new(Some(handler));
    RcBlock::new(move |error| {
        if let Some(handler) = handler.take() {
            handler(error);
        }
    })
}
