//! The two emulators that are compared, and the same machine on each of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::shell;

/// Ours or the one to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Emulator {
    /// `russet run --engine soft`
    Russet,
    /// `qemu-system-aarch64`, TCG
    Qemu,
}

impl Emulator {
    /// The order in which they take turns.
    pub(crate) const BOTH: [Self; 2] = [Self::Russet, Self::Qemu];

    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Russet => "russet",
            Self::Qemu => "qemu-system-aarch64",
        }
    }
}

/// Which russet is measured, and how it runs.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// The russet to measure, instead of one built now
    #[arg(long)]
    russet: Option<PathBuf>,
    /// What russet does with hot code: off, on or stress
    #[arg(long, default_value = "on")]
    jit: String,
    /// Only this emulator
    #[arg(long, value_enum)]
    emulator: Option<Emulator>,
}

impl Choice {
    /// Makes both emulators ready.
    pub(crate) fn prepare(&self) -> Result<Emulators> {
        let wanted: Vec<Emulator> = match self.emulator {
            Some(only) => vec![only],
            None => Emulator::BOTH.to_vec(),
        };
        if wanted.contains(&Emulator::Qemu) && !shell::has(Emulator::Qemu.name()) {
            bail!("{} is missing: apt-get install qemu-system-arm", Emulator::Qemu.name());
        }
        let russet = match &self.russet {
            Some(path) => path.clone(),
            None if !wanted.contains(&Emulator::Russet) => PathBuf::new(),
            None => build()?,
        };
        Ok(Emulators { wanted, russet, is_given: self.russet.is_some(), jit: self.jit.clone() })
    }
}

fn build() -> Result<PathBuf> {
    shell::run(shell::cargo().args(["build", "--release", "--package", "russet"]))?;
    Ok(shell::target().join("release/russet"))
}

/// A machine: a PL011 on standard output, perhaps a disk, and nothing else.
pub(crate) struct Board<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    pub(crate) command_line: &'a str,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u32,
    /// A raw image, attached read-only.
    pub(crate) disk: Option<&'a Path>,
    /// Another, which the guest may write.
    pub(crate) scratch: Option<&'a Path>,
    /// A card on a user-mode network 192.168.64.0/24 in which 192.168.64.1 is the host.
    pub(crate) network: bool,
}

impl<'a> Board<'a> {
    /// One CPU, 512 MiB, neither disks nor network.
    pub(crate) fn new(kernel: &'a Path, initrd: &'a Path, command_line: &'a str) -> Self {
        Self { kernel, initrd, command_line, cpus: 1, memory_mib: 512, disk: None, scratch: None, network: false }
    }
}

/// What takes turns.
pub(crate) struct Emulators {
    wanted: Vec<Emulator>,
    russet: PathBuf,
    is_given: bool,
    jit: String,
}

impl Emulators {
    /// Both, with the russet at this path.
    pub(crate) fn of(russet: PathBuf) -> Self {
        Self { wanted: Emulator::BOTH.to_vec(), russet, is_given: true, jit: "on".to_owned() }
    }

    /// Where they are.
    pub(crate) fn machine(&self) -> Machine {
        Machine::this(self.is_given.then_some(&self.russet))
    }

    /// Who goes first takes turns, too: other work on the machine often comes and goes as regularly.
    pub(crate) fn order(&self, run: u32) -> Vec<Emulator> {
        let mut order = self.wanted.clone();
        if run.is_multiple_of(2) {
            order.reverse();
        }
        order
    }

    /// Runs `board` on `emulator`.
    pub(crate) fn command(&self, emulator: Emulator, board: &Board<'_>) -> Command {
        match emulator {
            Emulator::Russet => self.russet(board),
            Emulator::Qemu => qemu(board),
        }
    }

    fn russet(&self, board: &Board<'_>) -> Command {
        let (kernel, initrd, line) = (board.kernel.display(), board.initrd.display(), board.command_line);
        let loader = format!("linux,kernel=\"{kernel}\",initrd=\"{initrd}\",cmdline=\"{line}\"");
        let mut command = Command::new(&self.russet);
        command.args(["run", "--engine", "soft", "--jit", &self.jit, "--stats", "--json", "--bootloader", &loader]);
        command.args(["--cpus", &board.cpus.to_string(), "--memory", &board.memory_mib.to_string()]);
        command.args(["--device", "pl011,stdio"]);
        if let Some(disk) = board.disk {
            command.args(["--device", &format!("virtio-blk,path=\"{}\",readonly", disk.display())]);
        }
        if let Some(disk) = board.scratch {
            command.args(["--device", &format!("virtio-blk,path=\"{}\"", disk.display())]);
        }
        if board.network {
            command.args(["--device", "virtio-net,nat,subnet=192.168.64.0/24,host-access=on"]);
        }
        command
    }
}

fn qemu(board: &Board<'_>) -> Command {
    let mut command = Command::new(Emulator::Qemu.name());
    let (cpus, memory) = (board.cpus.to_string(), board.memory_mib.to_string());
    command.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", &memory, "-nographic"]);
    // No network card of QEMU's own choice: its boot ROM is in a package of its own.
    if board.network {
        command.args(["-netdev", "user,id=net,net=192.168.64.0/24,host=192.168.64.1,dhcpstart=192.168.64.2"]);
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
    } else {
        command.args(["-nic", "none"]);
    }
    if board.cpus > 1 {
        command.args(["-accel", "tcg,thread=multi", "-smp", &cpus]);
    }
    for (id, disk, readonly) in [("disk", board.disk, "on"), ("scratch", board.scratch, "off")] {
        let Some(disk) = disk else { continue };
        // A comma in a value is written twice.
        let file = disk.display().to_string().replace(',', ",,");
        command.args(["-drive", &format!("file={file},if=none,id={id},format=raw,readonly={readonly}")]);
        command.args(["-device", &format!("virtio-blk-pci,drive={id}")]);
    }
    command.args(["-append", board.command_line, "-kernel"]).arg(board.kernel).arg("-initrd").arg(board.initrd);
    command
}
