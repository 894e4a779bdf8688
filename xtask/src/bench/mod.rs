//! Measurements. Ratios are of runs in turn on the same machine; absolute figures are of that machine only.

mod boot;
mod compare;
mod cpu;
mod disk;
mod emulator;
mod kernels;
mod machine;
mod net;
mod picture;
mod program;
mod run;
mod translation;
mod turns;
mod userland;
mod work;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// From the start of the process to the guest's power-off: russet and qemu-system-aarch64 in turn
    Boot(boot::Options),
    /// Loops of integer and floating-point code in a guest: russet and qemu-system-aarch64 in turn
    Kernels(kernels::Options),
    /// gzip, sha256sum, awk, python3 and starts of processes in a Debian guest: russet and qemu-system-aarch64 in turn
    Userland(userland::Options),
    /// Four CPUs busy in a Debian guest: russet and qemu-system-aarch64 in turn
    Smp(userland::Options),
    /// TCP, UDP and new connections from a guest's side of the wire: ours, qemu's libslirp and passt in turn
    Net(net::Options),
    /// NBD, qcow2 and clones on files in memory and on a disk: ours, qemu-nbd and qemu-img in turn
    Disk(disk::Options),
    /// All of these: russet and qemu-system-aarch64 in turn; as a table, as JSON and as a picture
    Cpu(cpu::Options),
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Boot(options) => boot::run(options),
        Bench::Kernels(options) => kernels::run(options),
        Bench::Userland(options) => userland::run(options, &userland::USERLAND),
        Bench::Smp(options) => userland::run(options, &userland::SMP),
        Bench::Net(options) => net::run(options),
        Bench::Disk(options) => disk::run(options),
        Bench::Cpu(options) => cpu::run(options),
    }
}
