//! An NBD server of one image, ours or qemu-nbd, and the clients that load it.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use super::fio;
use super::report::{Sample, Side};

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// How a server has its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Under a throw-away overlay.
    Snapshot,
    /// By itself.
    None,
}

/// A server of one image.
pub(super) struct Server {
    /// `None` once it has ended.
    child: Option<Child>,
    uri: String,
    socket: PathBuf,
}

impl Server {
    /// Starts `russet` or qemu-nbd with the qcow2 image at `image`. Socket and overlay are beside it.
    pub(super) fn start(side: Side, russet: &Path, image: &Path, layer: Layer) -> Result<Self> {
        let folder = image.parent().context("an image without a folder")?;
        let socket = folder.join("socket");
        let mut command = match side {
            Side::Russet => Command::new(russet),
            Side::Peer => Command::new("qemu-nbd"),
        };
        match side {
            Side::Russet => command.args(["disk", "serve"]),
            Side::Peer => command.args(["--persistent", "--shared=8", "--format=qcow2"]),
        };
        if layer == Layer::Snapshot {
            command.arg("--snapshot");
        }
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

    /// fio with these further options. Bytes that were moved, and in how many seconds.
    pub(super) fn fio(&self, options: &[String]) -> Result<(f64, f64)> {
        fio::run(&[&["--ioengine=nbd".to_owned(), format!("--uri={}", self.uri)], options].concat())
    }

    /// All of the `size` bytes, to nowhere, and in how many seconds.
    pub(super) fn copy(&self, size: u64) -> Result<(f64, f64)> {
        let start = Instant::now();
        let mut copy = Command::new("nbdcopy");
        let status = copy.args(["--connections=2", &self.uri, "null:"]).stderr(Stdio::null()).status()?;
        if !status.success() {
            bail!("{copy:?}: {status}");
        }
        Ok((size as f64, start.elapsed().as_secs_f64()))
    }

    /// Ends it, after it has moved so many bytes in so many seconds.
    pub(super) fn end(mut self, (bytes, seconds): (f64, f64)) -> Result<Sample> {
        let child = self.child.take().context("the server has ended")?;
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let usage = child.wait4()?.rusage;
        let cpu = (usage.utime + usage.stime).as_secs_f64();
        Ok(Sample { cpu_s_per_gib: Some(cpu / (bytes / (1 << 30) as f64)), ..Sample::of(bytes, seconds) })
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
