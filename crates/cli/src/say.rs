//! What the command says to people, on standard error, also while the terminal is raw.

use std::io::{self, Write};

use crate::console::terminal;

/// Says a line, or several. Between the lines of a guest ours are marked.
pub(crate) fn line(text: &str) {
    let text = if terminal::is_raw() { format!("\n[russet] {text}\n") } else { format!("{text}\n") };
    // Standard error may be closed; there is nobody left to tell.
    let _ = Writer::new().write_all(text.as_bytes());
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
