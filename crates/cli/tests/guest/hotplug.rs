//! NVMe, and disks that come, go and grow while the machine runs.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::machine::{Machine, debian};

const MIB: u64 = 1 << 20;

/// `russet disk` with these arguments; what it printed.
fn disk(folder: &Path, args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_russet")).current_dir(folder).arg("disk").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn image(folder: &Path, name: &str, size: u64) {
    File::create(folder.join(name)).unwrap().set_len(size).unwrap();
}

/// Waits until a command in the guest succeeds.
fn until(machine: &mut Machine, command: &str) {
    machine.sh(&format!("n=0; until {command}; do n=$((n+1)); [ $n -lt 600 ] || exit 9; sleep 0.1; done"));
}

/// One boot, which has to show it all.
#[test]
fn an_nvme_disk_works_and_disks_come_go_and_grow() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    image(folder, "root.img", 64 * MIB);
    image(folder, "extra.img", 16 * MIB);
    image(folder, "more.img", 16 * MIB);
    let mut machine =
        Machine::shell(&mut debian(folder, &["-d", "root.img,bus=nvme", "-p", "2", "--control", "vm.sock"]));

    let facts = "cd /sys/block/nvme0n1; cat size queue/write_cache queue/fua ro; cd /";
    assert_eq!(machine.sh(facts), "131072\nwrite back\n1\n0\n");
    machine.sh("mke2fs -q /dev/nvme0n1 && mkdir -p /m && mount -t ext4 /dev/nvme0n1 /m && cp /bin/busybox /m/copy");
    machine.sh("sync; echo 3 >/proc/sys/vm/drop_caches; cmp /bin/busybox /m/copy && umount /m");
    machine.sh("head -c 3000000 /dev/urandom >/tmp/data");
    machine.sh("for n in 1 2 3 4; do (dd if=/tmp/data of=/dev/nvme0n1 bs=4k seek=$((n * 2000)) conv=fsync 2>/dev/null) & done; wait");
    machine.sh("echo 3 >/proc/sys/vm/drop_caches");
    for n in 1..=4 {
        machine.sh(&format!(
            "dd if=/dev/nvme0n1 bs=4k skip={} count=733 2>/dev/null | head -c 3000000 | cmp - /tmp/data",
            n * 2000
        ));
    }
    machine.sh("blkdiscard -o 40960000 -l 8192000 /dev/nvme0n1");
    assert!(machine.sh("dmesg").contains("nvme nvme0: 2/0/0 default/read/poll queues"));

    // A disk of each kind comes...
    assert_eq!(disk(folder, &["attach", "vm.sock", "nvme,path=extra.img,deviceId=extra"]), "slot1\n");
    until(&mut machine, "[ -b /dev/nvme1n1 ]");
    machine.sh("modprobe virtio_blk");
    assert_eq!(disk(folder, &["attach", "vm.sock", "virtio-blk,path=more.img"]), "slot2\n");
    until(&mut machine, "[ -b /dev/vda ]");
    assert!(machine.sh("cat /sys/class/nvme/nvme1/serial").starts_with("extra"));
    // ... grows...
    for (name, device) in [("slot1", "nvme1n1"), ("slot2", "vda"), ("disk0", "nvme0n1")] {
        disk(folder, &["set-size", "vm.sock", name, "96M"]);
        until(&mut machine, &format!("[ $(cat /sys/block/{device}/size) = 196608 ]"));
    }
    let listed = disk(folder, &["attached", "vm.sock"]);
    assert_eq!(listed, ["disk0", "slot1", "slot2"].map(|name| format!("{name}\t100663296 bytes\n")).concat());
    // ... holds what is written, beyond its old end...
    for device in ["nvme1n1", "vda"] {
        machine.sh(&format!("dd if=/tmp/data of=/dev/{device} bs=1M seek=90 conv=fsync 2>/dev/null"));
    }
    // ... and goes, one while it is written to: what was accepted is in the image.
    machine.sh("dd if=/tmp/data of=/dev/vda 2>/dev/null");
    assert_eq!(disk(folder, &["detach", "vm.sock", "slot2"]).lines().count(), 2);
    assert_eq!(disk(folder, &["detach", "vm.sock", "slot1"]).lines().count(), 1);
    machine.sh("[ ! -e /sys/block/vda ] && [ ! -e /sys/block/nvme1n1 ]");
    let data = machine.sh("sha256sum </tmp/data");
    for name in ["extra.img", "more.img"] {
        let sum = format!("dd if={name} bs=1M skip=90 2>/dev/null | head -c 3000000 | sha256sum");
        let output = Command::new("sh").current_dir(folder).args(["-c", &sum]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), data, "{name}");
    }
    let sum =
        Command::new("sh").current_dir(folder).args(["-c", "head -c 3000000 more.img | sha256sum"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&sum.stdout), data);

    // The slot takes another.
    assert_eq!(disk(folder, &["attach", "vm.sock", "nvme,path=more.img,readonly"]), "slot1\n");
    until(&mut machine, "[ -b /dev/nvme1n1 ]");
    assert_eq!(machine.sh("cat /sys/block/nvme1n1/ro"), "1\n");
    let log = machine.sh("dmesg");
    let wrong = ["BUG", "WARNING", "Oops", "I/O error", "Call trace", "timeout"];
    let wrong: Vec<_> = log.lines().filter(|line| wrong.iter().any(|wrong| line.contains(wrong))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    machine.power_off();
    assert!(fs::read(folder.join("root.img")).unwrap().len() as u64 == 96 * MIB);
}

