//! A machine that is kept under a name, with Debian.

use std::process::Command;

use crate::machine::{Machine, guest};

#[test]
fn a_kept_debian_writes_its_disk_and_powers_off_when_asked_by_name() {
    // Fetched before, so that what is made here is made of the cache.
    guest(None);
    let folder = tempfile::tempdir().unwrap();
    let russet = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_russet"));
        command.args(args).env("RUSSET_HOME", folder.path()).env_remove("RUSSET_LOG");
        command
    };
    assert!(russet(&["create", "debian", "debian", "--disk-size", "16M"]).status().unwrap().success());
    // The machine of this name, not Debian's guest of the cache: it has a disk.
    let mut machine = Machine::shell(&mut russet(&["run", "debian"]));
    machine.sh("modprobe virtio_blk; echo kept | dd of=/dev/vda conv=fsync 2>/dev/null");
    // While it runs the list has what it runs with, whatever is wanted of it the next time.
    let cpus = || {
        let list = russet(&["--json", "list"]).output().unwrap().stdout;
        serde_json::from_slice::<serde_json::Value>(&list).unwrap()[0]["cpus"].clone()
    };
    assert!(russet(&["set", "debian", "-p", "3"]).status().unwrap().success());
    assert_eq!(cpus(), 1);
    assert!(russet(&["stop", "debian"]).status().unwrap().success());
    assert!(machine.child.wait().unwrap().success());
    assert_eq!(cpus(), 3);
    let disk = std::fs::read(folder.path().join("machines/debian/Disk.img")).unwrap();
    assert!(disk.starts_with(b"kept\n"));

    assert!(russet(&["clone", "debian", "copy"]).status().unwrap().success());
    let mut copy = Machine::shell(&mut russet(&["run", "copy"]));
    assert_eq!(copy.sh("modprobe virtio_blk; head -n 1 /dev/vda"), "kept\n");
    copy.power_off();
}
