//! One pair of queues: packets in and out, with the header before each (virtio 1.3, 5.1.6).

use std::collections::VecDeque;
use std::io::{Read, Write};

use ::net::{MAX_FRAME, Meta, PartialChecksum, SegmentKind, Segments};

use super::spec::{feature, header};
use crate::virtio::{Chain, Malformed, Virtqueue};

/// A receive and a transmit queue.
pub(super) struct Pair {
    rx: Virtqueue,
    tx: Virtqueue,
    features: u64,
    /// Receive buffers that were taken from `rx` for a packet that they were too few for, oldest first.
    held: VecDeque<Chain>,
    /// How much room there is in `held`, in bytes.
    room: u64,
    /// The last packet found too little room.
    starved: bool,
    /// The driver was asked to kick for what it sends.
    armed: bool,
}

impl Pair {
    pub(super) fn new(rx: Virtqueue, tx: Virtqueue, features: u64) -> Self {
        Self { rx, tx, features, held: VecDeque::new(), room: 0, starved: false, armed: true }
    }

    /// The queues with everything put back that was not used: receive, transmit.
    pub(super) fn into_queues(mut self) -> [Virtqueue; 2] {
        while let Some(chain) = self.held.pop_back() {
            self.rx.put_back(chain);
        }
        [self.rx, self.tx]
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    /// Reads the packet in `chain` into `frame`; `None` when it is not one.
    fn read(&self, chain: &Chain, frame: &mut Vec<u8>) -> Option<Meta> {
        let mut reader = chain.reader(self.tx.memory());
        let mut head = [0; header::SIZE];
        reader.read_exact(&mut head).ok()?;
        let len = usize::try_from(reader.remaining()).ok().filter(|len| (1..=MAX_FRAME).contains(len))?;
        frame.resize(len, 0);
        reader.read_exact(frame).ok()?;
        let meta = self.read_header(&head)?;
        meta.check(frame).then_some(meta)
    }

    /// What the header says of its packet; `None` when that was not negotiated.
    fn read_header(&self, head: &[u8; header::SIZE]) -> Option<Meta> {
        let field = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let partial = (head[header::FLAGS] & header::F_NEEDS_CSUM != 0)
            .then(|| PartialChecksum { start: field(header::CSUM_START), offset: field(header::CSUM_OFFSET) });
        let (kind, feature) = match head[header::GSO_TYPE] {
            header::GSO_NONE => {
                let right = partial.is_none() || self.has(feature::CSUM);
                return right.then_some(Meta { partial, ..Meta::default() });
            }
            header::GSO_TCPV4 => (SegmentKind::Tcp4, feature::HOST_TSO4),
            header::GSO_TCPV6 => (SegmentKind::Tcp6, feature::HOST_TSO6),
            header::GSO_UDP_L4 => (SegmentKind::Udp, feature::HOST_USO),
            _ => return None,
        };
        let segments = Some(Segments { kind, size: field(header::GSO_SIZE) });
        self.has(feature).then_some(Meta { partial, segments, verified: false })
    }

    /// The header of a packet for the driver.
    fn write_header(&self, frame: &[u8], meta: Meta, buffers: usize) -> [u8; header::SIZE] {
        let mut head = [0; header::SIZE];
        let mut put = |at: usize, value: u16| head[at..at + 2].copy_from_slice(&value.to_le_bytes());
        put(header::NUM_BUFFERS, buffers as u16);
        if let Some(partial) = meta.partial {
            put(header::CSUM_START, partial.start);
            put(header::CSUM_OFFSET, partial.offset);
            head[header::FLAGS] = header::F_NEEDS_CSUM;
        } else if meta.verified && self.has(feature::GUEST_CSUM) {
            head[header::FLAGS] = header::F_DATA_VALID;
        }
        if let Some(segments) = meta.segments {
            head[header::GSO_TYPE] = match segments.kind {
                SegmentKind::Tcp4 => header::GSO_TCPV4,
                SegmentKind::Tcp6 => header::GSO_TCPV6,
                SegmentKind::Udp => header::GSO_UDP_L4,
            };
            let len = meta.header_len(frame).unwrap_or(0) as u16;
            head[header::HDR_LEN..][..2].copy_from_slice(&len.to_le_bytes());
            head[header::GSO_SIZE..][..2].copy_from_slice(&segments.size.to_le_bytes());
        }
        head
    }

    /// Takes receive buffers until a packet of `len` bytes, header and all, fits. `Some(false)`: there are too few;
    /// `None`: there never will be enough.
    fn reserve(&mut self, len: u64) -> Option<bool> {
        let most = if self.has(feature::MRG_RXBUF) { usize::from(self.rx.size()) } else { 1 };
        while self.room < len {
            if self.held.len() >= most {
                return None;
            }
            let Some(chain) = self.rx.pop() else { return Some(false) };
            let room = chain.writable_len();
            if room < header::SIZE as u64 {
                self.rx.fail(Malformed::Class("a receive buffer is smaller than the header"));
                return None;
            }
            self.room += room;
            self.held.push_back(chain);
        }
        Some(true)
    }

    /// Takes the first of the held buffers that hold `len` bytes, each with how many of them.
    fn take(&mut self, len: u64) -> Vec<(Chain, u32)> {
        let (mut chains, mut left) = (Vec::with_capacity(1), len);
        while left > 0
            && let Some(chain) = self.held.pop_front()
        {
            let room = chain.writable_len();
            let part = left.min(room);
            (self.room, left) = (self.room - room, left - part);
            chains.push((chain, part as u32));
        }
        chains
    }

    /// See [`Port::pull`](::net::Port::pull).
    pub(super) fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        if std::mem::take(&mut self.armed) {
            self.tx.disable_notification();
        }
        // A guest that sends nothing but rubbish must let the network have its turn.
        for _ in 0..self.tx.size() {
            let chain = self.tx.pop()?;
            let meta = self.read(&chain, frame);
            self.tx.complete(chain, 0);
            match meta {
                Some(meta) => return Some(meta),
                None => tracing::debug!("the guest sent something that is no packet"),
            }
        }
        None
    }

