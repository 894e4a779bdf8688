//! A console on standard input and output: a raw terminal, or pipes.

use std::io::{self, Read, Write};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vm::ConsoleStream;

use super::escape::{Filter, Wish};
use super::terminal;
use crate::say;

/// The console on standard input and output.
pub(crate) struct Stdio {
    stream: ConsoleStream,
    output: JoinHandle<()>,
    /// Drop restores the terminal.
    _raw: Option<terminal::Raw>,
}

impl Stdio {
    /// Connects the guest's `stream` to standard input and output. With `keep_ctrl_c` the terminal's keys for signals
    /// remain ours. `wish` is called with what the user of the terminal wants of us.
    ///
    /// The thread that reads standard input is left behind at the end: a read cannot be called off, and the process
    /// ends soon after.
    ///
    /// # Errors
    /// When the terminal cannot be made raw, or a thread cannot be started.
    pub(crate) fn connect(
        stream: ConsoleStream,
        keep_ctrl_c: bool,
        wish: impl Fn(Wish) + Send + 'static,
    ) -> io::Result<Self> {
        let raw = terminal::Raw::enter(keep_ctrl_c)?;
        let is_terminal = raw.is_some();
        let mut to_guest = stream.clone();
        thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let result = match is_terminal {
                true => from_terminal(&mut to_guest, &wish),
                false => from_pipe(&mut to_guest),
            };
            if let Err(error) = result {
                tracing::debug!("the console's input ended: {error}");
            }
        })?;
        let mut from_guest = stream.clone();
        let output = thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            let mut stdout = io::stdout().lock();
            let mut open = true;
            let result = each_chunk(&mut from_guest, |bytes| {
                // An output that takes nothing any more does not stop the guest.
                if open && let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
                    open = false;
                    if !say::is_gone(&error) {
                        say::note(&format!("what the guest prints is lost from here on: standard output: {error}"));
                    }
                }
                Ok(())
            });
            if let Err(error) = result {
                tracing::warn!("the console's output ended: {error}");
            }
        })?;
        Ok(Stdio { stream, output, _raw: raw })
    }

    /// Waits until all that the guest wrote has been written, or `give_up` says that it was long enough, and restores
    /// the terminal. The machine must have ended.
    pub(crate) fn finish(self, give_up: impl Fn() -> bool) {
        self.stream.close();
        while !self.output.is_finished() && !give_up() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn from_terminal(to_guest: &mut dyn Write, wish: &dyn Fn(Wish)) -> io::Result<()> {
    let mut filter = Filter::default();
    let mut guest = Vec::new();
    each_chunk(&mut io::stdin().lock(), |typed| {
        guest.clear();
        filter.feed(typed, &mut guest).into_iter().for_each(wish);
        to_guest.write_all(&guest)
    })
}

/// Bytes of a pipe are all for the guest, and its end is no reason to stop the machine.
fn from_pipe(to_guest: &mut dyn Write) -> io::Result<()> {
    each_chunk(&mut io::stdin().lock(), |bytes| to_guest.write_all(bytes))
}

fn each_chunk(from: &mut dyn Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
