//! The switch itself: a thread that carries frames between its ports.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::Table;
use super::uplink::{NetworkEnd, SwitchEnd, line};
use crate::socket::Stream;
use crate::socket::framing::Headers;
use crate::wire::Wire;
use crate::{Backend, Link, MacAddr, Meta};

/// Machines on one switch at most.
pub const MAX_PORTS: usize = 64;
/// Frames of one port before the next has its turn.
const BATCH: usize = 64;

const WAKE: Token = Token(0);
const LISTENER: Token = Token(1);
/// The port of the network in this process; ports of sockets come after it.
const UPLINK: usize = 2;

/// A running switch. Dropped, it ends, and its ports with it.
pub struct Hub {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    uplink: Option<Link<NetworkEnd>>,
}

impl Hub {
    /// Starts a switch whose ports are those who connect to `listener`, and `uplink` if there is one.
    pub fn start(listener: UnixListener, uplink: Option<Box<dyn Backend>>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        listener.set_nonblocking(true)?;
        let raw = listener.as_raw_fd();
        poll.registry().register(&mut SourceFd(&raw), LISTENER, Interest::READABLE)?;
        let (mut switch_end, mut link) = (None, None);
        if let Some(network) = uplink {
            let wake = network.wake();
            let (ours, theirs) = line(waker.clone(), wake.clone());
            switch_end = Some(ours);
            link = Some(Link::start("uplink", Arc::new(Mutex::new(network)), wake, theirs)?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut switch = Switch {
            poll,
            listener,
            uplink: switch_end,
            ports: BTreeMap::new(),
            pending: BTreeSet::new(),
            next: UPLINK + 1,
            table: Table::new(),
        };
        let stopped = stop.clone();
        let thread = Builder::new().name("switch".to_owned()).spawn(move || {
            if let Err(error) = switch.run(&stopped) {
                tracing::error!(%error, "the switch has stopped");
            }
        })?;
        Ok(Self { stop, waker, thread: Some(thread), uplink: link })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let woken = self.waker.wake();
        if let (Some(thread), Ok(())) = (self.thread.take(), woken) {
            let _ = thread.join();
        }
        if let Some(link) = self.uplink.take() {
            drop(link.stop());
        }
    }
}

struct Switch {
    poll: Poll,
    listener: UnixListener,
    uplink: Option<SwitchEnd>,
    ports: BTreeMap<usize, Stream>,
    /// Ports that may have more frames for us.
    pending: BTreeSet<usize>,
    next: usize,
    table: Table,
}

impl Switch {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(MAX_PORTS + 2);
        while !stop.load(Ordering::Acquire) {
            let timeout = if self.pending.is_empty() { None } else { Some(std::time::Duration::ZERO) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKE => drop(self.pending.insert(UPLINK)),
                    LISTENER => self.accept()?,
                    Token(port) => drop(self.pending.insert(port)),
                }
            }
            for port in std::mem::take(&mut self.pending) {
                self.serve(port);
            }
            self.flush();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket: OwnedFd = match self.listener.accept() {
                Ok((socket, _)) => socket.into(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // One that has gone already, or no descriptor left: the others go on.
                Err(error) => {
                    tracing::warn!(%error, "a machine could not join the switch");
                    return Ok(());
                }
            };
            if self.ports.len() >= MAX_PORTS {
                tracing::warn!("the switch has no port left");
                continue;
            }
            let stream = Stream::new(socket, Headers::Vnet)?;
            let raw = stream.fd().as_raw_fd();
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut SourceFd(&raw), Token(self.next), both)?;
            self.ports.insert(self.next, stream);
            self.next += 1;
        }
    }

    /// Takes a batch of frames from `port`.
    fn serve(&mut self, port: usize) {
        let mut frame = Vec::new();
        for _ in 0..BATCH {
            let received = if port == UPLINK {
                Ok(self.uplink.as_ref().and_then(|uplink| uplink.receive(&mut frame)))
            } else {
                let Some(stream) = self.ports.get_mut(&port) else { return };
                stream.receive(&mut frame)
            };
            match received {
                Ok(Some(meta)) => self.forward(port, &frame, meta),
                Ok(None) => return,
                Err(why) => {
                    tracing::debug!(%why, "a machine has left the switch");
                    return self.unplug(port);
                }
            }
        }
        self.pending.insert(port);
    }

    fn forward(&mut self, from: usize, frame: &[u8], meta: Meta) {
        let Some((&to, rest)) = frame.split_first_chunk::<6>() else { return };
        let Some(&source) = rest.first_chunk::<6>() else { return };
        self.table.learn(MacAddr(source), from);
        match self.table.lookup(MacAddr(to)) {
            Some(port) if port == from => {}
            Some(port) => self.send(port, frame, meta),
            None => {
                let others: Vec<usize> = self.ports.keys().copied().chain([UPLINK]).filter(|p| *p != from).collect();
                others.into_iter().for_each(|port| self.send(port, frame, meta));
            }
        }
    }

    /// Gives a frame to `port`. One that does not read loses it, and nobody waits for it.
    fn send(&mut self, port: usize, frame: &[u8], meta: Meta) {
        if port == UPLINK {
            if let Some(uplink) = &self.uplink {
                uplink.send(frame, meta);
            }
        } else if let Some(stream) = self.ports.get_mut(&port)
            && stream.send(frame, meta).is_err()
        {
            self.unplug(port);
        }
    }

    fn flush(&mut self) {
        let broken: Vec<usize> =
            self.ports.iter_mut().filter_map(|(port, stream)| stream.flush().is_err().then_some(*port)).collect();
        broken.into_iter().for_each(|port| self.unplug(port));
        if let Some(uplink) = &self.uplink {
            uplink.flush();
        }
    }

    fn unplug(&mut self, port: usize) {
        if let Some(stream) = self.ports.remove(&port) {
            let raw = stream.fd().as_raw_fd();
            // It goes with the descriptor anyway.
            let _ = self.poll.registry().deregister(&mut SourceFd(&raw));
        }
        self.table.unplug(port);
    }
}
