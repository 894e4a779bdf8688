//! Checks of disks.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Caching, DiskAttachment, ImageFormat, Machine, Problem, Sync};

/// Longest serial number of a virtio disk (virtio 1.3, 5.2.6, `VIRTIO_BLK_T_GET_ID`).
const MAX_DEVICE_ID: usize = 20;
/// The lowest limit of bytes in a second: a request of 1 MiB then takes 16 s, and Linux waits 30 s.
const MIN_BPS: u64 = 64 << 10;

pub(super) fn check(machine: &Machine, problems: &mut Vec<Problem>) {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut paths: BTreeMap<&Path, (usize, bool)> = BTreeMap::new();
    for (index, disk) in machine.storage.iter().enumerate() {
        let field = |key: &str| format!("storage[{index}].{key}");
        if let Some(id) = &disk.device_id {
            if id.is_empty() || id.len() > MAX_DEVICE_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
                let what = format!("`{id}` cannot be the serial number of a disk");
                let mend = format!("give 1 to {MAX_DEVICE_ID} ASCII characters without spaces");
                problems.push(Problem::error(field("device-id"), what, mend));
            } else if let Some(other) = ids.insert(id, index) {
                let what = format!("`{id}` is the serial number of storage[{other}] as well");
                problems.push(Problem::error(field("device-id"), what, "give each disk its own"));
            }
        }
        match disk.caching {
            Caching::Automatic => {
                let what = "automatic caching is known to corrupt file systems of Linux guests";
                problems.push(Problem::warning(field("caching"), what, "leave it out: `cached` is safe"));
            }
            Caching::Cached | Caching::Uncached => {}
        }
        if disk.snapshot && disk.read_only {
            let what = "a disk that the guest cannot write has nothing to throw away";
            problems.push(Problem::error(field("snapshot"), what, "give either `snapshot` or `readonly`"));
        }
        if disk.bps.is_some_and(|bps| bps < MIN_BPS) {
            let what = format!("less than {MIN_BPS} bytes in a second make a guest give its disk up");
            problems.push(Problem::error(field("bps"), what, "give more, or leave it out for no limit"));
        }
        if disk.iops == Some(0) {
            let what = "no request in a second is no disk";
            problems.push(Problem::error(field("iops"), what, "give 1 or more, or leave it out for no limit"));
        }
        if disk.sync == Sync::None && disk.changes_attachment() {
            let what = "flushes do nothing: what the guest thinks is safe is lost when the host crashes";
            problems.push(Problem::warning(field("sync"), what, "leave it out unless the disk can be thrown away"));
        }
        let path = match &disk.attachment {
            DiskAttachment::Image { path, format, .. } => {
                if *format == Some(ImageFormat::Raw) && path.extension().is_some_and(|e| e == "qcow2") {
                    let what = "the name says qcow2, and the guest would see the bytes of the file as they are";
                    problems.push(Problem::warning(field("format"), what, "leave it out, or give `format=qcow2`"));
                }
                path
            }
            DiskAttachment::BlockDevice { path } => path,
            DiskAttachment::Nbd { uri, timeout } => {
                if !["nbd://", "nbds://", "nbd+unix://", "nbds+unix://"].iter().any(|scheme| uri.starts_with(scheme)) {
                    let what = "this is no NBD URI";
                    let mend = "write it as `nbd://host:port/export` or `nbd+unix:///export?socket=path`";
                    problems.push(Problem::error(field("uri"), what, mend));
                }
                if *timeout == Some(0) {
                    problems.push(Problem::error(field("timeout"), "0 ms leave no time to answer", "give 1 or more"));
                }
                continue;
            }
        };
        match paths.get(path.as_path()) {
            Some((other, other_writes)) if *other_writes || disk.changes_attachment() => {
                let what = format!("storage[{other}] is the same file, and one of them writes to it");
                problems.push(Problem::error(
                    field("path"),
                    what,
                    "give each disk its own file, or make both readonly",
                ));
            }
            _ => {}
        }
        paths.insert(path, (index, disk.changes_attachment()));
    }
}
