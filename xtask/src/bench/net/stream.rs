//! A stream socket that carries frames, each after its length in four bytes, as qemu and passt speak it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::card::Wire;
use crate::bench::run::cpu_time;

/// How much is read, and may wait to be written, at once.
const CHUNK: usize = 256 << 10;

/// The socket, and the program at its other end, which is ended with it.
pub(super) struct Stream {
    socket: UnixStream,
    program: Child,
    mtu: usize,
    /// What was read, and how much of it was taken.
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    written: usize,
    _folder: tempfile::TempDir,
}

impl Stream {
    pub(super) fn new(
        socket: UnixStream,
        program: Child,
        folder: tempfile::TempDir,
        mtu: usize,
    ) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { socket, program, mtu, input, taken: 0, output, written: 0, _folder: folder })
    }

    fn fill(&mut self) {
        self.input.drain(..self.taken);
        self.taken = 0;
        let old = self.input.len();
        self.input.resize(old + CHUNK, 0);
        let count = self.socket.read(&mut self.input[old..]).unwrap_or(0);
        self.input.truncate(old + count);
    }

    fn drain(&mut self) {
        while self.written < self.output.len() {
            match self.socket.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        self.output.clear();
        self.written = 0;
    }

    /// The length of the next frame, if it is there whole.
    fn whole(&self) -> Option<usize> {
        let rest = &self.input[self.taken..];
        let len = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        (rest.len() >= 4 + len).then_some(len)
    }
}

impl Wire for Stream {
    fn receive(&mut self, frame: &mut Vec<u8>) -> bool {
        if self.whole().is_none() {
            self.fill();
        }
        let Some(len) = self.whole() else { return false };
        frame.clear();
        frame.extend_from_slice(&self.input[self.taken + 4..][..len]);
        self.taken += 4 + len;
        true
    }

    fn can_send(&mut self) -> bool {
        if self.output.len() > CHUNK {
            self.drain();
        }
        self.output.len() <= CHUNK
    }

    fn send(&mut self, frame: &[u8]) {
        self.output.extend((frame.len() as u32).to_be_bytes());
        self.output.extend_from_slice(frame);
    }

    fn flush(&mut self) {
        self.drain();
    }

    fn wait(&mut self, patience: Duration) {
        if self.whole().is_some() {
            return;
        }
        let writable = if self.output.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN | writable)];
        // Whatever it says, the socket is looked at next.
        let _ = poll(&mut sockets, Some(&patience));
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn offloads(&self) -> bool {
        false
    }

    fn cpu(&self) -> f64 {
        cpu_time(self.program.id(), "")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
