//! The host's ends of the guest's consoles and ports.

pub(crate) mod cancel;
mod file;
mod pty;
mod pump;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use devices::virtio::console::PipeEnd;
use parking_lot::Mutex;

use self::pump::Pump;

/// A console or port of the guest, on the host.
///
/// When it is dropped with its machine, what the guest has written still goes out, and pseudo-terminals and sockets
/// go away.
pub struct Console {
    end: PipeEnd,
    stream: Mutex<Option<ConsoleStream>>,
    pump: Option<Pump>,
    path: Option<PathBuf>,
}

impl Console {
    /// One that the caller connects itself.
    pub(crate) fn stream(end: PipeEnd) -> Self {
        let stream = Mutex::new(Some(ConsoleStream(end.clone())));
        Self { end, stream, pump: None, path: None }
    }

    /// A new pseudo-terminal.
    pub(crate) fn pty(end: PipeEnd) -> io::Result<Self> {
        let (pty, path) = pty::open()?;
        Self::pumped(end, Some(path), |end| Pump::start(end, pty))
    }

    /// A unix socket that takes one client at a time.
    pub(crate) fn socket(end: PipeEnd, path: &Path) -> io::Result<Self> {
        let socket = socket::listen(path)?;
        Self::pumped(end, Some(path.to_owned()), |end| Pump::start(end, socket))
    }

    /// A file for the guest's output.
    pub(crate) fn file(end: PipeEnd, path: &Path, append: bool) -> io::Result<Self> {
        let file = file::open(path, append)?;
        Self::pumped(end, Some(path.to_owned()), |end| Pump::start_output(end, file))
    }

    /// A file that the engine writes by itself.
    pub(crate) fn elsewhere(end: PipeEnd, path: &Path) -> Self {
        Self { end, stream: Mutex::new(None), pump: None, path: Some(path.to_owned()) }
    }

    fn pumped(
        end: PipeEnd,
        path: Option<PathBuf>,
        start: impl FnOnce(PipeEnd) -> io::Result<Pump>,
    ) -> io::Result<Self> {
        let pump = start(end.clone())?;
        Ok(Self { end, stream: Mutex::new(None), pump: Some(pump), path })
    }

    /// The bytes, for a console that the configuration attaches to standard input and output: the caller connects
    /// them. `None` for others, and when they were taken already.
    #[must_use]
    pub fn take_stream(&self) -> Option<ConsoleStream> {
        self.stream.lock().take()
    }

    /// The pseudo-terminal, socket or file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether a client has the pseudo-terminal or socket open now.
    #[must_use]
    pub fn has_client(&self) -> bool {
        self.pump.as_ref().is_some_and(Pump::has_client)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.end.close();
        if let Some(pump) = self.pump.take() {
            pump.finish();
        }
    }
}

/// The bytes of a console. Reads wait for output of the guest, writes for room in its input; clones share both.
#[derive(Clone)]
pub struct ConsoleStream(PipeEnd);

impl ConsoleStream {
    /// Ends it: readers get what is left and then the end, writers an error, what the guest writes from now on is
    /// lost. To be called when the machine has ended, since it may be started again and does not end it by itself.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Read for ConsoleStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }
}

impl Write for ConsoleStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&self.0).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
