//! The network that carries frames between a card and a [`Wire`].

use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::fitter::Fitter;
use super::{Connector, Wire};
use crate::offload::verify;
use crate::{Backend, Meta, Offloads, Port, Wake};

/// Frames in one direction before the other has its turn.
const BATCH: usize = 64;

const WAKE: Token = Token(0);
const WIRE: Token = Token(1);
const LISTENER: Token = Token(2);

/// Keeps many wakes from being many system calls.
struct Bell {
    waker: Waker,
    rung: AtomicBool,
}

/// A network that ends in a tap or a socket. Where that takes less than the card, or the card takes less than that,
/// frames are cut and checksums made here.
///
/// Fixed: how the wire is made, the packet size. Glue: what polls. State: the wire while there is one, and the frame
/// that is under way in each direction.
pub struct Pump {
    connector: Box<dyn Connector>,
    mtu: u16,
    poll: Poll,
    events: Events,
    bell: Arc<Bell>,
    wire: Option<Box<dyn Wire>>,
    readable: bool,
    writable: bool,
    retry_at: Option<Instant>,
    out: Fitter,
    incoming: Fitter,
}

impl Pump {
    /// A network over the wire that `connector` makes, which is tried at once. `must`: it is an error when there is none
    /// yet.
    pub(crate) fn new(connector: Box<dyn Connector>, mtu: u16, must: bool) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let mut pump = Self {
            connector,
            mtu,
            poll,
            events: Events::with_capacity(16),
            bell: Arc::new(Bell { waker, rung: AtomicBool::new(false) }),
            wire: None,
            readable: false,
            writable: false,
            retry_at: None,
            out: Fitter::default(),
            incoming: Fitter::default(),
        };
        if let Some(listener) = pump.connector.listener() {
            let raw = listener.as_raw_fd();
            pump.poll.registry().register(&mut SourceFd(&raw), LISTENER, Interest::READABLE)?;
        }
        let wire = pump.connector.connect()?;
        if wire.is_none() && must {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "there is nobody at the other end"));
        }
        pump.plug(wire)?;
        Ok(pump)
    }

    fn plug(&mut self, wire: Option<Box<dyn Wire>>) -> io::Result<()> {
        self.retry_at = match wire {
            Some(_) => None,
            None => self.connector.retry().map(|after| Instant::now() + after),
        };
        if let Some(wire) = wire {
            let raw = wire.fd().as_raw_fd();
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut SourceFd(&raw), WIRE, both)?;
            (self.readable, self.writable) = (true, true);
            self.wire = Some(wire);
        }
        Ok(())
    }

    /// The wire is broken: what was under way is lost.
    fn unplug(&mut self, port: &mut dyn Port, why: &io::Error) {
        tracing::warn!(%why, "the network has lost its other end");
        if let Some(wire) = self.wire.take() {
            let raw = wire.fd().as_raw_fd();
            // It goes with the descriptor anyway.
            let _ = self.poll.registry().deregister(&mut SourceFd(&raw));
        }
        self.out.clear();
        self.incoming.clear();
        port.set_carrier(false);
        self.retry_at = self.connector.retry().map(|_| Instant::now());
    }

    /// Tries to find the other end again.
    fn reconnect(&mut self, port: &mut dyn Port) {
        let made = self.connector.connect().and_then(|wire| self.plug(wire));
        let offered = match (&made, &mut self.wire) {
            (Ok(()), Some(wire)) => wire.offer(port.offloads()),
            _ => Ok(()),
        };
        match made.and(offered) {
            Ok(()) if self.wire.is_some() => port.set_carrier(true),
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%error, "the network cannot find its other end");
                self.wire = None;
                self.retry_at = self.connector.retry().map(|after| Instant::now() + after);
            }
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut knock = false;
        for event in &self.events {
            match event.token() {
                // Cleared before the port is looked at, so that a wake from now on is not lost.
                WAKE => self.bell.rung.store(false, Ordering::SeqCst),
                LISTENER => knock = true,
                _ => {
                    self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                    self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                }
            }
        }
        Ok(knock)
    }

    /// Waits with `wait` until there is something to do, and does it; `true` when there is more.
    fn turn(&mut self, port: &mut dyn Port, wait: bool) -> io::Result<bool> {
        let timeout = match (wait, self.retry_at) {
            (false, _) => Some(Duration::ZERO),
            (true, Some(at)) => Some(at.saturating_duration_since(Instant::now())),
            (true, None) => None,
        };
        let knock = self.wait(timeout)?;
        if self.wire.is_none() && (knock || self.retry_at.is_some_and(|at| at <= Instant::now())) {
            self.reconnect(port);
        }
        let Some(wire) = &mut self.wire else {
            return Ok(discard(port, &mut self.out));
        };
        let carried = outbound(&mut **wire, port, &mut self.out, &mut self.writable)
            .and_then(|more| Ok(inbound(&mut **wire, port, &mut self.incoming, &mut self.readable)? | more));
        let carried = carried.and_then(|more| wire.flush().map(|()| more));
        port.flush();
        carried.or_else(|why| {
            self.unplug(port, &why);
            Ok(true)
        })
    }
}

