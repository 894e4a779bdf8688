//! Many connections: none is lost, none is stuck, and what they took is given back. A program of its own, for it
//! measures its memory.

#[path = "../nat/guest.rs"]
#[allow(dead_code, reason = "the other tests of the router use the rest of it")]
mod guest;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use net::nat::HostEnd;
use peak_alloc::PeakAlloc;
use smoltcp::socket::tcp::State;

use guest::{Guest, forwarding, local};

/// How many come at once where they come and go.
const AT_ONCE: usize = 50;

/// Counts what is allocated.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
/// What the router keeps of connections that are gone: the buffers that wait for others, and the room in its tables.
const KEPT: usize = (4 << 20) + (1 << 20);

/// One test at a time: they measure what the process has.
static ALONE: Mutex<()> = Mutex::new(());

/// Both ends of a connection are this process's.
fn allow_descriptors(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    assert!(limit.maximum.is_none_or(|most| most >= count), "this test needs {count} descriptors: see ulimit -Hn");
    if limit.current.is_some_and(|now| now < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), ..limit }).unwrap();
    }
}

/// The guest answers every byte that it gets on its connections with that byte and one, and closes with its peer.
fn serve(guest: &mut Guest) {
    for (_, socket) in guest.sockets.iter_mut() {
        let smoltcp::socket::Socket::Tcp(socket) = socket else { continue };
        while socket.can_recv() && socket.can_send() {
            let byte = socket.recv(|data| (1, data[0])).unwrap();
            assert_eq!(socket.send_slice(&[byte.wrapping_add(1)]), Ok(1));
        }
        match socket.state() {
            State::CloseWait => socket.close(),
            State::Closed | State::TimeWait => {
                socket.abort();
                socket.listen(7).unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn a_thousand_connections_stand_at_once() {
    const COUNT: usize = 1000;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    allow_descriptors(6 * COUNT as u64);
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 7)]);
    for _ in 0..COUNT {
        guest.listen(7, 64);
    }
    let address = at[0];
    let answered = Arc::new(AtomicUsize::new(0));
    let told = answered.clone();
    let clients = std::thread::spawn(move || {
        let mut all: Vec<_> = (0..COUNT).map(|_| TcpStream::connect(address).unwrap()).collect();
        for (n, client) in all.iter_mut().enumerate() {
            client.write_all(&[n as u8]).unwrap();
        }
        for (n, client) in all.iter_mut().enumerate() {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], (n as u8).wrapping_add(1));
            told.fetch_add(1, Ordering::Relaxed);
        }
        all
    });
    let (mut most, start) = (0, MEMORY.current_usage());
    guest.until("all have their answer", |g| {
        serve(g);
        most = most.max(g.router.flows().tcp);
        (answered.load(Ordering::Relaxed) == COUNT).then_some(())
    });
    assert_eq!(most, COUNT);
    drop(clients.join().unwrap());
    guest.until("all are gone", |g| {
        serve(g);
        (g.router.flows().tcp == 0).then_some(())
    });
    let end = MEMORY.current_usage();
    assert!(end < start + KEPT, "{start} bytes before, {end} bytes after");
}

/// So many connections come and go, some at once, until none is left.
fn visit(guest: &mut Guest, address: SocketAddr, count: usize) {
    let answered = Arc::new(AtomicUsize::new(0));
    let told = answered.clone();
    let clients = std::thread::spawn(move || {
        for _ in 0..count / AT_ONCE {
            let mut all: Vec<_> = (0..AT_ONCE).map(|_| TcpStream::connect(address).unwrap()).collect();
            all.iter_mut().for_each(|client| client.write_all(b"a").unwrap());
            for client in &mut all {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                assert_eq!(byte, *b"b");
                told.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    guest.until("all have their answer and are gone", |g| {
        serve(g);
        (answered.load(Ordering::Relaxed) == count && g.router.flows().tcp == 0).then_some(())
    });
    clients.join().unwrap();
}

#[test]
fn ten_thousand_connections_come_and_go() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 7)]);
    for _ in 0..2 * AT_ONCE {
        guest.listen(7, 64);
    }
    let start = MEMORY.current_usage();
    visit(&mut guest, at[0], 10_000);
    let end = MEMORY.current_usage();
    assert!(end < start + KEPT, "{start} bytes before, {end} bytes after");
}
