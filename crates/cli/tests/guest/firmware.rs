//! UEFI firmware finds what to boot by itself.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::machine::{Machine, guest, russet};

/// A FAT file system with Debian's kernel, its initial RAM disk and a script for the firmware's shell.
fn stick(path: &Path) {
    let guest = guest(None);
    let script = path.with_extension("nsh");
    fs::write(&script, "Image initrd=\\initrd console=ttyAMA0 nokaslr cryptomgr.notests\r\n").unwrap();
    fs::File::create(path).unwrap().set_len(96 << 20).unwrap();
    let run = |program: &str, arguments: &[&Path]| {
        let status = Command::new(program).arg("-i").arg(path).args(arguments).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    run("mformat", &["-F".as_ref(), "::".as_ref()]);
    for (file, name) in [(&guest.kernel, "::/Image"), (&guest.initrd, "::/initrd"), (&script, "::/startup.nsh")] {
        run("mcopy", &[file, name.as_ref()]);
    }
}

/// Boots `stick.img`, which `device` attaches, without being told what to boot. The firmware keeps its variables.
fn boots_from(device: &str) {
    let folder = tempfile::tempdir().unwrap();
    stick(&folder.path().join("stick.img"));
    let loader = ["--bootloader", "efi,variable-store=vars.fd,create"];
    let devices = ["--device", "pl011,stdio", "--device", device];
    let mut machine = Machine::shell(&mut russet(folder.path(), &[loader.as_slice(), &devices].concat()));
    assert_eq!(machine.sh("cat /sys/firmware/efi/fw_platform_size"), "64\n");
    machine.power_off();
    let variables = fs::read(folder.path().join("vars.fd")).unwrap();
    assert_eq!(variables.len(), 768 << 10);
    let name: Vec<u8> = "BootOrder".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(variables.windows(name.len()).any(|bytes| bytes == name), "the firmware's variables are in the file");
}

#[test]
fn it_boots_from_a_usb_drive_and_keeps_its_variables() {
    boots_from("usb-mass-storage,path=stick.img,readonly");
}

#[test]
fn it_boots_from_an_nvme_disk() {
    boots_from("nvme,path=stick.img");
}

/// The firmware's shell is the guest that sees it: Debian's kernel for clouds knows no USB.
#[test]
fn a_usb_drive_grows_under_the_firmware() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = fs::File::create(folder.join("stick.img")).unwrap();
    file.set_len(16 * MIB).unwrap();
    let loader = ["--bootloader", "efi,variable-store=vars.fd,create", "--device", "pl011,stdio"];
    let drive = ["--device", "usb-mass-storage,path=stick.img", "--control", "vm.sock"];
    let mut machine = Machine::start(&mut russet(folder, &[loader, drive].concat()));
    machine.expect("Shell>");
    let mut block = |at: u64| {
        machine.type_in(&format!("dblk blk0 {:x} 1\r", at / 512));
        machine.expect("Shell>")
    };
    assert!(block(16 * MIB).contains("Read file error"));
    assert!(block(16 * MIB - 512).contains("BlkIo"));
    let grown = Command::new(env!("CARGO_BIN_EXE_russet"))
        .current_dir(folder)
        .args(["disk", "set-size", "vm.sock", "disk0", "32M"])
        .output()
        .unwrap();
    assert!(grown.status.success(), "{grown:?}");
    file.write_all_at(b"beyond", 16 * MIB).unwrap();
    file.write_all_at(b"the end", 32 * MIB - 512).unwrap();
    // The first request is told that the capacity has changed, and nothing else.
    assert!((0..2).any(|_| block(16 * MIB).contains("*beyond.")));
    assert!(block(32 * MIB - 512).contains("*the end."));
    assert!(block(32 * MIB).contains("Read file error"));
    machine.type_in("reset -s\r");
    assert_eq!(machine.end().code(), Some(0));
}
