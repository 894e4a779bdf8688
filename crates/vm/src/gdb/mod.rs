//! Debugging the guest with GDB, over its remote protocol.

mod arch;
mod monitor;
mod session;
mod target;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::PollFlags;

use self::session::{End, Event};
use crate::VirtualMachine;
use crate::console::cancel::{Cancel, Cancelled, Wait, cancel};
use crate::console::socket;

/// Listens for GDB, one after the other, until it is dropped. GDB has full power over the guest.
///
/// A GDB that connects finds the machine halted; one that detaches or goes away leaves it running, without breakpoints;
/// one that kills it stops the machine hard.
pub struct GdbServer {
    cancel: Option<Cancel>,
    session: Arc<Mutex<Option<Sender<Event>>>>,
    thread: Option<JoinHandle<()>>,
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
}

/// How long a client may take to read what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl GdbServer {
    /// Listens on TCP port `port` of this host alone; 0 is any that is free. With `hold` the machine executes nothing
    /// until a GDB lets it.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn on_port(vm: &Arc<VirtualMachine>, port: u16, hold: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut server = Self::start(vm, Listener::Tcp(listener), hold)?;
        server.address = Some(address);
        Ok(server)
    }

    /// Listens on a unix socket at `path` for this user alone; its file goes with the server. Else as
    /// [`GdbServer::on_port`].
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn on_socket(vm: &Arc<VirtualMachine>, path: &Path, hold: bool) -> io::Result<Self> {
        let listener = socket::private_listener(path)?;
        listener.set_nonblocking(true)?;
        let mut server = Self::start(vm, Listener::Unix(listener), hold)?;
        server.path = Some(path.to_owned());
        Ok(server)
    }

    /// The TCP address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn start(vm: &Arc<VirtualMachine>, listener: Listener, hold: bool) -> io::Result<Self> {
        let (cancel, cancelled) = cancel()?;
        let unable = || io::Error::new(io::ErrorKind::Unsupported, "the machine's engine has no debugger");
        let debugger = vm.debugger().ok_or_else(unable)?;
        if hold {
            debugger.hold();
        }
        let session = Arc::new(Mutex::new(None));
        let (current, vm) = (session.clone(), Arc::downgrade(vm));
        let thread = thread::Builder::new().name("gdb".to_owned()).spawn(move || {
            while let Some(client) = listener.accept(&cancelled) {
                let (tell, events) = channel();
                *current.lock() = Some(tell.clone());
                // Whoever ends the server either finds the session or is seen here.
                let ended = cancelled.sleep(Duration::ZERO).unwrap_or(true);
                let end = if ended { End::Detached } else { session::run(&debugger, client, tell, &events) };
                *current.lock() = None;
                if end == End::Kill {
                    kill(&vm);
                }
            }
        })?;
        Ok(Self { cancel: Some(cancel), session, thread: Some(thread), address: None, path: None })
    }
}

impl Drop for GdbServer {
    fn drop(&mut self) {
        self.cancel = None;
        if let Some(session) = self.session.lock().as_ref() {
            let _ = session.send(Event::Gone);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(path) = &self.path {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    /// The next client; `None` when nobody listens any more.
    fn accept(&self, cancelled: &Cancelled) -> Option<File> {
        loop {
            if let Wait::Cancelled = cancelled.wait(self, PollFlags::IN, None).ok()? {
                return None;
            }
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().and_then(|(client, _)| {
                    client.set_nonblocking(false)?;
                    // Packets are small, and each waits for its answer.
                    client.set_nodelay(true)?;
                    client.set_write_timeout(Some(PATIENCE))?;
                    Ok(OwnedFd::from(client))
                }),
                Self::Unix(listener) => listener.accept().and_then(|(client, _)| {
                    client.set_nonblocking(false)?;
                    client.set_write_timeout(Some(PATIENCE))?;
                    Ok(OwnedFd::from(client))
                }),
            };
            match accepted {
                Ok(client) => return Some(File::from(client)),
                // Out of descriptors, or the client is gone already.
                Err(_) if cancelled.sleep(Duration::from_millis(10)).ok()? => return None,
                Err(_) => {}
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

fn kill(vm: &Weak<VirtualMachine>) {
    if let Some(vm) = vm.upgrade() {
        vm.stop();
    }
}
