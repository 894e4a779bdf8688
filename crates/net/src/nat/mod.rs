//! A user-mode router with network address translation: IPv4 and IPv6 by way of the host's own sockets, without
//! privileges.
//!
//! The guest's frames end here. ARP, neighbour discovery, DHCP and pings to the gateway are answered (`ndp`, `dhcp`,
//! `icmp`); a TCP connection becomes a connection of the host (`tcp`, `flow`), UDP and pings become sockets of the
//! host (`datagram`); DNS queries to the gateway are answered (`names`) or go to the host's name servers (`relay`).
//! Ports of the host lead to the guest (`forward`, `listeners`). One thread does all of it and sleeps when there is
//! nothing to do.

mod config;
mod datagram;
mod dhcp;
mod egress;
mod flow;
mod forward;
mod fragments;
mod icmp;
mod ledger;
mod listeners;
mod mss;
mod names;
mod ndp;
mod out;
mod packet;
mod quote;
mod relay;
mod resolvers;
mod sockets;
mod stream;
mod subnet;
mod sys;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod train;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Events, Poll, Registry, Token, Waker};
use smoltcp::time::Instant;
use smoltcp::wire::{DHCP_SERVER_PORT, EthernetFrame, EthernetProtocol, IpProtocol, UdpPacket};

pub use config::{Card, Config};
pub use dhcp::{Lease, Leases};
pub use egress::{Destination, Egress};
pub use forward::{Control, Forward, ForwardError, HostEnd, MAX_FORWARDS};

use crate::{Backend, MacAddr, Meta, Offloads, Port, SegmentKind, Wake};
use datagram::Datagrams;
use fragments::Fragments;
use ledger::Keeper;
use listeners::Listeners;
use ndp::Advertiser;
use out::{Out, Outbox};
use packet::Packet;
use resolvers::Resolvers;
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
    keeper: Keeper,
    resolvers: Resolvers,
    fragments: Fragments,
    advertiser: Advertiser,
    tcp: Tcp,
    datagrams: Datagrams,
    control: Control,
    listeners: Listeners,
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

impl Bell {
    fn wake(self: &Arc<Self>) -> Wake {
        let bell = self.clone();
        Wake::new(move || {
            if !bell.rung.swap(true, Ordering::SeqCst)
                && let Err(error) = bell.waker.wake()
            {
                tracing::error!(%error, "the network cannot be woken");
            }
        })
    }
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
    /// A router as `config` says, with no thread yet; its forwarded ports are open already. An error when the
    /// configuration has [problems](Config::problems), the host does not give a port, or has no descriptors left.
    pub fn new(config: Config) -> io::Result<Self> {
        if let Some((field, problem)) = config.problems().into_iter().next() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("network: {field}: {problem}")));
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let bell = Arc::new(Bell { waker, rung: AtomicBool::new(false) });
        let control = Control::new(bell.wake());
        for forward in &config.forwards {
            control.add(forward).map_err(|error| io::Error::other(format!("network: {error}")))?;
        }
        let leases = Leases::new(&config);
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            bell,
            clock: Clock::default(),
            seeds: RandomState::new(),
            frame: Vec::new(),
            outbox: Outbox::new(config.gateway_mac, config.mtu),
            keeper: Keeper::new(&config, &leases),
            leases,
            resolvers: Resolvers::new(config.resolvers.clone()),
            fragments: Fragments::default(),
            advertiser: Advertiser::default(),
            tcp: Tcp::new(),
            datagrams: Datagrams::new(),
            listeners: Listeners::new(control.clone()),
            control,
            config,
        })
    }

    /// The leases, to look at while the network runs.
    #[must_use]
    pub fn leases(&self) -> Leases {
        self.leases.clone()
    }

    /// What adds and removes forwards while the network runs.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
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
        let flows = [self.tcp.deadline(), self.datagrams.deadline()];
        let others = [self.advertiser.deadline(), self.keeper.deadline(&self.leases)];
        let deadline = flows.into_iter().chain(others).flatten().min();
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
                token if token.0 >= listeners::FIRST_TOKEN => self.listeners.event(token),
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
        self.advertiser.expire(&self.config, now, &mut turn.out);
        self.listeners.hear(&mut self.datagrams, &turn);
        let mut inside = Inside {
            leases: &self.leases,
            fragments: &mut self.fragments,
            advertiser: &mut self.advertiser,
            tcp: &mut self.tcp,
            datagrams: &mut self.datagrams,
        };
        let mut more = false;
        for n in 1..=BATCH {
            let Some(meta) = turn.out.port().pull(&mut frame) else { break };
            inside.frame(&frame, meta, &mut turn);
            more = n == BATCH;
        }
        inside.datagrams.depart(&mut turn);
        self.listeners.serve(&self.leases, &mut self.tcp, &mut self.datagrams, &mut turn);
        self.tcp.serve(&mut turn);
        self.datagrams.serve(&mut turn);
        self.keeper.keep(&self.config, &self.leases, now);
        turn.out.port().flush();
        let blocked = turn.out.blocked();
        self.frame = frame;
        more || (!blocked && (self.tcp.busy() || self.datagrams.busy() || self.listeners.busy()))
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.keeper.write(&self.config, &self.leases);
    }
}