/// Nobody is there: what the guest sends is lost. Whether there is more of it.
fn discard(port: &mut dyn Port, scratch: &mut Fitter) -> bool {
    let pulled =
        |_: &usize| matches!(scratch.load(Offloads::all(), |f| Ok::<_, Infallible>(port.pull(f))), Ok(Some(())));
    let count = (0..BATCH).take_while(pulled).count();
    scratch.clear();
    port.flush();
    count == BATCH
}

fn outbound(wire: &mut dyn Wire, port: &mut dyn Port, out: &mut Fitter, writable: &mut bool) -> io::Result<bool> {
    for _ in 0..BATCH {
        if !*writable {
            return Ok(false);
        }
        if out.is_empty() && out.load(wire.takes(), |frame| Ok::<_, io::Error>(port.pull(frame)))?.is_none() {
            return Ok(false);
        }
        *writable = out.drain(|frame, meta| wire.send(frame, meta))?;
    }
    Ok(*writable)
}

fn inbound(wire: &mut dyn Wire, port: &mut dyn Port, held: &mut Fitter, readable: &mut bool) -> io::Result<bool> {
    let takes = port.offloads();
    for _ in 0..BATCH {
        if held.is_empty() {
            let loaded = *readable && held.load(takes, |frame| receive(wire, frame, takes))?.is_some();
            *readable = loaded;
        }
        if held.is_empty() {
            return Ok(*readable);
        }
        let Ok(room) = held.drain(|frame, meta| Ok::<_, Infallible>(port.push(frame, meta)));
        if !room {
            return Ok(false);
        }
    }
    Ok(*readable)
}

/// A frame from the wire; its checksum is verified here for a card that can be told so, for the host does it faster.
fn receive(wire: &mut dyn Wire, frame: &mut Vec<u8>, takes: Offloads) -> io::Result<Option<Meta>> {
    let Some(mut meta) = wire.receive(frame)? else { return Ok(None) };
    if takes.contains(Offloads::CHECKSUM) && meta == Meta::default() {
        meta.verified = verify(frame);
    }
    Ok(Some(meta))
}

impl Backend for Pump {
    fn wake(&self) -> Wake {
        let bell = self.bell.clone();
        Wake::new(move || {
            if !bell.rung.swap(true, Ordering::SeqCst)
                && let Err(error) = bell.waker.wake()
            {
                tracing::error!(%error, "the network cannot be woken");
            }
        })
    }

    fn offloads(&self) -> Offloads {
        Offloads::all()
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn run(&mut self, port: &mut dyn Port, stop: &AtomicBool) -> io::Result<()> {
        if let Some(wire) = &mut self.wire {
            wire.offer(port.offloads())?;
        }
        // What a wire holds for another port may be more than this one takes.
        self.incoming.clear();
        port.set_carrier(self.wire.is_some());
        let mut busy = true;
        while !stop.load(Ordering::Acquire) {
            let blocked = self.wire.is_some() && !self.writable;
            let sleep = !busy && !if blocked { port.arm_for_room() } else { port.arm() };
            busy = self.turn(port, sleep)?;
        }
        Ok(())
    }
}
