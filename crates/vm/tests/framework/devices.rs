//! What is done to the devices of a machine that runs: drives come and go, memory, display, vsock.

use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use block::image::{Format, Image, ImageOptions};
use block::nbd::{Client, ClientOptions, Uri};
use block::qcow2::{self, CreateOptions};
use block::{Disk as _, RawDisk, RawOptions};
use config::{Balloon, Storage, StorageDevice, Vsock, VsockDirection};
use vm::{DiskName, DiskStatus, Event, MacosGuests, Options, Outcome, State, VirtualMachine};
use vz::{Call, DiskId, DriveId, Host, Resource, Signal, Version};

use crate::double::{Double, host};
use crate::{machine, made, running, running_with, states};

fn usb(path: &Path) -> Storage {
    Storage { device: StorageDevice::UsbMassStorage, ..Storage::image(path) }
}

#[test]
fn drives_come_and_go_while_the_machine_runs() {
    let (folder, vm, mac, _events) = running_with(|machine| {
        let config::BootLoader::Linux(linux) = &machine.bootloader else { panic!("another boot loader") };
        let root = linux.kernel.with_file_name("root.img");
        fs::write(&root, [0; 1024]).unwrap();
        machine.storage.push(Storage { read_only: true, ..Storage::image(root) });
    });
    let root = DiskStatus { name: DiskName::Storage(0), size: Some(1024), read_only: true };
    assert_eq!(vm.disks(), std::slice::from_ref(&root));
    let image = folder.path().join("a.img");
    fs::write(&image, [5; 4096]).unwrap();
    let first = vm.attach_disk(&usb(&image)).unwrap();
    let overlaid = Storage { snapshot: true, ..usb(&image) };
    let second = vm.attach_disk(&overlaid).unwrap();
    assert_eq!((first, second), (DiskName::Slot(1), DiskName::Slot(2)));
    let status = |name| DiskStatus { name, size: Some(4096), read_only: false };
    assert_eq!(vm.disks(), [root.clone(), status(first), status(second)]);
    assert!(vm.attach_disk(&usb(&image)).unwrap_err().to_string().contains("no socket is free"));

    vm.detach_disk(first, std::time::Duration::ZERO).unwrap();
    assert!(vm.pull_disk(first).unwrap_err().to_string().contains("no disk `slot1`"));
    assert!(vm.pull_disk(DiskName::Storage(0)).unwrap_err().to_string().contains("of the machine's configuration"));
    assert_eq!(vm.attach_disk(&usb(&image)).unwrap(), DiskName::Slot(1), "the first that is free");
    // One that the framework has lost is gone.
    mac.devices.lock().unwrap().drives.clear();
    assert_eq!(vm.disks(), [root]);
}

#[test]
fn a_drive_that_the_framework_cannot_open_is_served_as_long_as_it_is_there() {
    let (folder, vm, mac, _events) = running();
    let path = folder.path().join("a.qcow2");
    fs::write(&path, []).unwrap();
    let store = RawDisk::open(&path, RawOptions::default()).unwrap();
    qcow2::create(&store, &CreateOptions::new(1 << 20)).unwrap();
    drop(store);
    let name = vm.attach_disk(&usb(&path)).unwrap();
    let uri: Uri = match &mac.devices.lock().unwrap().drives[0].2[..] {
        [Resource::Export(uri)] => uri.parse().unwrap(),
        other => panic!("not served: {other:?}"),
    };
    let disk = Client::connect(&uri, &ClientOptions::default()).unwrap();
    let mut block = [1; 512];
    disk.read(0, &mut [IoSliceMut::new(&mut block)]).unwrap();
    assert_eq!((disk.size(), block, vm.disks()[0].size), (1 << 20, [0; 512], Some(1 << 20)));
    vm.pull_disk(name).unwrap();
    assert!(Client::connect(&uri, &ClientOptions::default()).is_err());
    let options = ImageOptions { format: Some(Format::Qcow2), ..ImageOptions::default() };
    Image::open(&path, &options).expect("its lock is free again");
}

#[test]
fn a_drive_that_fails_is_told_by_its_name() {
    let (folder, vm, mac, events) = running();
    let image = folder.path().join("a.img");
    fs::write(&image, [5; 4096]).unwrap();
    let names = [vm.attach_disk(&usb(&image)).unwrap(), vm.attach_disk(&usb(&image)).unwrap()];
    let ids = [0, 1].map(|number: usize| mac.devices.lock().unwrap().drives[number].0);
    mac.report(Signal::DiskFailed(DiskId::Drive(ids[1]), "the server is gone".into()));
    mac.report(Signal::DiskFailed(DiskId::Drive(DriveId(7)), "there is no such drive".into()));
    mac.report(Signal::GuestStopped);
    assert_eq!(vm.wait(), Some(Outcome::PoweredOff));
    let failed: Vec<_> = events.try_iter().filter(|event| matches!(event, Event::DiskFailed(..))).collect();
    assert_eq!(failed, [Event::DiskFailed(names[1], "the server is gone".into())]);
}

