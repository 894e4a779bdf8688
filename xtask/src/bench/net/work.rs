//! What the guest and the host do over a network, for a while.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use smoltcp::socket::tcp::State;
use smoltcp::socket::udp;

use super::guest::{GATEWAY, Guest, LARGE};
use super::peers::Peer;

/// How many connections are being made at once.
const DIALS: usize = 16;
/// The bytes in a datagram, as in a small packet of voice.
const DATAGRAM: usize = 160;
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
    /// Connections that are made and closed.
    Connections,
}

impl Work {
    pub(super) const ALL: [Self; 4] = [Self::TcpUp, Self::TcpDown, Self::UdpUp, Self::Connections];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TcpUp => "tcp up",
            Self::TcpDown => "tcp down",
            Self::UdpUp => "udp up",
            Self::Connections => "connections",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::TcpUp | Self::TcpDown => "Mbit/s",
            Self::UdpUp => "packets/s",
            Self::Connections => "connections/s",
        }
    }

    /// Does it for `time` and gives its figure.
    pub(super) fn measure(self, peer: Peer, time: Duration) -> Result<f64> {
        let mut guest = Guest::new(peer.plug()?);
        match self {
            Self::TcpUp => tcp_up(&mut guest, time),
            Self::TcpDown => tcp_down(&mut guest, time),
            Self::UdpUp => udp_up(&mut guest, time),
            Self::Connections => connections(&mut guest, time),
        }
    }
}

fn megabits(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

/// Counts what `count` says between the end of the warming and the end of `time`, while `step` goes on.
fn rate(time: Duration, mut step: impl FnMut() -> Result<()>, count: impl Fn() -> u64) -> Result<(u64, Duration)> {
    let warm = Instant::now();
    while warm.elapsed() < WARM {
        step()?;
    }
    let (start, before) = (Instant::now(), count());
    while start.elapsed() < time {
        step()?;
    }
    Ok((count() - before, start.elapsed()))
}

fn tcp_up(guest: &mut Guest, time: Duration) -> Result<f64> {
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
    let step = || {
        let socket = guest.tcp(handle);
        while socket.can_send() {
            socket.send(|room| (room.len(), ())).map_err(|error| anyhow::anyhow!("sending: {error}"))?;
        }
        guest.step();
        Ok(())
    };
    let (bytes, took) = rate(time, step, || received.load(Ordering::Relaxed))?;
    Ok(megabits(bytes, took))
}

fn tcp_down(guest: &mut Guest, time: Duration) -> Result<f64> {
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
    let step = || {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let count = socket.recv(|data| (data.len(), data.len() as u64));
            received.fetch_add(count.map_err(|error| anyhow::anyhow!("receiving: {error}"))?, Ordering::Relaxed);
        }
        guest.step();
        Ok(())
    };
    let (bytes, took) = rate(time, step, || received.load(Ordering::Relaxed))?;
    Ok(megabits(bytes, took))
}

fn udp_up(guest: &mut Guest, time: Duration) -> Result<f64> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
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
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 256], vec![0; 256 * DATAGRAM]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5000).map_err(|error| anyhow::anyhow!("binding: {error}"))?;
    let handle = guest.sockets.add(socket);
    let step = || {
        let socket = guest.socket::<udp::Socket<'_>>(handle);
        while socket.can_send() && socket.send(DATAGRAM, (GATEWAY, port)).is_ok() {}
        guest.step();
        Ok(())
    };
    let counted = rate(time, step, || received.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    let (packets, took) = counted?;
    Ok(packets as f64 / took.as_secs_f64())
}

fn connections(guest: &mut Guest, time: Duration) -> Result<f64> {
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
    let step = || {
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
    let (count, took) = rate(time, step, || done.load(Ordering::Relaxed))?;
    Ok(count as f64 / took.as_secs_f64())
}
