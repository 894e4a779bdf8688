//! Other people's clients on our server.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use block::contract::{MemoryDisk, Random};
use block::nbd::{Address, Listener, ServerOptions};
use tempfile::tempdir;

use crate::serving::{Ours, connect, export, raw, run, uri};

fn names(socket: &Path, export: &str) -> String {
    Address::Unix(socket.into()).uri(export, false)
}

#[test]
fn nbdinfo_sees_what_there_is() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let exports = vec![
        export("one", raw(&folder.path().join("1"), 1 << 20)),
        export("two words", raw(&folder.path().join("2"), 12345)),
    ];
    let _server = Ours::start(&socket, exports, ServerOptions::default());
    let list = run(Command::new("nbdinfo").args(["--list", &names(&socket, "")]));
    for seen in
        ["export=\"one\"", "export=\"two words\"", "description: the disk one", "export-size: 12345", "base:allocation"]
    {
        assert!(list.contains(seen), "{seen}: {list}");
    }
    let one = run(Command::new("nbdinfo").arg(names(&socket, "two words")));
    for ability in
        ["can_flush", "can_fua", "can_trim", "can_zero", "can_fast_zero", "can_cache", "can_df", "can_multi_conn"]
    {
        assert!(one.contains(&format!("{ability}: true")), "{ability}: {one}");
    }
    assert!(one.contains("is_read_only: false") && one.contains("block_size_maximum: 33554432"), "{one}");
    assert!(!Command::new("nbdinfo").arg(names(&socket, "three")).output().unwrap().status.success());
}

#[test]
fn images_come_and_go_bit_for_bit() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut random = Random::new(1);
    let mut bytes = vec![0; 20 << 20];
    for _ in 0..30 {
        let (offset, len) = random.range(bytes.len() as u64, 1 << 20);
        let data = random.bytes(len as usize);
        bytes[offset as usize..][..data.len()].copy_from_slice(&data);
    }
    fs::write(at("from"), &bytes).unwrap();
    let server = Ours::of(&at("s"), raw(&at("disk"), bytes.len() as u64));
    let uri = server.uri().to_string();
    run(Command::new("nbdcopy").arg("--flush").arg(at("from")).arg(&uri));
    assert!(fs::read(at("disk")).unwrap() == bytes, "nbdcopy to the server");
    run(Command::new("nbdcopy").arg(&uri).arg(at("to")));
    assert!(fs::read(at("to")).unwrap() == bytes, "nbdcopy from the server");
    run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2", &uri]).arg(at("qcow2")));
    run(Command::new("qemu-img").args(["compare", "-f", "raw", "-F", "qcow2", &uri]).arg(at("qcow2")));
    // Another disk, by qemu's own way of writing zeroes.
    fs::write(at("from"), vec![0; bytes.len()]).unwrap();
    run(Command::new("qemu-img").args(["convert", "-n", "-f", "raw", "-O", "raw"]).arg(at("from")).arg(&uri));
    assert!(fs::read(at("disk")).unwrap().iter().all(|b| *b == 0));
    server.stop().unwrap();
}

#[test]
fn qemu_maps_the_same_extents_as_in_the_file() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let disk = raw(&at("disk"), 1 << 20);
    for start in [0u64, 200 << 10, 640 << 10] {
        disk.write(start, &[std::io::IoSlice::new(&[7; 64 << 10])]).unwrap();
    }
    disk.flush().unwrap();
    let _server = Ours::of(&at("s"), disk);
    let map = |what: &str| run(Command::new("qemu-img").args(["map", "-U", "-f", "raw", "--output=json", what]));
    let local: Vec<String> = kinds(&map(at("disk").to_str().unwrap()));
    assert_eq!(local.len(), 6, "{local:?}");
    assert_eq!(kinds(&map(&uri(&at("s")).to_string())), local);
}