/// The parts of the router that take packets of the guest.
struct Inside<'a> {
    leases: &'a Leases,
    fragments: &'a mut Fragments,
    advertiser: &'a mut Advertiser,
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
        let good = meta.partial.is_some() || meta.verified;
        let packet = match frame.ethertype() {
            EthernetProtocol::Arp => return icmp::arp(turn.config, from, frame.payload(), &mut turn.out),
            EthernetProtocol::Ipv4 => Packet::v4(frame.payload(), good),
            EthernetProtocol::Ipv6 if turn.config.prefix6.is_some() => Packet::v6(frame.payload(), good),
            _ => None,
        };
        let Some(mut packet) = packet else { return };
        if packet.fragment.is_some() {
            if let Some(whole) = self.fragments.add(&packet, turn.now)
                && let Some(packet) = Packet::parse(&whole, false)
                && packet.fragment.is_none()
            {
                // Whoever cuts up its packets has nothing against that.
                self.packet(from, &Packet { whole: false, ..packet }, turn);
            }
            return;
        }
        let datagrams = meta.segments.filter(|segments| segments.kind == SegmentKind::Udp);
        packet.segment = datagrams.map(|segments| usize::from(segments.size.max(1)));
        self.packet(from, &packet, turn);
    }

    fn packet(&mut self, from: MacAddr, packet: &Packet<'_>, turn: &mut Turn<'_>) {
        let (target, config) = (packet.target, turn.config);
        if packet.protocol == IpProtocol::Udp
            && (target == config.gateway || is_broadcast(target, config))
            && let Ok(udp) = UdpPacket::new_checked(packet.payload)
            && udp.dst_port() == DHCP_SERVER_PORT
        {
            let sum = || udp.checksum() == 0 || udp.verify_checksum(&packet.source.into(), &target.into());
            if packet.partial || sum() {
                dhcp::input(self.leases, config, udp.payload(), &mut turn.out);
            }
            return;
        }
        if packet.protocol == IpProtocol::Icmpv6
            && self.advertiser.input(config, self.leases, from, packet, turn.now, &mut turn.out)
        {
            return;
        }
        // Groups and broadcasts have nobody else here to hear them, and get no errors (RFC 1122, 3.2.2).
        if target.is_multicast() || is_broadcast(target, config) || !config.is_guest(packet.source) {
            return;
        }
        match packet.protocol {
            IpProtocol::Tcp => self.tcp.input(from, packet, turn),
            IpProtocol::Udp => self.datagrams.udp(from, packet, self.leases, turn),
            IpProtocol::Icmp | IpProtocol::Icmpv6 if target.is_ipv4() != (packet.protocol == IpProtocol::Icmp) => {}
            IpProtocol::Icmp | IpProtocol::Icmpv6 if !config.is_gateway(target) => {
                self.datagrams.ping(from, packet, turn);
            }
            IpProtocol::Icmp | IpProtocol::Icmpv6 => {
                if icmp::echo_request(packet).is_some() {
                    icmp::pong(from, packet, &mut turn.out);
                } else if let Some((peer, guest)) = icmp::refused_segment(packet) {
                    self.tcp.refused(peer, guest);
                }
            }
            _ => {}
        }
    }
}

/// Whether a packet to `target` is for everybody on the network.
fn is_broadcast(target: IpAddr, config: &Config) -> bool {
    target == Ipv4Addr::BROADCAST || target == config.broadcast()
}

impl Backend for Nat {
    fn wake(&self) -> Wake {
        self.bell.wake()
    }

    fn offloads(&self) -> Offloads {
        Offloads::all()
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
