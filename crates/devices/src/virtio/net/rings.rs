//! The two queues of a network card, as the port of a network.

use std::collections::VecDeque;
use std::io::{Read, Write};

use ::net::{MAX_FRAME, Meta, Offloads, PartialChecksum, Port};

use super::spec::{feature, header};
use crate::virtio::{Chain, Malformed, Virtqueue};

/// The queues, while the network has them.
pub(super) struct Rings {
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

impl Rings {
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
        // Nothing that needs segmentation was negotiated.
        if head[header::GSO_TYPE] != header::GSO_NONE {
            return None;
        }
        if head[header::FLAGS] & header::F_NEEDS_CSUM == 0 {
            return Some(Meta::default());
        }
        let field = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (start, offset) = (field(header::CSUM_START), field(header::CSUM_OFFSET));
        let inside = usize::from(start) + usize::from(offset) + 2 <= len;
        (inside && self.has(feature::CSUM))
            .then_some(Meta { partial: Some(PartialChecksum { start, offset }), ..Meta::default() })
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
}

impl Port for Rings {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
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

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
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
        let mut head = [0; header::SIZE];
        if let Some(partial) = meta.partial {
            head[header::FLAGS] = header::F_NEEDS_CSUM;
            head[header::CSUM_START..][..2].copy_from_slice(&partial.start.to_le_bytes());
            head[header::CSUM_OFFSET..][..2].copy_from_slice(&partial.offset.to_le_bytes());
        }
        head[header::NUM_BUFFERS..][..2].copy_from_slice(&(chains.len() as u16).to_le_bytes());
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

    fn offloads(&self) -> Offloads {
        if self.has(feature::GUEST_CSUM) { Offloads::CHECKSUM } else { Offloads::empty() }
    }

    fn flush(&mut self) {
        self.rx.signal();
        self.tx.signal();
    }

    fn arm(&mut self) -> bool {
        let room = if std::mem::take(&mut self.starved) {
            self.rx.enable_notification()
        } else {
            self.rx.disable_notification();
            false
        };
        self.armed = true;
        self.tx.enable_notification() || room
    }
}
