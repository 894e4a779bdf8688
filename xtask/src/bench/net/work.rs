//! What the guest and the host do over a network, for a while.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use smoltcp::socket::tcp::State;
use smoltcp::socket::udp;

use super::guest::{GATEWAY, Guest, LARGE, NAP};
use super::peers::Peer;
use super::report::Row;

/// How many connections are being made at once.
const DIALS: usize = 16;
/// The bytes in a datagram, as in a small packet of voice.
const DATAGRAM: usize = 160;
/// The guest's port that they go from and to.
const SOURCE: u16 = 5000;
/// How many of them are on their way at most: fewer than a host's socket holds.
const WINDOW: u64 = 192;
/// What has not arrived for so long is lost.
const LOST: Duration = Duration::from_millis(5);
/// How long a work goes on before it is measured, so that windows are open.
const WARM: Duration = Duration::from_millis(300);

/// A work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// One connection carries what it can to the host.
    TcpUp,
    /// And to the guest.
    TcpDown,
    /// Datagrams to the host: those that arrive.
    UdpUp,
    /// Datagrams to the guest: those that arrive.
    UdpDown,
    /// Connections that are made and closed.
    Connections,
}

impl Work {
    pub(super) const ALL: [Self; 5] = [Self::TcpUp, Self::TcpDown, Self::UdpUp, Self::UdpDown, Self::Connections];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TcpUp => "tcp up",
            Self::TcpDown => "tcp down",
            Self::UdpUp => "udp up",
            Self::UdpDown => "udp down",
            Self::Connections => "connections",
        }
    }

    /// Its row in the report.
    pub(super) fn row(self) -> Row {
        let (unit, share) = match self {
            Self::TcpUp | Self::TcpDown => ("Mbit/s", "KiB"),
            Self::UdpUp | Self::UdpDown => ("packets/s", "packet"),
            Self::Connections => ("connections/s", "connection"),
        };
        Row { work: self.name(), unit, share }
    }

    /// Does it for `time` and gives its figures.
    pub(super) fn measure(self, peer: Peer, time: Duration) -> Result<Figures> {
        let mut guest = Guest::new(peer.plug()?);
        let counted = match self {
            Self::TcpUp => tcp_up(&mut guest, time),
            Self::TcpDown => tcp_down(&mut guest, time),
            Self::UdpUp => udp_up(&mut guest, time),
            Self::UdpDown => udp_down(&mut guest, time),
            Self::Connections => connections(&mut guest, time),
        }?;
        let (each, share) = match self {
            Self::TcpUp | Self::TcpDown => (8.0 / 1e6, 1024.0),
            _ => (1.0, 1.0),
        };
        let count = counted.count as f64;
        Ok(Figures { rate: count * each / counted.time, cpu_ns: counted.cpu * 1e9 * share / count.max(1.0) })
    }
}

/// The figures of a work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    /// In the row's unit.
    pub(super) rate: f64,
    /// CPU time of the network for each of the row's shares, in nanoseconds.
    pub(super) cpu_ns: f64,
}

/// What was counted, in how many seconds, and the CPU time of the network in that time.
struct Counted {
    count: u64,
    time: f64,
    cpu: f64,
}

/// Counts what `count` says between the end of the warming and the end of `time`, while `step` goes on.
fn rate(
    guest: &mut Guest,
    time: Duration,
    mut step: impl FnMut(&mut Guest) -> Result<()>,
    count: impl Fn() -> u64,
) -> Result<Counted> {
    let warm = Instant::now();
    while warm.elapsed() < WARM {
        step(guest)?;
    }
    let (start, before, cpu) = (Instant::now(), count(), guest.cpu());
    while start.elapsed() < time {
        step(guest)?;
    }
    let (time, cpu) = (start.elapsed().as_secs_f64(), guest.cpu() - cpu);
    Ok(Counted { count: count() - before, time, cpu })
}

fn tcp_up(guest: &mut Guest, time: Duration) -> Result<Counted> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let received = Arc::new(AtomicU64::new(0));
    let counter = received.clone();
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut buffer = vec![0; 1 << 20];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    });
    let handle = guest.dial(port, LARGE)?;
    guest.until("connected", |g| g.tcp(handle).can_send().then_some(()))?;
    let step = |guest: &mut Guest| {
        let socket = guest.tcp(handle);
        while socket.can_send() {
            socket.send(|room| (room.len(), ())).map_err(|error| anyhow::anyhow!("sending: {error}"))?;
        }
        guest.step();
        Ok(())
    };
    rate(guest, time, step, || received.load(Ordering::Relaxed))
}

fn tcp_down(guest: &mut Guest, time: Duration) -> Result<Counted> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let buffer = vec![0; 1 << 20];
        while stream.write_all(&buffer).is_ok() {}
    });
    let handle = guest.dial(port, LARGE)?;
    guest.until("connected", |g| g.tcp(handle).can_send().then_some(()))?;
    let received = AtomicU64::new(0);
    let step = |guest: &mut Guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let count = socket.recv(|data| (data.len(), data.len() as u64));
            received.fetch_add(count.map_err(|error| anyhow::anyhow!("receiving: {error}"))?, Ordering::Relaxed);
        }
        guest.step();
        Ok(())
    };
    rate(guest, time, step, || received.load(Ordering::Relaxed))
}

