//! The machine that a figure was measured on, and the versions of what was measured.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::shell;

/// Where and what.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    memory_mib: u64,
    kernel: String,
    pub(crate) russet: String,
    rustc: String,
    pub(crate) qemu: String,
}

impl Machine {
    /// This one, with the russet of this source, or one that was `given` in its place.
    pub(crate) fn this(given: Option<&Path>) -> Self {
        let described = || {
            let mut git = Command::new("git");
            first_line(git.current_dir(shell::workspace()).args(["describe", "--always", "--dirty"]))
        };
        // Nobody knows of what source it is.
        let version = |path: &Path| {
            let version = first_line(Command::new(path).arg("--version"));
            format!("{} (--russet)", version.trim_start_matches("russet "))
        };
        let value = |file: &str, key: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|l| l.starts_with(key)).and_then(|l| l.split_once(':'));
            line.map_or_else(|| "unknown".to_owned(), |(_, v)| v.trim().to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal");
        let kilobytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            cpu: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_mib: kilobytes / 1024,
            kernel: first_line(Command::new("uname").arg("-sr")),
            russet: given.map_or_else(described, version),
            rustc: first_line(Command::new("rustc").arg("-V")),
            qemu: first_line(Command::new("qemu-system-aarch64").arg("--version")),
        }
    }

    /// In some lines.
    pub(crate) fn describe(&self) -> String {
        let Self { cpu, cores, memory_mib, kernel, russet, rustc, qemu } = self;
        format!("{cpu}, {cores} CPUs, {memory_mib} MiB, {kernel}\nrusset {russet}, {rustc}\n{qemu}")
    }
}

/// The first line that a program says.
pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    output.lines().next().unwrap_or("unknown").to_owned()
}
