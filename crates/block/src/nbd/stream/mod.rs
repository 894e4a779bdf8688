//! A connection: a socket, in TLS or not, with a half that receives and a half that sends.
//!
//! The halves may be used by two threads at once. TLS is one state machine for both directions, behind a lock which
//! is held while bytes are encrypted or decrypted, never while the socket waits.

mod credentials;
mod input;
mod socket;

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

pub use credentials::Credentials;
pub(crate) use input::Input;
pub use socket::Socket;

/// How much the receiving half takes from the socket at once when it has to be decrypted.
const RAW: usize = 64 << 10;
/// How much is encrypted at once: several TLS records of 16 KiB.
const CIPHER: usize = 64 << 10;

type Tls = Arc<Mutex<rustls::Connection>>;

/// The half that receives.
pub(crate) struct Receiver {
    socket: Arc<Socket>,
    tls: Option<(Tls, Raw)>,
}

/// Received and not decrypted yet.
struct Raw {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// The half that sends.
pub(crate) struct Sender {
    socket: Arc<Socket>,
    tls: Option<(Tls, Vec<u8>)>,
}

/// Both halves of a plain connection.
pub(crate) fn plain(socket: Arc<Socket>) -> (Receiver, Sender) {
    (Receiver { socket: socket.clone(), tls: None }, Sender { socket, tls: None })
}

/// Both halves of an encrypted one, after the TLS handshake, which ends in an error at `deadline`.
pub(crate) fn encrypted(
    socket: Arc<Socket>,
    mut tls: rustls::Connection,
    deadline: Instant,
) -> io::Result<(Receiver, Sender)> {
    let done = handshake(&socket, &mut tls, deadline);
    // Also the reason why it failed goes to the peer, as an alert.
    while tls.wants_write() {
        tls.write_tls(&mut &*socket)?;
    }
    done?;
    let tls = Arc::new(Mutex::new(tls));
    let raw = Raw { bytes: vec![0; RAW].into(), start: 0, end: 0 };
    let receiver = Receiver { socket: socket.clone(), tls: Some((tls.clone(), raw)) };
    Ok((receiver, Sender { socket, tls: Some((tls, Vec::with_capacity(CIPHER + 4096))) }))
}

fn handshake(mut socket: &Socket, tls: &mut rustls::Connection, deadline: Instant) -> io::Result<()> {
    while tls.is_handshaking() {
        if tls.wants_write() {
            tls.write_tls(&mut socket)?;
            continue;
        }
        socket.set_receive_deadline(deadline)?;
        if tls.read_tls(&mut socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        tls.process_new_packets().map_err(io::Error::other)?;
    }
    Ok(())
}

impl Receiver {
    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Fills some of `buf`, which is not empty, and waits for at least one byte. 0: the peer has closed.
    pub(crate) fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some((tls, raw)) = &mut self.tls else { return self.socket.receive(buf) };
        loop {
            if let Some(done) = decrypt(&mut tls.lock(), raw, buf)? {
                return Ok(done);
            }
            // A connection that ends without a goodbye may have been cut by somebody else.
            raw.end = self.socket.receive(&mut raw.bytes)?;
            raw.start = 0;
            if raw.end == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Decrypts what there is until some plaintext comes of it. `None`: more is needed from the socket.
fn decrypt(tls: &mut rustls::Connection, raw: &mut Raw, buf: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match tls.reader().read(buf) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            done => return done.map(Some),
        }
        if raw.start == raw.end {
            return Ok(None);
        }
        raw.start += tls.read_tls(&mut &raw.bytes[raw.start..raw.end])?;
        tls.process_new_packets().map_err(io::Error::other)?;
    }
}

impl Sender {
    /// Sends all of `bufs`, and changes them on the way.
    pub(crate) fn send(&mut self, mut bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        let Some((tls, cipher)) = &mut self.tls else { return self.socket.send(bufs) };
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            let mut taken = 0;
            cipher.clear();
            let mut tls = tls.lock();
            for buf in bufs.iter() {
                let part = &buf[..buf.len().min(CIPHER - taken)];
                let written = tls.writer().write(part)?;
                taken += written;
                if written < buf.len() {
                    break;
                }
            }
            while tls.wants_write() {
                tls.write_tls(cipher)?;
            }
            drop(tls);
            self.socket.send(&mut [IoSlice::new(cipher)])?;
            IoSlice::advance_slices(&mut bufs, taken);
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes, where TLS can say so.
    pub(crate) fn close(&mut self) {
        if let Some((tls, cipher)) = &mut self.tls {
            cipher.clear();
            let mut tls = tls.lock();
            tls.send_close_notify();
            while tls.wants_write() && tls.write_tls(cipher).is_ok() {}
            drop(tls);
            // The peer may be gone already.
            let _ = self.socket.send(&mut [IoSlice::new(cipher)]);
        }
    }
}