/// Who pulls a disk out does not ask the guest, which has what it flushed and can use the slot again.
#[test]
fn a_disk_is_pulled_out_of_a_guest_that_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    image(folder, "extra.img", 16 * MIB);
    let mut machine = Machine::shell(&mut debian(folder, &["-p", "2", "--control", "vm.sock"]));
    machine.sh("modprobe virtio_blk");
    for (kind, device) in [("nvme", "nvme0n1"), ("virtio-blk", "vda")] {
        assert_eq!(disk(folder, &["attach", "vm.sock", &format!("{kind},path=extra.img")]), "slot1\n");
        until(&mut machine, &format!("[ -b /dev/{device} ]"));
        machine.sh(&format!("yes {kind} | head -c 65536 | dd of=/dev/{device} conv=fsync 2>/dev/null"));
        if kind == "nvme" {
            // Not on virtio: Linux waits for ever for requests that were under way in a disk of that kind.
            let write = format!("dd if=/dev/zero of=/dev/{device} bs=4k seek=1000 count=500 conv=fsync");
            // Where the disk's node has gone, dd makes a plain file of that name, which takes all.
            let writes = format!("while {write} && [ -b /dev/{device} ]; do :; done");
            machine.sh(&format!("({writes}; echo over >/tmp/over) 2>/dev/null & sleep 0.5"));
        }
        assert_eq!(disk(folder, &["detach", "vm.sock", "slot1", "--force"]), "");
        until(&mut machine, &format!("[ ! -e /sys/block/{device} ]"));
        // The image is nobody's any more.
        let mut file = File::open(folder.join("extra.img")).unwrap();
        file.try_lock().unwrap();
        let (mut flushed, line) = (vec![0; 65536], format!("{kind}\n"));
        file.read_exact(&mut flushed).unwrap();
        assert!(flushed.iter().eq(line.as_bytes().iter().cycle().take(65536)), "{kind}");
    }
    until(&mut machine, "[ -e /tmp/over ]");
    let log = machine.sh("dmesg");
    let wrong: Vec<_> = log.lines().filter(|l| ["BUG", "Oops", "Call trace"].iter().any(|w| l.contains(w))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    machine.power_off();
}
