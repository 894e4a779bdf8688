//! How many requests an NBD server does in a second: ours and qemu-nbd, by the same clients on the same image.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use wait4::Wait4;

use super::super::machine::Machine;
use super::super::run::Spread;
use crate::shell;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs of each server with each work
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long fio runs, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The size of the disk, in MiB
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    size: u32,
    /// Where the image and the overlays are: by default in memory, where there is such a folder
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A raw image without an overlay, for the protocol alone
    #[arg(long)]
    raw: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// The russet to measure, instead of one built now
    #[arg(long)]
    russet: Option<PathBuf>,
}

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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Russet,
    Qemu,
}

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Report {
    machine: Machine,
    image: &'static str,
    size_mib: u32,
    runs: u32,
    results: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    russet: Figures,
    qemu_nbd: Figures,
    /// Our median of MiB/s divided by qemu-nbd's.
    ratio: f64,
    target: f64,
}

#[derive(Serialize)]
struct Figures {
    mib_per_s: Spread,
    /// CPU time that the server took for a GiB.
    cpu_s_per_gib: Spread,
}

struct Sample {
    mib_per_s: f64,
    cpu_s_per_gib: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for (program, package) in [("qemu-nbd", "qemu-utils"), ("fio", "fio"), ("nbdcopy", "libnbd-bin")] {
        if !shell::has(program) {
            bail!("{program} is missing: apt-get install {package}");
        }
    }
    let russet = match &options.russet {
        Some(path) => fs::canonicalize(path)?,
        None => {
            shell::run(shell::cargo().args(["build", "--release", "--package", "russet"]))?;
            shell::target().join("release/russet")
        }
    };
    let memory = Path::new("/dev/shm");
    let parent = options.folder.clone().unwrap_or_else(|| match memory.is_dir() {
        true => memory.into(),
        false => std::env::temp_dir(),
    });
    let folder = tempfile::tempdir_in(parent)?;
    let image = make_image(folder.path(), options)?;
    let mut results = Vec::new();
    for work in &WORKS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..options.runs {
            shell::say(&format!("{}: run {} of {}", work.name, run + 1, options.runs));
            // In turn, and in turn first.
            let order = if run % 2 == 0 { [Which::Russet, Which::Qemu] } else { [Which::Qemu, Which::Russet] };
            for which in order {
                let mut server = Server::start(which, &russet, folder.path(), &image, options.raw)?;
                let moved = server.load(work, options);
                let sample = server.end(moved?)?;
                if which == Which::Russet { &mut ours } else { &mut theirs }.push(sample);
            }
        }
        let (russet, qemu_nbd) = (figures(&ours), figures(&theirs));
        let ratio = russet.mib_per_s.median / qemu_nbd.mib_per_s.median;
        results.push(Line { name: work.name, russet, qemu_nbd, ratio, target: work.target });
    }
    let kind = if options.raw { "raw" } else { "qcow2 under a throw-away overlay" };
    let machine = Machine::this(options.russet.as_deref());
    let report = Report { machine, image: kind, size_mib: options.size, runs: options.runs, results };
    shell::print(&if options.json { serde_json::to_string_pretty(&report)? } else { table(&report) })
}

/// An image full of data: nothing of it is a hole.
fn make_image(folder: &Path, options: &Options) -> Result<PathBuf> {
    let raw = folder.join("image.raw");
    let mut bytes = vec![0u8; 1 << 20];
    let mut word = 1u32;
    bytes.iter_mut().for_each(|byte| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (word >> 24) as u8;
    });
    let mut file = fs::File::create(&raw)?;
    for _ in 0..options.size {
        std::io::Write::write_all(&mut file, &bytes)?;
    }
    if options.raw {
        return Ok(raw);
    }
    let image = folder.join("image.qcow2");
    shell::run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&raw).arg(&image))?;
    fs::remove_file(raw)?;
    Ok(image)
}

/// A server of one image.
struct Server {
    /// `None` once it has ended.
    child: Option<Child>,
    uri: String,
    socket: PathBuf,
}

