//! The networks, all with the same addresses, in which the gateway stands for the host.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::card::Wire;
use super::rings::Rings;
use super::stream::Stream;

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Russet,
    Slirp,
    Passt,
}

impl Peer {
    pub(super) const ALL: [Self; 3] = [Self::Russet, Self::Slirp, Self::Passt];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Russet => "russet",
            Self::Slirp => "slirp",
            Self::Passt => "passt",
        }
    }

    /// Starts it.
    pub(super) fn plug(self) -> Result<Box<dyn Wire>> {
        match self {
            Self::Russet => Ok(Box::new(Rings::new()?)),
            Self::Slirp => stream(1500, |socket| {
                let mut command = Command::new("qemu-system-aarch64");
                command.args(["-M", "none", "-nodefaults", "-display", "none"]);
                command.args(["-netdev", "user,id=u,net=192.168.64.0/24,host=192.168.64.1,dhcpstart=192.168.64.2"]);
                let stream = format!("stream,id=s,server=on,addr.type=unix,addr.path={}", socket.display());
                command.args(["-netdev", &stream]);
                command.args(["-netdev", "hubport,id=a,hubid=0,netdev=u", "-netdev", "hubport,id=b,hubid=0,netdev=s"]);
                command
            }),
            Self::Passt => stream(65520, |socket| {
                let mut command = Command::new("passt");
                command.args(["--foreground", "--quiet", "--ipv4-only", "--socket"]).arg(socket);
                command.args(["-a", "192.168.64.2", "-n", "24", "-g", "192.168.64.1", "-t", "none", "-u", "none"]);
                command
            }),
        }
    }
}

/// Starts a program that listens at a unix socket, and connects to it.
fn stream(mtu: usize, command: impl FnOnce(&Path) -> Command) -> Result<Box<dyn Wire>> {
    let folder = tempfile::tempdir()?;
    // A program that lets go of its rights has to get there.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let socket = folder.path().join("socket");
    let mut command = command(&socket);
    let mut program = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{command:?}: install qemu-system-arm and passt"))?;
    let start = Instant::now();
    loop {
        if let Ok(stream) = UnixStream::connect(&socket) {
            return Ok(Box::new(Stream::new(stream, program, folder, mtu)?));
        }
        if let Some(status) = program.try_wait()? {
            bail!("{command:?} has ended: {status}");
        }
        if start.elapsed() > Duration::from_secs(10) {
            let _ = program.kill();
            bail!("{command:?} does not listen");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
