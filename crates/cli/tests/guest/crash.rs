//! The power fails under a guest with a file system. Every write of the host to a qcow2 image is logged below the format,
//! while a guest writes files to ext4 on it and tells of each that it is flushed. The image is rebuilt as the host's
//! medium may have it after a loss of power at many points, with what was not flushed there missing or torn: it must be
//! consistent, so must the file system, and every file that the guest had told of must be there.

use std::fs;
use std::io::IoSlice;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use block::Disk;
use block::contract::{LoggedDisk, Random};
use block::nbd::{Address, Export, Listener, Server, ServerOptions};
use block::qcow2::{self, CreateOptions, Qcow2};

use crate::machine::{Machine, debian};

const MIB: u64 = 1 << 20;
/// Bytes of the disk.
const SIZE: u64 = 48 * MIB;
/// What the medium writes as a whole, in bytes: ext4 relies on it for its blocks.
const PIECE: usize = 4096;
/// Files that the guest flushes.
const FILES: usize = 60;
/// Points at which the power fails.
const POINTS: usize = 30;

/// The guest's shell writes file after file, of some pages each. Those that it flushes are told of; others come and go
/// beside them.
const WRITER: &str = "w() { n=0; while [ $n -lt 60 ]; do n=$((n + 1)); yes \"file $n\" | head -c $((n * 4321 % 60000 + 1)) | \
    dd of=/m/$n bs=64k iflag=fullblock conv=fsync 2>/dev/null && echo \"[kept $n]\"; \
    head -c $((n * 977 % 90000)) /bin/busybox >/m/other$((n % 7)); [ $((n % 5)) = 0 ] && rm /m/other$((n % 3)); done; }";

/// What file `number` holds.
fn contents(number: usize) -> Vec<u8> {
    format!("file {number}\n").bytes().cycle().take(number * 4321 % 60_000 + 1).collect()
}

fn tool(folder: &Path, program: &str, args: &[&str]) -> Output {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program).current_dir(folder).env("PATH", path).args(args).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// An image with an empty file system, above a disk that logs.
fn image(folder: &Path) -> (Arc<LoggedDisk>, Arc<Qcow2>) {
    let store = Arc::new(LoggedDisk::default());
    qcow2::create(&*store, &CreateOptions::new(SIZE)).unwrap();
    let disk = Arc::new(Qcow2::open(store.clone(), None).unwrap());
    fs::File::create(folder.join("fs.img")).unwrap().set_len(SIZE).unwrap();
    let made = tool(folder, "mke2fs", &["-q", "-t", "ext4", "-b", "4096", "fs.img"]);
    assert!(made.status.success(), "{made:?}");
    for (n, bytes) in fs::read(folder.join("fs.img")).unwrap().chunks(65536).enumerate() {
        if bytes.iter().any(|byte| *byte != 0) {
            disk.write(n as u64 * 65536, &[IoSlice::new(bytes)]).unwrap();
        }
    }
    disk.flush().unwrap();
    (store, disk)
}

/// Runs the guest on the disk. Gives how many operations there were below when each file was told of.
fn work(folder: &Path, store: &LoggedDisk, disk: Arc<Qcow2>) -> Vec<usize> {
    let socket = folder.join("disk.sock");
    let listener = Listener::bind(&Address::Unix(socket.clone())).unwrap();
    let export = Export { name: String::new(), description: String::new(), read_only: false, disk };
    let server = Arc::new(Server::new(vec![export], ServerOptions::default()).unwrap());
    let stopper = server.stopper();
    let serving = thread::spawn(move || server.run(&[listener]));
    let uri = format!("nbd+unix:///?socket={}", socket.display());
    let mut machine = Machine::shell(&mut debian(folder, &["-d", &uri]));
    machine.sh("mkdir /m && mount -t ext4 /dev/vda /m");
    machine.sh(WRITER);
    machine.type_in("w\n");
    let told = (1..=FILES).map(|number| {
        machine.expect(&format!("[kept {number}]"));
        store.operations()
    });
    let told = told.collect();
    machine.child.kill().unwrap();
    machine.end();
    stopper.stop();
    serving.join().unwrap().unwrap();
    told
}

#[test]
fn a_file_system_survives_the_loss_of_power() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (store, disk) = image(folder);
    let first = store.operations();
    let told = work(folder, &store, disk);
    let mut random = Random::new(1);
    for point in 0..POINTS {
        // Often right when a file was told of, where it is easiest to break.
        let after = match random.below(2) {
            0 => told[random.below(FILES as u64) as usize],
            _ => first + random.below((store.operations() - first) as u64) as usize,
        };
        let at = format!("point {point}, after {after} of {} operations", store.operations());
        fs::write(folder.join("crashed.qcow2"), store.crashed(after, PIECE, &mut random)).unwrap();
        let check = tool(folder, "qemu-img", &["check", "crashed.qcow2"]);
        assert!(matches!(check.status.code(), Some(0 | 3)), "{at}: {check:?}");
        let read = tool(folder, "qemu-img", &["convert", "-O", "raw", "crashed.qcow2", "crashed.img"]);
        assert!(read.status.success(), "{at}: {read:?}");
        // The first run replays the journal and mends what that leaves, such as files that were open; nothing is left.
        let mended = tool(folder, "e2fsck", &["-p", "crashed.img"]);
        assert!(matches!(mended.status.code(), Some(0 | 1)), "{at}: {mended:?}");
        let clean = tool(folder, "e2fsck", &["-f", "-n", "crashed.img"]);
        assert!(clean.status.success(), "{at}: {clean:?}");
        for number in (1..=FILES).filter(|number| told[number - 1] <= after) {
            let file = tool(folder, "debugfs", &["-R", &format!("cat /{number}"), "crashed.img"]);
            assert!(file.stdout == contents(number), "{at}: file {number} was flushed, and is lost");
        }
    }
}
