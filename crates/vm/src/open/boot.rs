//! What is booted: a kernel with its files, or firmware with its variables.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use block::{RawDisk, RawOptions};
use config::{BootLoader, EfiBoot};
use devices::flash::{Flash, spec};
use machine::{Boot, FirmwareBoot, LinuxBoot, loader};

use crate::Error;

/// Bytes of a new variable store: three blocks are the least that UEFI firmware works with.
const VARIABLES: u64 = 3 * spec::BLOCK;
/// Where Debian's package `qemu-efi-aarch64` puts the firmware, and other systems theirs.
const FIRMWARE: [&str; 4] = [
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    "/usr/share/edk2/aarch64/QEMU_EFI.fd",
    "/usr/share/edk2-armvirt/aarch64/QEMU_EFI.fd",
];

/// Opens what the configuration boots.
pub(super) fn open(config: &config::Machine) -> Result<Boot, Error> {
    match &config.bootloader {
        BootLoader::Linux(linux) => {
            let initrd = linux.initrd.as_deref().map(|path| file("bootloader.initrd", path)).transpose()?;
            let field = "bootloader.kernel";
            let kernel = file(field, &linux.kernel)?;
            loader::check_kernel(&kernel).map_err(|source| Error::Kernel { field: field.to_owned(), source })?;
            Ok(Boot::Linux(LinuxBoot { kernel, initrd, command_line: linux.cmdline.clone() }))
        }
        BootLoader::Efi(efi) => Ok(Boot::Firmware(FirmwareBoot { code: firmware(efi)?, variables: variables(efi)? })),
        BootLoader::Macos(_) => Err(Error::unsupported("bootloader", "the engine `soft` cannot boot macOS")),
    }
}

fn firmware(efi: &EfiBoot) -> Result<File, Error> {
    let field = "bootloader.firmware";
    if let Some(path) = &efi.firmware {
        return file(field, path);
    }
    match FIRMWARE.iter().map(Path::new).find(|path| path.is_file()) {
        Some(path) => file(field, path),
        None => {
            let what = "this host has no UEFI firmware: install the package qemu-efi-aarch64, or give the path of one";
            Err(Error::unsupported(field, what))
        }
    }
}

/// The variable store, made first if it is not there and may be made.
fn variables(efi: &EfiBoot) -> Result<Arc<Flash>, Error> {
    let field = || "bootloader.variable-store".to_owned();
    let path = efi.variable_store.as_path();
    if efi.create && !path.exists() {
        make_variables(path).map_err(|source| Error::File { field: field(), path: path.to_owned(), source })?;
    }
    let disk = |source| Error::Disk { field: field(), source };
    let store = RawDisk::open(path, RawOptions::default()).map_err(disk)?;
    Ok(Arc::new(Flash::new(Arc::new(store)).map_err(disk)?))
}

/// Makes a store of erased flash, which is there as a whole or not at all.
fn make_variables(path: &Path) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut new = File::create(&unfinished)?;
    new.write_all(&vec![0xff; VARIABLES as usize])?;
    new.sync_all()?;
    std::fs::rename(&unfinished, path)
}

fn file(field: &str, path: &Path) -> Result<File, Error> {
    let error = |source| Error::File { field: field.to_owned(), path: path.to_owned(), source };
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    let metadata = path.metadata().map_err(error)?;
    if !metadata.is_file() {
        return Err(error(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    File::open(path).map_err(error)
}