#[test]
fn drives_end_with_the_machine_and_what_is_no_drive_is_refused() {
    let (folder, vm, mac, events) = running();
    let image = folder.path().join("a.img");
    fs::write(&image, [5; 4096]).unwrap();
    let refused = vm.attach_disk(&Storage::image(&image)).unwrap_err().to_string();
    assert!(refused.contains("only USB drives"), "{refused}");
    let missing = vm.attach_disk(&Storage { snapshot: true, ..usb(Path::new("/nowhere/x")) });
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x"));
    vm.attach_disk(&usb(&image)).unwrap();
    assert!(vm.resize_disk(DiskName::Slot(1), 8192).unwrap_err().to_string().contains("cannot resize disks"));
    mac.report(Signal::GuestStopped);
    states(&events, State::Stopped);
    assert_eq!(vm.disks(), []);
    let late = vm.attach_disk(&usb(&image)).unwrap_err().to_string();
    assert!(late.contains("while it is stopped"), "{late}");
}

#[test]
fn memory_and_display_are_changed() {
    let (_folder, vm, mac, _events) = running_with(|machine| machine.balloon = Some(Balloon::default()));
    vm.set_memory(256).unwrap();
    vm.resize_display(1920, 1080).unwrap();
    assert_eq!(mac.devices.lock().unwrap().memory, [256]);
    assert_eq!(mac.devices.lock().unwrap().display, [(1920, 1080)]);
    let (_folder, without, _mac, _events) = running();
    assert!(without.set_memory(256).unwrap_err().to_string().contains("no balloon"));
    let (_folder, machine) = machine();
    let (stopped, _mac) = made(&machine);
    assert!(stopped.set_memory(256).unwrap_err().to_string().contains("while it is stopped"));
}

#[test]
fn programs_reach_vsock_ports_and_listen_on_them() {
    let vsock = Vsock { port: 1, socket: "/nowhere/1".into(), direction: VsockDirection::Listen };
    let (_folder, vm, mac, _events) = running_with(|machine| machine.vsock.push(vsock));
    let mut stream = vm.connect_vsock(7).unwrap();
    stream.write_all(b"echo?").unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"echo?");
    assert!(vm.connect_vsock(8).unwrap_err().to_string().contains("nobody listens"));
    let (tell, accepted) = std::sync::mpsc::channel();
    vm.listen_vsock(9, move |stream| tell.send(stream).unwrap()).unwrap();
    let (mut guest, host) = UnixStream::pair().unwrap();
    assert!(mac.connect_to(9, OwnedFd::from(host)));
    guest.write_all(b"hello").unwrap();
    accepted.recv().unwrap().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_device_that_is_asked_for_while_the_machine_is_being_paused_is_refused() {
    let (_folder, vm, mac, _events) = running();
    std::thread::scope(|scope| {
        let paused = scope.spawn(|| vm.pause());
        assert_eq!(mac.called(), Call::Pause);
        assert!(vm.connect_vsock(7).unwrap_err().to_string().contains("while it is being paused"));
        mac.report(Signal::Done(Call::Pause, Ok(())));
        paused.join().unwrap().unwrap();
    });
    vm.connect_vsock(7).unwrap();
}

#[test]
fn a_mac_is_asked_for_nothing_that_came_later() {
    let (_folder, machine) = machine();
    let ventura = Host { macos: Version::new(13, 6), ..host() };
    let guests = MacosGuests::in_folder(Path::new("/nowhere"));
    let (double, machines) = Double::new();
    let vm = VirtualMachine::on_framework(&machine, &Options::default(), &guests, &ventura, double).unwrap();
    let mac = machines.recv().unwrap();
    let events = vm.subscribe();
    vm.start().unwrap();
    mac.start();
    states(&events, State::Running);
    assert_eq!(vm.disks(), []);
    let refused = vm.resize_display(640, 480).unwrap_err().to_string();
    assert!(refused.contains("came with macOS 14, and this Mac has macOS 13.6"), "{refused}");
    assert!(vm.attach_disk(&usb(Path::new("a.img"))).unwrap_err().to_string().contains("came with macOS 15"));
    let devices = mac.devices.lock().unwrap();
    assert_eq!((devices.asked_for_drives, &devices.display[..]), (0, &[][..]));
}