/// Start, length, zero and data of each extent.
fn kinds(json: &str) -> Vec<String> {
    let value = |line: &str, key: &str| {
        let rest = line.split_once(&format!("\"{key}\": ")).unwrap().1;
        rest.split([',', '}']).next().unwrap().to_owned()
    };
    let lines = json.lines().filter(|line| line.contains("\"start\""));
    lines.map(|l| ["start", "length", "zero", "data"].map(|key| value(l, key)).join(" ")).collect()
}

#[test]
fn qemu_io_does_every_command() {
    let folder = tempdir().unwrap();
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::of(&folder.path().join("s"), disk.clone());
    let commands = [
        "write -P 1 0 64k",
        "write -f -P 2 100 1000",
        "write -z 8k 4k",
        "write -z -u 16k 4k",
        "discard 32k 4k",
        "aio_write -P 3 128k 256k",
        "aio_read -P 1 40k 4k",
        "aio_flush",
        "read -P 0 8k 8k",
        "read -P 2 100 1000",
        "read -P 3 128k 256k",
        "flush",
    ];
    let mut command = Command::new("qemu-io");
    commands[..8].iter().for_each(|c| _ = command.args(["-c", c]));
    ["read -P 0 8k 4k", "read -P 0 16k 4k", "read -P 2 100 1000", "read -P 3 128k 256k", "flush"]
        .iter()
        .for_each(|c| _ = command.args(["-c", c]));
    let out = run(command.args(["-f", "raw"]).arg(server.uri().to_string()));
    assert!(!out.contains("failed"), "{out}");
    server.stop().unwrap();
    disk.lose_power();
    assert_eq!(disk.contents()[100..1100], [2; 1000]);
}

#[test]
fn fio_verifies_what_it_writes() {
    let folder = tempdir().unwrap();
    let server = Ours::of(&folder.path().join("s"), raw(&folder.path().join("disk"), 16 << 20));
    let uri = format!("--uri={}", server.uri());
    let job = ["--name=x", "--ioengine=nbd", "--rw=randwrite", "--bsrange=512-128k", "--iodepth=32", "--size=16M"];
    run(Command::new("fio")
        .args(job)
        .args([&uri, "--verify=crc32c", "--verify_fatal=1", "--randseed=7"])
        .current_dir(folder.path()));
    server.stop().unwrap();
}

#[test]
fn a_server_for_one_client_ends_with_it() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let options = ServerOptions { once: true, max_connections: 1, ..ServerOptions::default() };
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Ours::start(&socket, vec![export("", disk)], options);
    // One that only asks for a list has had no export.
    run(Command::new("nbdinfo").args(["--list", &uri(&socket).to_string()]));
    let info = run(Command::new("nbdinfo").arg(uri(&socket).to_string()));
    assert!(info.contains("can_multi_conn: false"), "{info}");
    server.ended().unwrap();
    assert!(!socket.exists());
}

#[test]
fn stale_sockets_are_replaced_and_others_are_not() {
    let folder = tempdir().unwrap();
    let socket = folder.path().join("s");
    let address = Address::Unix(socket.clone());
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let listener = Listener::bind(&address).unwrap();
    let second = Listener::bind(&address).unwrap_err().to_string();
    assert!(second.contains("another server listens there"), "{second}");
    drop(listener);
    assert!(!socket.exists());
    fs::write(&socket, "precious").unwrap();
    let file = Listener::bind(&address).unwrap_err().to_string();
    assert!(file.contains("no socket"), "{file}");
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
}

#[test]
fn a_server_on_tcp() {
    let listener = Listener::bind(&Address::Tcp { host: "localhost".into(), port: 0 }).unwrap();
    let uri = listener.address().unwrap().uri("", false);
    let disk = Arc::new(MemoryDisk::new(1 << 20));
    let server = Arc::new(block::nbd::Server::new(vec![export("", disk)], ServerOptions::default()).unwrap());
    let stopper = server.stopper();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.run(&[listener]));
        block::contract::operations(&connect(&uri.parse().unwrap()), 1, 100);
        assert_eq!(run(Command::new("nbdinfo").args(["--size", &uri])).trim(), "1048576");
        stopper.stop();
        running.join().unwrap().unwrap();
    });
}
