//! What every network has to do, whatever is behind it: the contract of `Backend`.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use net::capture::{Captured, Options};
use net::nat::{Config, Nat};
use net::{Backend, Link, Meta, Offloads, Port, SharedBackend, socket, switch};

/// A card whose guest sends without end and takes nothing, and tells whether it was asked.
struct Flood {
    pulled: Arc<AtomicBool>,
    endless: bool,
}

impl Port for Flood {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        self.pulled.store(true, Ordering::Release);
        *frame = vec![0xff; 1514];
        self.endless.then(Meta::default)
    }

    fn push(&mut self, _: &[u8], _: Meta) -> bool {
        false
    }

    fn offloads(&self) -> Offloads {
        Offloads::empty()
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        self.endless
    }

    fn arm_for_room(&mut self) -> bool {
        false
    }
}

/// All networks that need no rights, each with what has to be kept beside it: peers that never read.
fn all(folder: &Path) -> Vec<(&'static str, Box<dyn Backend>, Option<OwnedFd>)> {
    let (ours, datagrams) = UnixDatagram::pair().unwrap();
    let datagram = Box::new(socket::connected(ours.into(), 1500).unwrap());
    let (ours, stream) = UnixStream::pair().unwrap();
    let plain = Box::new(socket::connected(ours.into(), 9000).unwrap());
    let (ours, gone) = UnixStream::pair().unwrap();
    let lost = Box::new(socket::connected(ours.into(), 1500).unwrap());
    drop(gone);
    let listening = Box::new(socket::listen(&folder.join("listen.sock"), 65535).unwrap());
    let shared = Box::new(switch::join(folder, &"lan".parse().unwrap(), None, 1500).unwrap());
    let nat = || Box::new(Nat::new(Config { outside: false, ..Config::default() }).unwrap());
    let captured =
        Captured::new(nat(), &folder.join("x.pcapng"), Options { limit: Some(1 << 20), ..Options::default() });
    vec![
        ("nat", nat(), None),
        ("datagrams to a peer that does not read", datagram, Some(datagrams.into())),
        ("a stream to a peer that does not read", plain, Some(stream.into())),
        ("a stream whose peer is gone", lost, None),
        ("a stream that nobody has come to", listening, None),
        ("a shared network", shared, None),
        ("a captured network", Box::new(captured.unwrap()), None),
    ]
}

#[test]
fn every_network_comes_back_when_it_is_stopped_and_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, network, _peer) in all(folder.path()) {
        assert!(network.mtu() >= 68, "{name}");
        let (wake, network): (_, SharedBackend) = (network.wake(), Arc::new(Mutex::new(network)));
        for (round, endless) in [true, false, true].into_iter().enumerate() {
            let pulled = Arc::new(AtomicBool::new(false));
            let port = Flood { pulled: pulled.clone(), endless };
            let link = Link::start("contract", network.clone(), wake.clone(), port).unwrap();
            // Later the wire may be full of what the first has sent, and nothing more is taken.
            while round == 0 && !pulled.load(Ordering::Acquire) {
                wake.wake();
                std::thread::yield_now();
            }
            for _ in 0..1000 {
                wake.wake();
            }
            assert!(link.stop().is_some(), "{name}: the thread has panicked");
        }
    }
}