/// A socket of the host which the guest has sent a datagram to, the guest's address as the host sees it, and the frame
/// of another such datagram.
fn acquaint(guest: &mut Guest) -> Result<(UdpSocket, SocketAddr, Vec<u8>)> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    // As much as a host gives without rights.
    set_socket_recv_buffer_size(&server, 4 << 20)?;
    server.set_nonblocking(true)?;
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4 * DATAGRAM]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(SOURCE).map_err(|error| anyhow::anyhow!("binding: {error}"))?;
    socket.send_slice(b"hello", (GATEWAY, port)).map_err(|error| anyhow::anyhow!("sending: {error}"))?;
    guest.sockets.add(socket);
    let (_, from) = guest.until("a datagram arrives", |_| server.recv_from(&mut [0; DATAGRAM]).ok())?;
    server.set_nonblocking(false)?;
    let frame = guest.datagram(SOURCE, port, &[0x55; DATAGRAM]);
    Ok((server, from, frame))
}

fn udp_up(guest: &mut Guest, time: Duration) -> Result<Counted> {
    let (server, _, frame) = acquaint(guest)?;
    server.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counter, end) = (received.clone(), over.clone());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while !end.load(Ordering::Relaxed) {
            if server.recv(&mut buffer).is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut sent = received.load(Ordering::Relaxed);
    let mut held = None;
    let step = |guest: &mut Guest| {
        let wire = guest.wire();
        let mut news = Vec::new();
        while wire.receive(&mut news) {}
        let arrived = received.load(Ordering::Relaxed);
        let room = allowance(&mut sent, arrived, &mut held);
        for _ in 0..room {
            if !wire.can_send() {
                break;
            }
            wire.send(&frame);
            sent += 1;
        }
        wire.flush();
        if room == 0 {
            thread::yield_now();
        } else if !wire.can_send() {
            wire.wait(NAP);
        }
        Ok(())
    };
    let counted = rate(guest, time, step, || received.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    counted
}

fn udp_down(guest: &mut Guest, time: Duration) -> Result<Counted> {
    let (server, from, _) = acquaint(guest)?;
    server.connect(from)?;
    let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counter, end) = (received.clone(), over.clone());
    thread::spawn(move || {
        let (mut sent, mut held) = (0, None);
        while !end.load(Ordering::Relaxed) {
            let room = allowance(&mut sent, counter.load(Ordering::Relaxed), &mut held);
            if room == 0 {
                thread::yield_now();
            }
            for _ in 0..room {
                // What is lost is not counted.
                let _ = server.send(&[0x55; DATAGRAM]);
                sent += 1;
            }
        }
    });
    let mut frame = Vec::new();
    let step = |guest: &mut Guest| {
        let wire = guest.wire();
        let mut count = 0;
        while count < WINDOW && wire.receive(&mut frame) {
            count += u64::from(frame.len() == 42 + DATAGRAM && frame[23] == 17);
        }
        received.fetch_add(count, Ordering::Relaxed);
        wire.flush();
        if count == 0 {
            wire.wait(NAP);
        }
        Ok(())
    };
    let counted = rate(guest, time, step, || received.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    counted
}

/// How many datagrams may be sent now: so many are on their way at most, or the sender would only take the CPU from
/// those who carry them. What has not arrived for a while is lost, and counts as if it had.
fn allowance(sent: &mut u64, arrived: u64, held: &mut Option<(Instant, u64)>) -> u64 {
    let room = WINDOW.saturating_sub(sent.saturating_sub(arrived));
    match held {
        _ if room > 0 => *held = None,
        Some((since, before)) if *before == arrived => {
            if since.elapsed() > LOST {
                *sent = arrived;
            }
        }
        _ => *held = Some((Instant::now(), arrived)),
    }
    room
}

fn connections(guest: &mut Guest, time: Duration) -> Result<Counted> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    // The host says one byte and closes first, as a server of the oldest web does.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let said = stream.and_then(|mut stream: TcpStream| stream.write_all(b"!"));
            if said.is_err() {
                return;
            }
        }
    });
    let done = AtomicU64::new(0);
    let mut dials: Vec<_> = (0..DIALS).map(|_| guest.dial(port, 4096)).collect::<Result<_>>()?;
    let step = |guest: &mut Guest| {
        guest.step();
        for dial in &mut dials {
            let socket = guest.tcp(*dial);
            let heard = socket.can_recv() && socket.recv_slice(&mut [0]).is_ok();
            if heard {
                done.fetch_add(1, Ordering::Relaxed);
            }
            if heard || socket.state() == State::CloseWait {
                socket.close();
            }
            if matches!(socket.state(), State::Closed | State::TimeWait | State::LastAck) {
                guest.step();
                guest.sockets.remove(*dial);
                *dial = guest.dial(port, 4096)?;
            }
        }
        Ok(())
    };
    rate(guest, time, step, || done.load(Ordering::Relaxed))
}