impl Server {
    fn start(which: Which, russet: &Path, folder: &Path, image: &Path, raw: bool) -> Result<Self> {
        let socket = folder.join("socket");
        let mut command = match which {
            Which::Russet => Command::new(russet),
            Which::Qemu => Command::new("qemu-nbd"),
        };
        match which {
            Which::Russet => command.args(["disk", "serve"]),
            Which::Qemu => command.args(["--persistent", "--shared=8", "--format", if raw { "raw" } else { "qcow2" }]),
        };
        if !raw {
            command.arg("--snapshot");
        }
        // Both keep the overlay beside the image.
        command.arg("--socket").arg(&socket).arg(image).env("TMPDIR", folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("{command:?}"))?;
        let uri = format!("nbd+unix:///?socket={}", socket.display());
        let mut server = Self { child: Some(child), uri, socket };
        let start = Instant::now();
        while UnixStream::connect(&server.socket).is_err() {
            if start.elapsed() > BEGIN || server.child.as_mut().is_none_or(|c| !matches!(c.try_wait(), Ok(None))) {
                bail!("{command:?} does not listen");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Bytes that were moved, and in how many seconds.
    fn load(&self, work: &Work, options: &Options) -> Result<(f64, f64)> {
        let Some([rw, bs, depth]) = work.fio else {
            let start = Instant::now();
            let mut copy = Command::new("nbdcopy");
            copy.args(["--connections=2", &self.uri, "null:"]).stderr(Stdio::null());
            shell::run(&mut copy)?;
            return Ok((f64::from(options.size) * (1 << 20) as f64, start.elapsed().as_secs_f64()));
        };
        let mut fio = Command::new("fio");
        fio.args(["--name=nbd", "--ioengine=nbd", "--time_based", "--output-format=json", "--randrepeat=1"]);
        fio.arg(format!("--uri={}", self.uri)).arg(format!("--size={}M", options.size));
        fio.args([format!("--runtime={}", options.seconds), format!("--rw={rw}")]);
        fio.args([format!("--bs={bs}"), format!("--iodepth={depth}")]);
        let said = shell::output(&mut fio)?;
        // Its engine says something before the JSON.
        let json: Value = serde_json::from_str(&said[said.find('{').context("fio said nothing")?..])?;
        let job = &json["jobs"][0];
        let bytes: f64 = ["read", "write"].iter().filter_map(|way| job[way]["io_bytes"].as_f64()).sum();
        let time = ["read", "write"].iter().filter_map(|way| job[way]["runtime"].as_f64()).fold(0.0, f64::max);
        if bytes == 0.0 || time == 0.0 {
            bail!("fio moved nothing: {said}");
        }
        Ok((bytes, time / 1000.0))
    }

    fn end(&mut self, (bytes, seconds): (f64, f64)) -> Result<Sample> {
        let child = self.child.take().context("the server has ended")?;
        shell::run(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
        let usage = child.wait4()?.rusage;
        let cpu = (usage.utime + usage.stime).as_secs_f64();
        Ok(Sample { mib_per_s: bytes / seconds / (1 << 20) as f64, cpu_s_per_gib: cpu / (bytes / (1 << 30) as f64) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Only after an error, which is told.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(&self.socket);
    }
}

fn figures(samples: &[Sample]) -> Figures {
    Figures {
        mib_per_s: Spread::of(samples.iter().map(|s| s.mib_per_s)),
        cpu_s_per_gib: Spread::of(samples.iter().map(|s| s.cpu_s_per_gib)),
    }
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "{}\n{}, {} MiB, {} runs each\n\n",
        report.machine.describe(),
        report.image,
        report.size_mib,
        report.runs
    );
    text += &format!(
        "{:28} {:>22} {:>22} {:>7} {:>7} {:>9}\n",
        "", "russet MiB/s", "qemu-nbd MiB/s", "ratio", "wanted", "CPU ratio"
    );
    for line in &report.results {
        let show = |s: &Spread| format!("{:.0} ({:.0}-{:.0})", s.median, s.min, s.max);
        let cpu = line.russet.cpu_s_per_gib.median / line.qemu_nbd.cpu_s_per_gib.median;
        let (ours, theirs) = (show(&line.russet.mib_per_s), show(&line.qemu_nbd.mib_per_s));
        text +=
            &format!("{:28} {ours:>22} {theirs:>22} {:>7.2} {:>7.1} {cpu:>9.2}\n", line.name, line.ratio, line.target);
    }
    text
}
