//! Images for the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::qcow2::{self, CreateOptions, Qcow2};
use block::{Disk, RawDisk, RawOptions, SyncMode};

pub(crate) const MIB: u64 = 1 << 20;

/// Opens the file below the format, whose flushes need not reach the medium here.
pub(crate) fn file(path: &Path, read_only: bool) -> Arc<dyn Disk> {
    let options = RawOptions { read_only, sync: SyncMode::None, ..RawOptions::default() };
    Arc::new(RawDisk::open(path, options).unwrap())
}

/// Makes an image.
pub(crate) fn create(path: &Path, options: &CreateOptions) {
    std::fs::File::create(path).unwrap();
    qcow2::create(&*file(path, false), options).unwrap();
}

/// Opens an image and, read-only, what is below it: a raw file or another image by its name.
pub(crate) fn open(path: &Path) -> Qcow2 {
    open_as(path, false)
}

pub(crate) fn open_as(path: &Path, read_only: bool) -> Qcow2 {
    let store = file(path, read_only);
    let header = Qcow2::header_of(&*store).unwrap();
    let below = header.backing.map(|below| -> Arc<dyn Disk> {
        let path: PathBuf = path.parent().unwrap().join(below.name);
        match below.format.as_deref() {
            Some("qcow2") => Arc::new(open_as(&path, true)),
            _ => file(&path, true),
        }
    });
    Qcow2::open(store, below).unwrap()
}

/// Runs `qemu-img`, and returns what it wrote.
pub(crate) fn qemu_img(args: &[&str]) -> String {
    let output = std::process::Command::new("qemu-img").args(args).output().expect("qemu-img is needed");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "qemu-img {args:?}: {out}{err}");
    out.into_owned()
}

/// `qemu-img check`: no error and no leak.
pub(crate) fn check(path: &Path) {
    qemu_img(&["check", "-q", path.to_str().unwrap()]);
}

/// The whole disk.
pub(crate) fn contents(disk: &dyn Disk) -> Vec<u8> {
    let mut bytes = vec![0; disk.size() as usize];
    disk.read(0, &mut [std::io::IoSliceMut::new(&mut bytes)]).unwrap();
    bytes
}
