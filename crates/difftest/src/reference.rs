//! The reference: `reference.s` under `qemu-aarch64`.

use crate::assemble::assemble;
use crate::record::{RECORD, decode, encode_batch};
use crate::{BATCH, Case, Outcome, Stop};
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Far from what registers come to hold in a case: a stray access finds nothing there.
const LINK: &str = "-Wl,-Ttext-segment=0x2abcd0000000";

/// A running reference program.
pub struct Reference {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    _folder: TempDir,
}

impl Reference {
    /// Builds the program and starts it on a CPU named as QEMU's `-cpu` takes it.
    ///
    /// # Errors
    /// If the compiler or QEMU is missing or fails.
    pub fn start(cpu: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let program = assemble(folder.path(), "reference", include_str!("reference.s"), &[LINK])?;
        let mut child = Command::new("qemu-aarch64")
            .args(["-cpu", cpu])
            .arg(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting qemu-aarch64; install the package qemu-user")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("the reference has no output")?;
        Ok(Self { child, input, output, _folder: folder })
    }

    /// Runs up to [`BATCH`] cases.
    ///
    /// # Errors
    /// If there are too many cases, or the reference ends early.
    pub fn run(&mut self, cases: &[Case]) -> Result<Vec<Outcome>> {
        ensure!(cases.len() <= BATCH, "a batch has {BATCH} cases at most");
        let (code, records) = encode_batch(cases);
        // It reads a whole batch before it writes anything.
        let input = self.input.as_mut().context("the reference was ended")?;
        for bytes in [&(cases.len() as u64).to_le_bytes()[..], &code, &records] {
            input.write_all(bytes).context("the reference takes no more cases")?;
        }
        let mut bytes = vec![0; cases.len() * RECORD];
        self.output.read_exact(&mut bytes).context("the reference ended inside a batch")?;
        Ok(bytes.chunks_exact(RECORD).map(|record| decode(record, stop)).collect())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        // Nothing is to be done about a reference that failed at its end.
        let _ = self.child.wait();
    }
}

/// What a signal of Linux means.
fn stop(signal: u64) -> Stop {
    match signal {
        4 => Stop::Undefined,
        5 => Stop::Breakpoint,
        7 | 11 => Stop::Fault,
        other => Stop::Other(other),
    }
}
