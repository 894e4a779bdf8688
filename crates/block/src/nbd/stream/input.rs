//! What has been received and not been looked at: many small messages from one system call.

use std::io;
use std::time::Instant;

use super::Receiver;

/// A receiving half with a buffer.
pub(crate) struct Input {
    receiver: Receiver,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    deadline: Option<Instant>,
}

impl Input {
    pub(crate) fn new(receiver: Receiver, capacity: usize) -> Self {
        Self { receiver, buf: vec![0; capacity].into(), start: 0, end: 0, deadline: None }
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// From now on nothing is received after `deadline`.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.deadline = deadline;
        if deadline.is_none() { self.receiver.socket().set_receive_timeout(None) } else { Ok(()) }
    }

    /// What is there.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Waits until `len` bytes are there, which are at most the capacity. They stay until they are consumed.
    ///
    /// # Errors
    /// `UnexpectedEof` when the peer has closed before that.
    pub(crate) fn need(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.end - self.start < len {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.buf[self.start..self.start + len])
    }

    /// `N` bytes, consumed.
    pub(crate) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.need(N)?);
        self.consume(N);
        Ok(bytes)
    }

    /// Big-endian, consumed.
    pub(crate) fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Big-endian, consumed.
    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Big-endian, consumed.
    pub(crate) fn u64(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// `len` bytes, consumed; the caller has bounded them.
    pub(crate) fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.fill_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes `len` bytes which are there away.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
    }

    /// Moves bytes into `out`: what is there, then from the socket straight to it.
    pub(crate) fn fill_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        let mut done = self.buffered().len().min(out.len());
        out[..done].copy_from_slice(&self.buffered()[..done]);
        self.consume(done);
        while done < out.len() {
            // Small rests are received together with what comes after them.
            if out.len() - done < self.buf.len() / 4 {
                let rest = out.len() - done;
                out[done..].copy_from_slice(self.need(rest)?);
                self.consume(rest);
                return Ok(());
            }
            self.limit()?;
            match self.receiver.receive(&mut out[done..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => done += more,
            }
        }
        Ok(())
    }

    /// Receives and forgets `len` bytes.
    pub(crate) fn skip(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let part = len.min(self.buf.len() as u64);
            self.need(1)?;
            let part = (self.buffered().len() as u64).min(part) as usize;
            self.consume(part);
            len -= part as u64;
        }
        Ok(())
    }

    /// Receives once behind what is there. 0: the peer has closed.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.buf.len() - self.end < self.buf.len() / 2 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.limit()?;
        let got = self.receiver.receive(&mut self.buf[self.end..])?;
        self.end += got;
        Ok(got)
    }

    fn limit(&self) -> io::Result<()> {
        self.deadline.map_or(Ok(()), |deadline| self.receiver.socket().set_receive_deadline(deadline))
    }
}
