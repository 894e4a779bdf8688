//! A card whose frames come in the datagrams of a socket: the other end is the framework's
//! (`VZFileHandleNetworkDeviceAttachment`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use net::{Backend, Link, MAX_FRAME, Meta, Offloads, Port, Wake};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt};

/// Buffers of the sockets in bytes. The framework wants to receive with at least twice what it sends with, better four
/// times.
const SEND_BUFFER: usize = 1 << 20;
const RECEIVE_BUFFER: usize = 4 << 20;

const SOCKET: Token = Token(0);
const END: Token = Token(1);

/// A network that runs against a socket, until this is dropped.
pub(super) struct Wired {
    link: Option<Link<Card>>,
    end: Waker,
    watch: Option<JoinHandle<()>>,
}

/// Runs `network` against one end of a new pair of sockets, and gives the other.
pub(super) fn wire(network: Box<dyn Backend>) -> io::Result<(Wired, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::empty(), None)?;
    for socket in [&ours, &theirs] {
        rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
        // Hints: a kernel that allows less gives less.
        let _ = sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER);
        let _ = sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER);
    }
    rustix::io::ioctl_fionbio(&ours, true)?;
    let ours = Arc::new(ours);
    let wake = network.wake();
    let (watch, end) = watch(ours.clone(), wake.clone())?;
    let card = Card { socket: ours, buffer: vec![0; MAX_FRAME + 1].into(), starved: false };
    let link = Link::start("network", Arc::new(Mutex::new(network)), wake, card)?;
    Ok((Wired { link: Some(link), end, watch: Some(watch) }, theirs))
}

/// Wakes a network each time that its socket has something, or has room again.
fn watch(socket: Arc<OwnedFd>, wake: Wake) -> io::Result<(JoinHandle<()>, Waker)> {
    let mut poll = Poll::new()?;
    let end = Waker::new(poll.registry(), END)?;
    // Edges, so that a frame that has to wait does not keep this thread busy.
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), SOCKET, both)?;
    let watched = move || {
        let mut events = Events::with_capacity(4);
        loop {
            match poll.poll(&mut events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ if events.iter().any(|event| event.token() == END) => return,
                _ => wake.wake(),
            }
        }
    };
    Ok((thread::Builder::new().name("network-in".into()).spawn(watched)?, end))
}

impl Drop for Wired {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.stop();
        }
        if let (Some(watch), Ok(())) = (self.watch.take(), self.end.wake()) {
            // A panic there was reported there.
            let _ = watch.join();
        }
    }
}

/// Our end of the pair.
struct Card {
    socket: Arc<OwnedFd>,
    buffer: Box<[u8]>,
    /// The last frame found no room.
    starved: bool,
}

impl Port for Card {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                // One that is too long is no frame.
                Ok((_, count)) if count > MAX_FRAME => {}
                Ok((_, count)) => {
                    frame.clear();
                    frame.extend_from_slice(&self.buffer[..count]);
                    return Some(Meta::default());
                }
                Err(Errno::INTR) => {}
                // The other end is gone, or there is nothing.
                Err(_) => return None,
            }
        }
    }

    fn push(&mut self, frame: &[u8], _: Meta) -> bool {
        loop {
            match send(&self.socket, frame, SendFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.starved = true;
                    return false;
                }
                // No memory for it, or nobody there any more: lost, as on any wire.
                Ok(_) | Err(_) => {
                    self.starved = false;
                    return true;
                }
            }
        }
    }

    fn offloads(&self) -> Offloads {
        Offloads::empty()
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        let room = if self.starved { PollFlags::OUT } else { PollFlags::empty() };
        self.is_ready(PollFlags::IN | room)
    }

    fn arm_for_room(&mut self) -> bool {
        self.starved && self.is_ready(PollFlags::OUT)
    }
}

impl Card {
    fn is_ready(&self, wanted: PollFlags) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), wanted)];
        // A failure is that of the next read, too.
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|_| fds[0].revents().intersects(wanted))
    }
}
