//! A user-mode router with network address translation: IPv4 by way of the host's own sockets, without privileges.
//!
//! The guest's frames end here. ARP, DHCP and pings to the gateway are answered (`dhcp`, `icmp`); a TCP connection
//! becomes a connection of the host (`tcp`, `flow`), UDP and pings become sockets of the host (`datagram`); DNS
//! queries to the gateway go to the host's name servers (`dns`). One thread does all of it and sleeps when there is
//! nothing to do.

mod config;
mod datagram;
mod dhcp;
mod dns;
mod flow;
mod fragments;
mod icmp;
mod out;
mod table;
mod tcp;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Events, Poll, Registry, Token, Waker};
use smoltcp::time::Instant;
use smoltcp::wire::{DHCP_SERVER_PORT, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};

pub use config::Config;
use config::Refused;
pub use dhcp::{Lease, Leases};

use crate::{Backend, MacAddr, Meta, Offloads, Port, Wake};
use datagram::Datagrams;
use dns::Resolvers;
use fragments::Fragments;
use out::{Out, Outbox};
use tcp::Tcp;

/// The waker's token; flows have others.
const WAKE: Token = Token(0);
/// How many frames of the guest are taken before the sockets have their turn.
const BATCH: usize = 256;

/// A user-mode router.
pub struct Nat {
    config: Config,
    poll: Poll,
    events: Events,
    bell: Arc<Bell>,
    clock: Clock,
    seeds: RandomState,
    frame: Vec<u8>,
    outbox: Outbox,
    leases: Leases,
    resolvers: Resolvers,
    fragments: Fragments,
    tcp: Tcp,
    datagrams: Datagrams,
}

/// How many flows a network has, of each sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flows {
    /// TCP connections, the ones that the host is still making among them.
    pub tcp: usize,
    /// UDP and ping flows that are not idle for long.
    pub datagram: usize,
}

/// Wakes the thread, with one system call for all wakes between two sleeps.
struct Bell {
    waker: Waker,
    rung: AtomicBool,
}

/// What every part of the router works with during one turn.
struct Turn<'a> {
    config: &'a Config,
    registry: &'a Registry,
    resolvers: &'a mut Resolvers,
    seeds: &'a RandomState,
    now: Instant,
    out: Out<'a>,
}

impl Turn<'_> {
    /// A number that nobody outside can guess, for TCP's initial sequence number.
    fn seed(&self, token: Token) -> u64 {
        self.seeds.hash_one((token, self.now.total_micros()))
    }
}

/// Time as connections see it: it stands still while the network does not run.
#[derive(Default)]
struct Clock {
    before: std::time::Duration,
    started: Option<std::time::Instant>,
}

impl Clock {
    fn now(&mut self) -> Instant {
        let started = self.started.get_or_insert_with(std::time::Instant::now);
        let micros = (self.before + started.elapsed()).as_micros();
        Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn stop(&mut self) {
        self.before += self.started.take().map_or(std::time::Duration::ZERO, |started| started.elapsed());
    }
}

impl Nat {
    /// A router as `config` says, with no thread yet. An error when the configuration has
    /// [problems](Config::problems), or the host no descriptors left.
    pub fn new(config: Config) -> io::Result<Self> {
        if let Some((field, problem)) = config.problems().into_iter().next() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("network: {field}: {problem}")));
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            bell: Arc::new(Bell { waker, rung: AtomicBool::new(false) }),
            clock: Clock::default(),
            seeds: RandomState::new(),
            frame: Vec::new(),
            outbox: Outbox::new(config.gateway_mac, config.mtu),
            leases: Leases::default(),
            resolvers: Resolvers::new(config.resolvers.clone()),
            fragments: Fragments::default(),
            tcp: Tcp::new(),
            datagrams: Datagrams::new(),
            config,
        })
    }

    /// The leases, to look at while the network runs.
    #[must_use]
    pub fn leases(&self) -> Leases {
        self.leases.clone()
    }

    /// How many flows there are.
    #[must_use]
    pub fn flows(&self) -> Flows {
        Flows { tcp: self.tcp.len(), datagram: self.datagrams.len() }
    }

    /// Carries what there is to carry, both ways. With `wait` it sleeps before that until there is something, a
    /// timer has run out or it is [woken](Backend::wake). `true`: there is more to do, do not wait before the next.
    pub fn turn(&mut self, port: &mut dyn Port, wait: bool) -> io::Result<bool> {
        let now = self.clock.now();
        let deadline = [self.tcp.deadline(), self.datagrams.deadline()].into_iter().flatten().min();
        let timeout = match (wait, deadline) {
            (false, _) => Some(std::time::Duration::ZERO),
            (true, Some(at)) => Some(std::time::Duration::from(at.max(now) - now)),
            (true, None) => None,
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            match event.token() {
                // Cleared before the port is looked at, so that a wake from now on is not lost.
                WAKE => self.bell.rung.store(false, Ordering::SeqCst),
                token if token.0 % 2 == 0 => self.tcp.event(token, event.is_readable(), event.is_writable()),
                token => self.datagrams.event(token),
            }
        }
        Ok(self.carry(port))
    }

    /// Takes a batch of frames from the guest and serves all flows that have something to do; whether there is more.
    fn carry(&mut self, port: &mut dyn Port) -> bool {
        let now = self.clock.now();
        let mut frame = std::mem::take(&mut self.frame);
        let mut turn = Turn {
            config: &self.config,
            registry: self.poll.registry(),
            resolvers: &mut self.resolvers,
            seeds: &self.seeds,
            now,
            out: self.outbox.to(port),
        };
        turn.out.drain();
        self.tcp.expire(now);
        self.datagrams.expire(now);
        let mut inside = Inside {
            leases: &self.leases,
            fragments: &mut self.fragments,
            tcp: &mut self.tcp,
            datagrams: &mut self.datagrams,
        };
        let mut more = false;
        for n in 1..=BATCH {
            let Some(meta) = turn.out.port().pull(&mut frame) else { break };
            inside.frame(&frame, meta, &mut turn);
            more = n == BATCH;
        }
        self.tcp.serve(&mut turn);
        self.datagrams.serve(&mut turn);
        turn.out.port().flush();
        let blocked = turn.out.blocked();
        self.frame = frame;
        more || (!blocked && (self.tcp.busy() || self.datagrams.busy()))
    }
}

