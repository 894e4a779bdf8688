//! Whatever a peer sends through a socket, as datagrams and as a stream, and whatever the guest sends to it.
#![no_main]

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use net::{Backend, Meta, Offloads, PartialChecksum, Port, SegmentKind, Segments, socket};

#[derive(Arbitrary, Debug)]
struct Input {
    stream: bool,
    offloads: u8,
    peer: Vec<Vec<u8>>,
    /// Lengths before what the peer sends, so that the fuzzer need not guess them.
    framed: bool,
    guest: Vec<Sent>,
    hang_up: bool,
}

/// A frame that the guest sends, and what it leaves to the card.
#[derive(Arbitrary, Debug)]
struct Sent {
    frame: Vec<u8>,
    /// Where the sum starts, and how far behind it is.
    partial: Option<(u16, u16)>,
    /// The kind and size of the segments.
    segments: Option<(u8, u16)>,
}

/// A card that ends the network's run when it is about to sleep.
struct Card<'a> {
    frames: std::vec::IntoIter<(Vec<u8>, Meta)>,
    offloads: Offloads,
    stop: &'a AtomicBool,
    room: usize,
}

impl Port for Card<'_> {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        let (bytes, meta) = self.frames.next()?;
        *frame = bytes;
        Some(meta)
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        assert!(meta.check(frame) && self.offloads.contains(meta.needs()) && frame.len() >= 14);
        self.room = self.room.saturating_sub(1);
        self.room > 0
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        self.stop.store(true, Ordering::Release);
        true
    }
}

fuzz_target!(|input: Input| {
    let mut peer_stream = None;
    let (ours, theirs): (OwnedFd, OwnedFd) = if input.stream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        for bytes in &input.peer {
            if input.framed {
                let _ = theirs.write(&(bytes.len() as u32).to_be_bytes());
            }
            let _ = theirs.write(bytes);
        }
        peer_stream = theirs.try_clone().ok();
        (ours.into(), theirs.into())
    } else {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        for bytes in &input.peer {
            let _ = theirs.send(bytes);
        }
        (ours.into(), theirs.into())
    };
    let kinds = [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp];
    let frames = input.guest.into_iter().filter_map(|Sent { frame, partial, segments }| {
        let partial = partial.map(|(start, offset)| PartialChecksum { start, offset });
        let segments = segments.map(|(kind, size)| Segments { kind: kinds[usize::from(kind % 3)], size });
        let meta = Meta { partial, segments, verified: false };
        meta.check(&frame).then_some((frame, meta))
    });
    let frames = frames.collect::<Vec<_>>().into_iter();
    let mut network = socket::connected(ours, 1500).unwrap();
    let stop = AtomicBool::new(false);
    if input.hang_up {
        drop((theirs, peer_stream));
    }
    let offloads = Offloads::from_bits_truncate(input.offloads);
    network.run(&mut Card { frames, offloads, stop: &stop, room: 500 }, &stop).unwrap();
});
