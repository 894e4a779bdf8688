//! The contract of all disks, over every pair of a client and a server.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use block::contract::{self, MemoryDisk};
use block::nbd::{Client, ClientOptions, ServerOptions};
use block::{Disk, Error};
use tempfile::tempdir;

use crate::serving::{Ours, Theirs, connect, connect_with, export, raw};

const SIZE: u64 = 3 << 20;

fn all(client: &dyn Disk, seed: u64) {
    contract::operations(client, seed, 400);
    contract::threads(client, seed, 150);
    contract::overlapping(client, seed, 10);
    contract::extents(client);
}

fn image(path: &Path) -> &Path {
    File::create(path).unwrap().set_len(SIZE).unwrap();
    path
}

#[test]
fn our_client_and_our_server() {
    let folder = tempdir().unwrap();
    let server = Ours::of(&folder.path().join("s"), raw(&folder.path().join("disk"), SIZE));
    all(&connect(&server.uri()), 1);
    contract::reopened(|| Box::new(connect(&server.uri())), 2);
    server.stop().unwrap();
}

#[test]
fn over_a_disk_that_is_slow() {
    /// Every request takes longer than a thread costs.
    struct Slow(MemoryDisk);
    impl Slow {
        fn wait(&self) -> &MemoryDisk {
            std::thread::sleep(std::time::Duration::from_micros(300));
            &self.0
        }
    }
    impl Disk for Slow {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn geometry(&self) -> block::Geometry {
            self.0.geometry()
        }
        fn read_only(&self) -> bool {
            false
        }
        fn id(&self) -> &str {
            "slow"
        }
        fn read(&self, offset: u64, bufs: &mut [std::io::IoSliceMut<'_>]) -> Result<(), Error> {
            self.wait().read(offset, bufs)
        }
        fn write(&self, offset: u64, bufs: &[std::io::IoSlice<'_>]) -> Result<(), Error> {
            self.wait().write(offset, bufs)
        }
        fn flush(&self) -> Result<(), Error> {
            self.wait().flush()
        }
        fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
            self.wait().discard(offset, len)
        }
        fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
            self.wait().write_zeroes(offset, len, unmap)
        }
    }
    let folder = tempdir().unwrap();
    let server = Ours::of(&folder.path().join("s"), Arc::new(Slow(MemoryDisk::new(SIZE as usize))));
    // One connection, so that requests meet on it.
    let options = ClientOptions { connections: 1, ..ClientOptions::default() };
    all(&connect_with(&server.uri(), &options), 3);
    server.stop().unwrap();
}

#[test]
fn our_client_and_qemu_nbd() {
    let folder = tempdir().unwrap();
    let server = Theirs::qemu_nbd(&folder.path().join("s"), image(&folder.path().join("disk")), &[]);
    all(&connect(&server.uri()), 4);
    contract::reopened(|| Box::new(connect(&server.uri())), 5);
}

#[test]
fn our_client_and_nbdkit() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    for (seed, arguments) in [
        // Without structured replies, and with as few abilities as there are.
        (6, &["--no-sr", "memory", "3M"][..]),
        (7, &["--filter=nozero", "--filter=multi-conn", "memory", "3M", "zeromode=none", "multi-conn-mode=disable"]),
        (8, &["--filter=blocksize-policy", "memory", "3M", "blocksize-minimum=4096", "blocksize-error-policy=error"]),
        (9, &["--filter=blocksize-policy", "memory", "3M", "blocksize-maximum=65536", "blocksize-error-policy=error"]),
        (10, &["--filter=delay", "memory", "3M", "delay-read=1ms", "delay-write=2ms"]),
    ] {
        let server = Theirs::nbdkit(&socket, arguments);
        let client = connect(&server.uri());
        contract::operations(&client, seed, 300);
        contract::threads(&client, seed, 100);
        contract::extents(&client);
    }
}

#[test]
fn its_server_says_how_large_it_is() {
    let folder = tempdir().unwrap();
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&folder.path().join("s"), disk.clone());
    let client = connect(&server.uri());
    let said = client.resize(2 << 20).unwrap_err().to_string();
    assert!(said.contains("Resize it there"), "{said}");
    // A client that comes later sees what it has become, the other one what it was.
    disk.resize(2 << 20).unwrap();
    assert_eq!((client.size(), connect(&server.uri()).size()), (1 << 20, 2 << 20));
}

#[test]
fn read_only_at_either_end() {
    let folder = tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1 << 16));
    let mut offered = export("ro", disk.clone());
    offered.read_only = true;
    let server = Ours::start(&folder.path().join("s"), vec![offered, export("rw", disk)], ServerOptions::default());
    let at = |name: &str| block::nbd::Address::Unix(server.socket.clone()).uri(name, false).parse().unwrap();
    let read_only = ClientOptions { read_only: true, ..ClientOptions::default() };
    contract::read_only(&connect_with(&at("ro"), &read_only));
    contract::read_only(&connect_with(&at("rw"), &read_only));
    let refused = Client::connect(&at("ro"), &ClientOptions::default()).err().unwrap().to_string();
    assert!(refused.contains("attach it read-only"), "{refused}");
    let unknown = Client::connect(&at("none"), &ClientOptions::default()).err().unwrap().to_string();
    assert!(unknown.contains("`none`") && unknown.contains("none of this name"), "{unknown}");
}

#[test]
fn errors_of_the_server_arrive() {
    let folder = tempdir().unwrap();
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&folder.path().join("s"), disk.clone());
    let client = connect(&server.uri());
    disk.set_failing(true);
    let mut buf = [0; 4096];
    assert!(matches!(client.read(0, &mut [std::io::IoSliceMut::new(&mut buf)]), Err(Error::Io { what: "read", .. })));
    assert!(matches!(client.write(0, &[std::io::IoSlice::new(&buf)]), Err(Error::Io { what: "write", .. })));
    assert!(matches!(client.flush(), Err(Error::Io { what: "flush", .. })));
    disk.set_failing(false);
    client.write(0, &[std::io::IoSlice::new(&buf)]).unwrap();
    // What the server could not make durable is not durable because it can now.
    assert!(matches!(client.flush(), Err(Error::FlushFailed)));
    drop(client);
    let socket = folder.path().join("k");
    let kit =
        Theirs::nbdkit(&socket, &["--filter=error", "memory", "1M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%"]);
    let Err(Error::Io { source, .. }) = connect(&kit.uri()).write(0, &[std::io::IoSlice::new(&buf)]) else { panic!() };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