/// The parts of the router that take packets of the guest.
struct Inside<'a> {
    leases: &'a Leases,
    fragments: &'a mut Fragments,
    tcp: &'a mut Tcp,
    datagrams: &'a mut Datagrams,
}

impl Inside<'_> {
    fn frame(&mut self, bytes: &[u8], meta: Meta, turn: &mut Turn<'_>) {
        let Ok(frame) = EthernetFrame::new_checked(bytes) else { return };
        let (from, to) = (MacAddr(frame.src_addr().0), MacAddr(frame.dst_addr().0));
        if !from.is_unicast() || from == turn.config.gateway_mac || (to.is_unicast() && to != turn.config.gateway_mac) {
            return;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => icmp::arp(turn.config, from, frame.payload(), &mut turn.out),
            EthernetProtocol::Ipv4 => {
                let Ok(ip) = Ipv4Packet::new_checked(frame.payload()) else { return };
                if ip.version() != 4 || !ip.verify_checksum() {
                    return;
                }
                if !ip.more_frags() && ip.frag_offset() == 0 {
                    self.packet(from, &ip, meta.partial.is_some(), turn);
                } else if let Some(whole) = self.fragments.add(&ip, turn.now)
                    && let Ok(ip) = Ipv4Packet::new_checked(&whole[..])
                {
                    self.packet(from, &ip, false, turn);
                }
            }
            _ => {}
        }
    }

    fn packet(&mut self, from: MacAddr, ip: &Ipv4Packet<&[u8]>, partial: bool, turn: &mut Turn<'_>) {
        let (source, target, config) = (ip.src_addr(), ip.dst_addr(), turn.config);
        if ip.next_header() == IpProtocol::Udp
            && (target == config.gateway || target == Ipv4Addr::BROADCAST || target == config.broadcast())
            && let Ok(udp) = UdpPacket::new_checked(ip.payload())
            && udp.dst_port() == DHCP_SERVER_PORT
        {
            let checked = partial || udp.checksum() == 0 || udp.verify_checksum(&source.into(), &target.into());
            if checked {
                dhcp::input(self.leases, config, udp.payload(), &mut turn.out);
            }
            return;
        }
        // Groups and broadcasts have nobody else here to hear them, and get no errors (RFC 1122, 3.2.2).
        let group = target.is_multicast() || target == Ipv4Addr::BROADCAST || target == config.broadcast();
        if group || !config.is_host(source) || source == config.gateway {
            return;
        }
        match ip.next_header() {
            IpProtocol::Tcp => self.tcp.input(from, ip, partial, turn),
            IpProtocol::Udp => self.datagrams.udp(from, ip, partial, turn),
            IpProtocol::Icmp if target != config.gateway => self.datagrams.ping(from, ip, turn),
            IpProtocol::Icmp if icmp::echo_request(ip).is_some() => icmp::pong(config, from, ip, &mut turn.out),
            _ => {}
        }
    }
}

impl Backend for Nat {
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
        Offloads::CHECKSUM
    }

    fn mtu(&self) -> u16 {
        self.config.mtu
    }

    fn run(&mut self, port: &mut dyn Port, stop: &AtomicBool) -> io::Result<()> {
        let mut busy = true;
        while !stop.load(Ordering::Acquire) {
            let sleep = !busy && !port.arm();
            busy = self.turn(port, sleep)?;
        }
        self.clock.stop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_between_runs() {
        let mut clock = Clock::default();
        let before = clock.now();
        clock.stop();
        std::thread::sleep(std::time::Duration::from_millis(500));
        let after = clock.now();
        assert!(after >= before && (after - before).total_millis() < 400);
    }
}
