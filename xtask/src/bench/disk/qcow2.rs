//! Writes that allocate: qcow2 images that are empty at first, by themselves against `qemu-img bench`, and behind our NBD
//! server against qemu-nbd.

use std::fs;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use block::image::{Image, ImageOptions};

use super::report::{Group, Line, Sample, Side};
use super::server::{Layer, Server};
use super::{MIB, Place, Setting};
use crate::shell;

/// The clusters of the images.
const CLUSTER: u64 = 64 << 10;
/// Threads that write with our library, whose calls wait; `qemu-img bench` has threads of its own.
const THREADS: usize = 4;
/// Requests between two flushes.
const FLUSH_EVERY: u64 = 1024;

/// Requests of one size, each to new clusters, with flushes between them.
struct Direct {
    name: &'static str,
    /// Bytes of a request.
    block: u64,
    /// From the beginning of one to that of the next.
    step: u64,
}

const DIRECT: [Direct; 3] = [
    Direct { name: "write 4k, one to each cluster", block: 4096, step: CLUSTER },
    Direct { name: "write 64k", block: CLUSTER, step: CLUSTER },
    Direct { name: "write 1M", block: MIB, step: MIB },
];

/// The same by fio: `rw`, `bs`, `iodepth`.
const SERVED: [(&str, [&str; 3]); 2] =
    [("fio randwrite 4k depth 32", ["randwrite", "4k", "32"]), ("fio write 1M depth 8", ["write", "1M", "8"])];

/// Our library and `qemu-img bench`, in `place`.
pub(super) fn direct(setting: &Setting, place: &Place) -> Result<Group> {
    let measure = |work: &Direct| {
        Line::measure(work.name, 1.0, setting.runs, |side| {
            let image = Empty::make(place.folder.path(), setting.size)?;
            let seconds = match side {
                Side::Russet => write(&image.0, work, setting.size)?,
                Side::Peer => qemu_img(&image.0, work, setting.size)?,
            };
            let requests = setting.size / work.step;
            Ok(Sample::of((requests * work.block) as f64, seconds))
        })
    };
    let lines = DIRECT.iter().map(measure).collect::<Result<_>>()?;
    Ok(Group { name: format!("qcow2, allocating, {}", place.name), peer: "qemu-img bench".to_owned(), lines })
}

/// Our NBD server and qemu-nbd, in `place`.
pub(super) fn served(setting: &Setting, place: &Place) -> Result<Group> {
    let measure = |(name, [rw, bs, depth]): &(&str, [&str; 3])| {
        Line::measure(name, 1.0, setting.runs, |side| {
            let image = Empty::make(place.folder.path(), setting.size)?;
            let server = Server::start(side, &setting.russet, &image.0, Layer::None)?;
            // Each block once, as far as it comes.
            let options = [
                format!("--size={}", setting.size),
                format!("--runtime={}", 4 * setting.seconds),
                format!("--rw={rw}"),
                format!("--bs={bs}"),
                format!("--iodepth={depth}"),
            ];
            let moved = server.fio(&options)?;
            server.end(moved)
        })
    };
    let lines = SERVED.iter().map(measure).collect::<Result<_>>()?;
    Ok(Group { name: format!("NBD, allocating in qcow2, {}", place.name), peer: "qemu-nbd".to_owned(), lines })
}

/// An image without data, as long as this lives.
struct Empty(PathBuf);

impl Empty {
    fn make(folder: &Path, size: u64) -> Result<Self> {
        let image = Self(folder.join("empty.qcow2"));
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-o", &format!("cluster_size={CLUSTER}")]).arg(&image.0);
        shell::output(create.arg(size.to_string()))?;
        Ok(image)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        // The folder goes away at the end.
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes with our library. Returns how many seconds it took.
fn write(image: &Path, work: &Direct, size: u64) -> Result<f64> {
    let disk = Image::open(image, &ImageOptions::default())?.disk;
    let bytes = vec![0x55; work.block as usize];
    let (next, requests) = (AtomicU64::new(0), size / work.step);
    let write = || -> Result<()> {
        loop {
            let request = next.fetch_add(1, Ordering::Relaxed);
            if request >= requests {
                return Ok(());
            }
            disk.write(request * work.step, &[IoSlice::new(&bytes)])?;
            if (request + 1).is_multiple_of(FLUSH_EVERY) {
                disk.flush()?;
            }
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS).map(|_| scope.spawn(write)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// The same with `qemu-img bench`, which says itself how many seconds it took.
fn qemu_img(image: &Path, work: &Direct, size: u64) -> Result<f64> {
    let mut bench = Command::new("qemu-img");
    bench.args(["bench", "-w", "-f", "qcow2", "-t", "writeback", "--pattern=85", "-d", "32"]);
    bench.args(["-c".to_owned(), (size / work.step).to_string()]);
    bench.args(["-s".to_owned(), work.block.to_string(), "-S".to_owned(), work.step.to_string()]);
    bench.args(["--no-drain", &format!("--flush-interval={FLUSH_EVERY}")]);
    let said = shell::output(bench.arg(image))?;
    let seconds = said.lines().find_map(|line| line.strip_prefix("Run completed in ")?.split(' ').next());
    Ok(seconds.with_context(|| format!("qemu-img says no time: {said}"))?.parse()?)
}
