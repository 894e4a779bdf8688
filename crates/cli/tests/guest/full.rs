//! A host whose file system is full: the guest is told, goes on when there is space again, and nothing that it had
//! flushed is lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{Machine, debian};

const MARK: &str = "RUSSET_TEST_MOUNTS";
/// Where the small file system is, in a mount namespace of the test's own.
const FULL: &str = "/mnt";

const MIB: u32 = 1 << 20;

/// Runs the test `name` again with a file system of 1 MiB; there it gives `true`, and the test does its work.
fn inside(name: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let root = rustix::process::geteuid().is_root();
    let rights: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let mount = format!("mount -t tmpfs -o size=1M none {FULL} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(rights).args(["--mount", "sh", "-c", &mount, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]);
    let output = command.env(MARK, "1").output().expect("unshare starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    false
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).current_dir(FULL).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes so many blocks of 64 KiB from a block on, and flushes.
fn write(device: &str, block: u32, blocks: u32, text: &str) -> String {
    format!("yes {text} | dd of={device} bs=65536 seek={block} count={blocks} iflag=fullblock conv=notrunc,fsync 2>&1")
}

/// The sum of the first bytes, as they are on the disk.
fn sum(machine: &mut Machine, device: &str, bytes: u32) -> String {
    machine.sh(&format!("echo 3 >/proc/sys/vm/drop_caches; head -c {bytes} {device} | md5sum"))
}

fn goes_on_after_the_host_was_full(image: &str, format: &str, keys: &str, device: &str) {
    let folder = Path::new(FULL);
    let disk = format!("{image}{keys}");
    let mut machine = Machine::shell(&mut debian(folder, &["-d", &disk]));
    machine.sh(&write(device, 0, 4, "flushed"));
    let flushed = sum(&mut machine, device, MIB / 4);
    let (printed, status) = machine.status_of(&write(device, 4, 24, "too-much"));
    // What Linux makes of any failure of what it writes from its cache.
    assert!(status != 0 && printed.contains("Input/output error"), "{image}: {printed}");
    assert_eq!(sum(&mut machine, device, MIB / 4), flushed, "{image}");
    // The machine was not started again.
    run("mount", &["-o", "remount,size=32M", FULL]);
    machine.sh(&write(device, 4, 24, "enough"));
    assert_eq!(sum(&mut machine, device, MIB / 4), flushed, "{image}");
    let all = sum(&mut machine, device, 2 * MIB);
    machine.power_off();
    if format == "qcow2" {
        run("qemu-img", &["check", image]);
    }
    run("qemu-img", &["convert", "-f", format, "-O", "raw", image, "read.img"]);
    assert_eq!(run("md5sum", &["read.img"]).split(' ').next(), all.split(' ').next(), "{image}");
    for file in [image, "read.img"] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    run("mount", &["-o", "remount,size=1M", FULL]);
}

#[test]
fn a_guest_goes_on_after_the_host_was_full() {
    if !inside("full::a_guest_goes_on_after_the_host_was_full") {
        return;
    }
    fs::File::create(Path::new(FULL).join("raw.img")).unwrap().set_len((2 * MIB).into()).unwrap();
    goes_on_after_the_host_was_full("raw.img", "raw", "", "/dev/vda");
    run(env!("CARGO_BIN_EXE_russet"), &["disk", "create", "disk.qcow2", "2M"]);
    goes_on_after_the_host_was_full("disk.qcow2", "qcow2", ",bus=nvme", "/dev/nvme0n1");
}
