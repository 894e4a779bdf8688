//! Disks, consoles and ports of ours beside a machine of the framework.

use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use block::Disk as _;
use block::nbd::{Client, ClientOptions, Uri};
use config::{Serial, SerialAttachment, Storage, Vsock, VsockDirection};
use vz::{BootLoader, Object, Port, Resource};

use crate::{machine, made};

#[test]
fn a_disk_that_the_framework_cannot_limit_is_served() {
    let (folder, mut machine) = machine();
    let path = folder.path().join("disk.img");
    fs::write(&path, [7; 4096]).unwrap();
    machine.storage.push(Storage { iops: Some(1000), snapshot: true, ..Storage::image(&path) });
    let (vm, mac) = made(&machine);
    let [Resource::Export(uri)] = &mac.resources[..] else { panic!("{:?}", mac.resources) };
    let disk = Client::connect(&uri.parse::<Uri>().unwrap(), &ClientOptions::default()).unwrap();
    let mut block = [0; 512];
    disk.read(512, &mut [IoSliceMut::new(&mut block)]).unwrap();
    assert_eq!((disk.size(), block), (4096, [7; 512]));
    drop((disk, vm));
    assert!(Client::connect(&uri.parse::<Uri>().unwrap(), &ClientOptions::default()).is_err());
}

#[test]
fn consoles_are_those_of_the_board_and_the_terminals_goes_through_us() {
    let (folder, mut machine) = machine();
    let socket = folder.path().join("console.sock");
    let log = folder.path().join("log");
    let port = SerialAttachment::Socket { path: socket.clone() };
    machine.serial.push(Serial { name: Some("agent".into()), ..Serial::console(port) });
    machine.serial.push(Serial::console(SerialAttachment::File { path: log.clone(), append: false }));
    machine.serial.push(Serial::console(SerialAttachment::Stdio));
    let (vm, mut mac) = made(&machine);
    let helper_of = |object: &Object| match object {
        Object::SerialPort(Port::Helper(helper)) => Some(*helper),
        _ => None,
    };
    let terminal = mac.plan.objects.iter().find_map(helper_of).expect("the terminal's console is a helper's");
    let Resource::Stream(guest) = std::mem::replace(&mut mac.resources[terminal], Resource::Later) else {
        panic!("no stream")
    };
    let mut guest = UnixStream::from(guest);
    assert_eq!((vm.consoles()[0].path(), vm.consoles()[1].path()), (Some(&*socket), Some(&*log)));
    let mut stream = vm.consoles()[2].take_stream().unwrap();
    // More than the pipe holds, so that the guest is held up and goes on.
    let said = vec![b'x'; 200_000];
    let writer = std::thread::spawn({
        let mut guest = guest.try_clone().unwrap();
        let said = said.clone();
        move || guest.write_all(&said).unwrap()
    });
    let mut heard = vec![0; said.len()];
    stream.read_exact(&mut heard).unwrap();
    writer.join().unwrap();
    assert!(heard == said);
    stream.write_all(b"ls\n").unwrap();
    let mut typed = [0; 3];
    guest.read_exact(&mut typed).unwrap();
    assert_eq!(&typed, b"ls\n");
    drop(vm);
    assert_eq!(guest.read(&mut typed).unwrap(), 0, "the console is gone");
    assert!(!socket.exists());
}

#[test]
fn vsock_ports_lead_both_ways() {
    let (folder, mut machine) = machine();
    let (out, into) = (folder.path().join("out.sock"), folder.path().join("in.sock"));
    machine.vsock.push(Vsock { port: 1024, socket: out.clone(), direction: VsockDirection::Listen });
    machine.vsock.push(Vsock { port: 7, socket: into.clone(), direction: VsockDirection::Connect });
    let service = UnixListener::bind(&out).unwrap();
    let (vm, mac) = made(&machine);
    let events = vm.subscribe();
    vm.start().unwrap();
    mac.start();
    crate::states(&events, vm::State::Running);

    // What is listened to is told before the thread that drives the machine takes another message.
    assert!(vm.start().is_err());
    let (mut guest, host) = UnixStream::pair().unwrap();
    assert!(mac.connect_to(1024, OwnedFd::from(host)));
    let (mut served, _) = service.accept().unwrap();
    guest.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    drop(served);
    assert_eq!(guest.read(&mut heard).unwrap(), 0);

    let mut program = UnixStream::connect(&into).unwrap();
    program.write_all(b"echo?").unwrap();
    program.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"echo?");
    mac.report(vz::Signal::GuestStopped);
    let _ = vm.wait();
    drop(vm);
    assert!(!into.exists());
}

#[test]
fn a_packed_kernel_is_unpacked_for_the_framework() {
    let (folder, mut machine) = machine();
    let image = fs::read(folder.path().join("Image")).unwrap();
    let packed = Command::new("gzip").arg("-k").arg(folder.path().join("Image")).status().unwrap();
    assert!(packed.success());
    let config::BootLoader::Linux(linux) = &mut machine.bootloader else { panic!("another boot loader") };
    linux.kernel = folder.path().join("Image.gz");
    let (vm, mac) = made(&machine);
    let kernel = mac.plan.objects.iter().find_map(|object| match object {
        Object::BootLoader(BootLoader::Linux { kernel, .. }) => Some(kernel.clone()),
        _ => None,
    });
    let kernel = kernel.unwrap();
    assert_eq!(fs::read(&kernel).unwrap(), image);
    drop(vm);
    assert!(!kernel.exists());
}