    /// See [`Port::push`](::net::Port::push).
    pub(super) fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        let len = (header::SIZE + frame.len()) as u64;
        match self.reserve(len) {
            Some(true) => {}
            Some(false) => {
                self.starved = true;
                return false;
            }
            // Too large for all buffers there can be: lost, as on any wire.
            None => return true,
        }
        let chains = self.take(len);
        let head = self.write_header(frame, meta, chains.len());
        let mut rest = frame;
        for (n, (chain, part)) in chains.iter().enumerate() {
            let mut writer = chain.writer(self.rx.memory());
            let first = if n == 0 { &head[..] } else { &[] };
            let (now, later) = rest.split_at((*part as usize).saturating_sub(first.len()).min(rest.len()));
            if writer.write_all(first).and_then(|()| writer.write_all(now)).is_err() {
                self.rx.fail(Malformed::Buffer);
                return true;
            }
            rest = later;
        }
        self.rx.complete_together(chains);
        true
    }

    /// See [`Port::flush`](::net::Port::flush).
    pub(super) fn flush(&mut self) {
        self.rx.signal();
        self.tx.signal();
    }

    /// See [`Port::arm_for_room`](::net::Port::arm_for_room).
    pub(super) fn arm_for_room(&mut self) -> bool {
        if std::mem::take(&mut self.starved) {
            return self.rx.enable_notification();
        }
        self.rx.disable_notification();
        false
    }

    /// See [`Port::arm`](::net::Port::arm).
    pub(super) fn arm(&mut self) -> bool {
        let room = self.arm_for_room();
        self.armed = true;
        self.tx.enable_notification() || room
    }
}
