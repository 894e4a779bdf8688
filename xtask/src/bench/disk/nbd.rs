//! Our NBD server and qemu-nbd, by the same clients, with the same qcow2 image under a throw-away overlay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::report::{Group, Line};
use super::server::{Layer, Server};
use super::{MIB, Place, Setting};
use crate::shell;

/// A work, and the least ratio that we want.
struct Work {
    name: &'static str,
    /// fio's `rw`, `bs` and `iodepth`; else nbdcopy to nowhere.
    fio: Option<[&'static str; 3]>,
    target: f64,
}

const WORKS: [Work; 6] = [
    Work { name: "fio randread 4k depth 32", fio: Some(["randread", "4k", "32"]), target: 1.5 },
    Work { name: "fio randwrite 4k depth 32", fio: Some(["randwrite", "4k", "32"]), target: 1.5 },
    Work { name: "fio randread 4k depth 1", fio: Some(["randread", "4k", "1"]), target: 1.0 },
    Work { name: "fio read 1M depth 8", fio: Some(["read", "1M", "8"]), target: 1.2 },
    Work { name: "fio write 1M depth 8", fio: Some(["write", "1M", "8"]), target: 1.2 },
    Work { name: "nbdcopy to nowhere", fio: None, target: 1.2 },
];

/// Measures all works in `place`.
pub(super) fn group(setting: &Setting, place: &Place) -> Result<Group> {
    let image = make_image(place.folder.path(), setting.size)?;
    let measure = |work: &Work| {
        Line::measure(work.name, work.target, setting.runs, |side| {
            let server = Server::start(side, &setting.russet, &image, Layer::Snapshot)?;
            let moved = match work.fio {
                None => server.copy(setting.size)?,
                Some([rw, bs, depth]) => server.fio(&[
                    "--time_based".to_owned(),
                    format!("--runtime={}", setting.seconds),
                    format!("--size={}", setting.size),
                    format!("--rw={rw}"),
                    format!("--bs={bs}"),
                    format!("--iodepth={depth}"),
                ])?,
            };
            server.end(moved)
        })
    };
    let lines = WORKS.iter().map(measure).collect::<Result<_>>()?;
    fs::remove_file(image)?;
    Ok(Group { name: format!("NBD, qcow2 under an overlay, {}", place.name), peer: "qemu-nbd".to_owned(), lines })
}

/// An image full of data: nothing of it is a hole.
fn make_image(folder: &Path, size: u64) -> Result<PathBuf> {
    let raw = folder.join("image.raw");
    let mut bytes = vec![0u8; MIB as usize];
    let mut word = 1u32;
    bytes.iter_mut().for_each(|byte| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (word >> 24) as u8;
    });
    let mut file = fs::File::create(&raw)?;
    for _ in 0..size / MIB {
        std::io::Write::write_all(&mut file, &bytes)?;
    }
    let image = folder.join("image.qcow2");
    shell::run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&image))?;
    fs::remove_file(raw)?;
    Ok(image)
}
