//! What the command says to people, on standard error, also while the terminal is raw; and its results, on standard output.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ::config::Problem;
use serde_json::json;

use crate::console::terminal;

/// Says a line, or several. Between the lines of a guest ours are marked.
pub(crate) fn line(text: &str) {
    let text = if terminal::is_raw() { format!("\n[russet] {text}\n") } else { format!("{text}\n") };
    // Standard error may be closed; there is nobody left to tell.
    let _ = Writer::new().write_all(text.as_bytes());
}

/// Whether what is said is for programs, one event of JSON in a line.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Says everything as JSON from now on.
pub(crate) fn as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// Says what happens, which is neither a result nor an error.
pub(crate) fn note(text: &str) {
    tell(text, || json!({ "event": "note", "message": text }));
}

/// Says what may be wrong.
pub(crate) fn warning(problem: &Problem) {
    tell(&problem.to_string(), || json!({ "event": "warning", "problem": problem }));
}

fn tell(text: &str, event: impl FnOnce() -> serde_json::Value) {
    match AS_JSON.load(Ordering::Relaxed) {
        true => line(&event().to_string()),
        false => line(text),
    }
}

/// Why a result could not be written, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes a result to standard output. That it could not be written is told at the end, by [`unwritten`].
pub(crate) fn print(text: &str) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}")
        && !is_gone(&error)
    {
        let _ = UNWRITTEN.set(error);
    }
}

/// Why not all that was to be on standard output is there.
pub(crate) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// Whether the reader of an output has gone away, as `head` does, which is no error.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Standard error. On a raw terminal, which does not do it itself, a line ends with a carriage return as well.
pub(crate) struct Writer(());

impl Writer {
    pub(crate) fn new() -> Self {
        Writer(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if terminal::is_raw() {
            let mut text = Vec::with_capacity(bytes.len() + 2);
            for &byte in bytes {
                if byte == b'\n' {
                    text.push(b'\r');
                }
                text.push(byte);
            }
            stderr.write_all(&text)?;
        } else {
            stderr.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
