//! Disks: in their order, kept from one run to the next, and read-only where they have to be.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{Machine, debian};

const MIB: usize = 1 << 20;

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_is_written_to_a_disk_is_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    fs::write(&path, vec![0u8; 16 * MIB]).unwrap();
    let arguments = ["-d", "disk.img"];

    let mut machine = Machine::shell(&mut debian(folder.path(), &arguments));
    assert_eq!(machine.sh("cat /sys/block/vda/size /sys/block/vda/ro"), "32768\n0\n");
    machine.sh("mke2fs -q /dev/vda && mkdir -p /tmp/disk && mount -t ext4 /dev/vda /tmp/disk");
    machine.sh("seq 1 20000 >/tmp/disk/numbers");
    machine.sh("cp /bin/busybox /tmp/disk/ && mv /tmp/disk/numbers /tmp/disk/kept && umount /tmp/disk");
    let sums = machine.sh("sha256sum </bin/busybox; seq 1 20000 | sha256sum; sha256sum </dev/vda");
    machine.power_off();
    let written = sums.lines().nth(2).unwrap().split_whitespace().next().unwrap();
    assert_eq!(sha256(&path), written, "the file is what the guest reads");

    let mut machine = Machine::shell(&mut debian(folder.path(), &arguments));
    machine.sh("mkdir -p /tmp/disk && mount -t ext4 -o ro /dev/vda /tmp/disk");
    let read = machine.sh("sha256sum </tmp/disk/busybox; sha256sum </tmp/disk/kept");
    assert_eq!(read.lines().collect::<Vec<_>>(), sums.lines().take(2).collect::<Vec<_>>());
    machine.power_off();
}

/// A power-off without a clean unmount keeps what was flushed.
#[test]
fn what_was_flushed_survives_a_hard_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    fs::write(&path, vec![0u8; MIB]).unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &["-d", "disk.img"]));
    machine.sh("yes russet | dd of=/dev/vda bs=4096 count=16 iflag=fullblock conv=fsync 2>/dev/null");
    machine.child.kill().unwrap();
    assert_eq!(machine.end().code(), None);
    let kept = fs::read(&path).unwrap();
    assert!(kept.starts_with(b"russet\nrusset\n") && kept[..65536].iter().all(|byte| *byte != 0));
    assert!(kept[65536..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_cdrom_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cd.iso");
    let contents: Vec<u8> = (0..MIB).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(&path, &contents).unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &["-c", "cd.iso"]));
    assert_eq!(machine.sh("cat /sys/block/vda/ro"), "1\n");
    let sum = machine.sh("sha256sum </dev/vda");
    assert_eq!(sum.split_whitespace().next().unwrap(), sha256(&path));
    let (said, status) = machine.status_of("dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>&1");
    assert!(status != 0, "{said}");
    // Nor when the guest's kernel is told to try.
    machine.status_of("blockdev --setrw /dev/vda; dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>&1");
    machine.power_off();
    assert!(fs::read(&path).unwrap() == contents, "the image was written to");
}

#[test]
fn ten_disks_keep_the_order_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    let names: Vec<String> = (0..10).map(|n| format!("disk{}.img", 9 - n)).collect();
    for (n, name) in names.iter().enumerate() {
        let mut contents = vec![0u8; (n + 1) * 65536];
        contents[..name.len()].copy_from_slice(name.as_bytes());
        fs::write(folder.path().join(name), contents).unwrap();
        arguments.extend([if n % 3 == 1 { "-c" } else { "-d" }, name.as_str()]);
    }
    let mut machine = Machine::shell(&mut debian(folder.path(), &arguments));
    for (n, name) in names.iter().enumerate() {
        let device = format!("vd{}", char::from(b'a' + n as u8));
        let wanted = format!("{}\n{}\n{name}\n", (n + 1) * 128, u8::from(n % 3 == 1));
        let read = format!("cd /sys/block/{device}; cat size ro; head -c 9 /dev/{device}; echo");
        assert_eq!(machine.sh(&read), wanted, "{device}");
    }
    machine.power_off();
}

/// What cloud-init in a guest looks for: a disk with this label, and these files on it (its data source NoCloud).
#[test]
fn cloud_inits_files_are_on_a_disk_that_goes_with_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    fs::write(folder.path().join("user-data"), "#cloud-config\nhostname: web\n").unwrap();
    fs::write(folder.path().join("meta-data"), "instance-id: one\n").unwrap();
    let arguments = ["--cloud-init", "user-data,meta-data", "--pidfile", "pid"];
    let mut command = debian(folder.path(), &arguments);
    let mut machine = Machine::shell(command.env("TMPDIR", &temporary));
    assert_eq!(fs::read_to_string(folder.path().join("pid")).unwrap(), machine.child.id().to_string());
    let made: Vec<_> = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [disk] = &made[..] else { panic!("{made:?}") };
    // By which cloud-init finds it.
    let found = Command::new("blkid").args(["-p", "-o", "export"]).arg(disk).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(found.contains("LABEL=CIDATA\n") && found.contains("TYPE=vfat\n"), "{found}");
    machine.sh("modprobe vfat; mkdir -p /tmp/seed && mount -t vfat -o ro /dev/vda /tmp/seed");
    assert_eq!(machine.sh("ls -1 /tmp/seed; cat /sys/block/vda/ro"), "meta-data\nuser-data\n1\n");
    assert_eq!(
        machine.sh("cat /tmp/seed/user-data /tmp/seed/meta-data"),
        "#cloud-config\nhostname: web\ninstance-id: one\n"
    );
    machine.power_off();
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!folder.path().join("pid").exists());
}
