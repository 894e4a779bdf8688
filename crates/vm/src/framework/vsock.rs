//! vsock ports of the guest, bound to unix sockets of the host.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use rustix::event::PollFlags;
use vz::{Devices, Framework, Session};

use super::driver::Message;
use crate::State;
use crate::console::cancel::{Cancel, Wait, cancel};
use crate::console::socket;

/// A port to which programs in the guest connect.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub(super) number: u32,
    /// The socket of the program on the host.
    pub(super) socket: PathBuf,
}

/// Listens on the ports, of a guest that runs.
pub(super) fn listen<F: Framework + Devices>(session: &mut Session<F>, ports: &[Port]) {
    let Ok(devices) = session.devices() else { return };
    for port in ports {
        let (socket, number) = (port.socket.clone(), port.number);
        let accept = move |stream: OwnedFd| match UnixStream::connect(&socket) {
            Ok(host) => join(stream.into(), host),
            Err(error) => tracing::warn!(port = number, socket = %socket.display(), %error, "nobody serves the port"),
        };
        let told = move |done: Result<(), String>| {
            if let Err(reason) = done {
                tracing::error!(port = number, reason, "the vsock port cannot be listened to");
            }
        };
        devices.listen(port.number, Box::new(accept), Box::new(told));
    }
}

/// Leads a program of the host to a port of the guest.
fn connect(devices: &mut dyn Devices, port: u32, host: UnixStream) {
    let told = move |stream: Result<OwnedFd, String>| match stream {
        Ok(stream) => join(stream.into(), host),
        Err(reason) => tracing::warn!(port, reason, "the guest does not take the connection"),
    };
    devices.connect(port, Box::new(told));
}

/// Carries bytes between two streams until both have ended, on threads of its own.
fn join(a: UnixStream, b: UnixStream) {
    let both = || -> io::Result<()> {
        let (a2, b2) = (a.try_clone()?, b.try_clone()?);
        let spawn = |from, to| thread::Builder::new().name("vsock".into()).spawn(move || copy(from, &to));
        spawn(a, b)?;
        spawn(b2, a2).map(drop)
    };
    if let Err(error) = both() {
        tracing::warn!(%error, "a connection over vsock is lost");
    }
}

fn copy(mut from: UnixStream, mut to: &UnixStream) {
    // An end and an error end this direction alike; the other one goes on.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// A unix socket through which programs of the host reach a port of the guest. Its file goes with it.
pub(super) struct Door {
    path: PathBuf,
    cancel: Option<Cancel>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Listens at `path` for what is to go to `port`.
    pub(super) fn open(path: &Path, port: u32, messages: Sender<Message>) -> io::Result<Self> {
        let listener = socket::private_listener(path)?;
        listener.set_nonblocking(true)?;
        let (cancel, cancelled) = cancel()?;
        let accept = move || {
            while let Ok(Wait::Ready(_)) = cancelled.wait(&listener, PollFlags::IN, None) {
                // One that has gone meanwhile is no reason to end.
                let Ok((stream, _)) = listener.accept() else { continue };
                if stream.set_nonblocking(false).is_err() {
                    continue;
                }
                let lead = move |devices: Result<&mut dyn Devices, State>| {
                    // Dropped, it tells the program that nobody is there.
                    if let Ok(devices) = devices {
                        connect(devices, port, stream);
                    }
                };
                if messages.send(Message::Devices(Box::new(lead))).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("vsock-in".into()).spawn(accept)?;
        Ok(Self { path: path.to_owned(), cancel: Some(cancel), thread: Some(thread) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.cancel = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}
