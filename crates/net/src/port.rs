//! The two sides of a wire: the device's ([`Port`]) and the network's ([`Backend`]).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The longest frame that either side may hand over, in bytes: an Ethernet header with one VLAN tag and the largest
/// IP packet. A frame that stands for several is no longer.
pub const MAX_FRAME: usize = 18 + 65535;

bitflags::bitflags! {
    /// Work on frames that a receiver takes over from the sender.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Offloads: u8 {
        /// Frames with a [`PartialChecksum`].
        const CHECKSUM = 1;
        /// Segments of TCP over IPv4, [`SegmentKind::Tcp4`]. This and the next two go with `CHECKSUM` only.
        const TSO4 = 1 << 1;
        /// Segments of TCP over IPv6, [`SegmentKind::Tcp6`].
        const TSO6 = 1 << 2;
        /// Datagrams of UDP over either, [`SegmentKind::Udp`].
        const USO = 1 << 3;
    }
}

/// What is known of a frame besides its bytes. Whoever makes one keeps to [`Meta::check`]; the device has checked what
/// comes from a guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// The transport checksum is not finished; see [`PartialChecksum`]. The frame has not been on a real wire: a
    /// receiver that only wants the payload may take the checksum as right.
    pub partial: Option<PartialChecksum>,
    /// The frame stands for several: it is cut before it goes onto a real wire.
    pub segments: Option<Segments>,
    /// Somebody has verified the transport checksum, so the receiver need not.
    pub verified: bool,
}

/// A checksum which its sender left to whoever puts the frame on a real wire: the field holds the sum of the
/// pseudo-header, and the rest is the one's-complement sum of all bytes from `start` (RFC 1071).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where summing begins, in bytes from the start of the frame.
    pub start: u16,
    /// Where the field is, in bytes from `start`.
    pub offset: u16,
}

/// How a frame is cut into several (virtio 1.3, 5.1.6: `gso_type` and `gso_size`). Its transport header begins where
/// its [`PartialChecksum`] does, which it has always. Lengths in its IP and UDP headers are those of the whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// By the rules of which protocol.
    pub kind: SegmentKind,
    /// Payload in each segment but the last, in bytes, not zero: a header and this fit the packet size of the wire.
    pub size: u16,
}

/// What is cut into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// TCP over IPv4: sequence numbers go on, FIN and PSH are the last segment's.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4 or IPv6: each segment is a datagram.
    Udp,
}

impl SegmentKind {
    /// The offload that takes this kind.
    #[must_use]
    pub fn offload(self) -> Offloads {
        match self {
            Self::Tcp4 => Offloads::TSO4,
            Self::Tcp6 => Offloads::TSO6,
            Self::Udp => Offloads::USO,
        }
    }
}

impl Meta {
    /// Whether this can be said of `frame`: checksum field and headers are inside, a frame that is cut has a partial
    /// checksum at the place of its protocol.
    #[must_use]
    pub fn check(&self, frame: &[u8]) -> bool {
        let Some(partial) = self.partial else { return self.segments.is_none() };
        let inside = usize::from(partial.start) + usize::from(partial.offset) + 2 <= frame.len();
        inside && (self.segments.is_none() || self.header_len(frame).is_some())
    }

    /// The bytes of all headers before the payload of a frame with [`segments`](Self::segments); `None` when it has
    /// none, or its headers are not what its kind needs.
    #[must_use]
    pub fn header_len(&self, frame: &[u8]) -> Option<usize> {
        let (partial, segments) = (self.partial?, self.segments?);
        let start = usize::from(partial.start);
        let (len, field) = match segments.kind {
            SegmentKind::Tcp4 | SegmentKind::Tcp6 => (usize::from(frame.get(start + 12)? >> 4) * 4, 16),
            SegmentKind::Udp => (8, 6),
        };
        let least = if field == 16 { 20 } else { 8 };
        let right = segments.size > 0 && partial.offset == field && len >= least && start + len <= frame.len();
        right.then_some(start + len)
    }

    /// What a receiver has to take to be handed this.
    #[must_use]
    pub fn needs(&self) -> Offloads {
        let checksum = if self.partial.is_some() { Offloads::CHECKSUM } else { Offloads::empty() };
        checksum | self.segments.map_or(Offloads::empty(), |segments| segments.kind.offload())
    }
}

/// The device's side: frames that the guest sent, room for frames to it.
///
/// All methods are called on the thread that runs the network, by one caller at a time, and do not block. A frame is
/// an Ethernet frame without its check sequence, at most [`MAX_FRAME`] bytes; the guest has chosen its bytes.
pub trait Port: Send {
    /// Takes the next frame that the guest sent, into `frame` (which is replaced). `None`: there is none now.
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta>;

    /// Gives a frame to the guest. `false`: there is no room now; the network keeps the frame and tries again after
    /// the next wake. A frame that can never be delivered is dropped, which is `true`.
    fn push(&mut self, frame: &[u8], meta: Meta) -> bool;

    /// What [`push`](Self::push) takes. Constant while the network runs.
    fn offloads(&self) -> Offloads;

    /// The network has lost or found its other end: the guest sees it as the carrier of its card.
    fn set_carrier(&mut self, up: bool) {
        let _ = up;
    }

    /// Ends a batch of `pull` and `push`: tells the guest about what was done.
    fn flush(&mut self);

    /// The network is about to sleep: from now on the device has to [`Wake`] it when the guest sends a frame and,
    /// if the last `push` failed, when there is room again. `true`: one of these has happened already, do not sleep.
    fn arm(&mut self) -> bool;

    /// Like [`arm`](Self::arm) for a network that cannot take frames at the moment: only room counts.
    fn arm_for_room(&mut self) -> bool {
        self.arm()
    }
}

/// A network, as one port sees it. It keeps its state (leases, connections) between runs.
pub trait Backend: Send {
    /// What makes [`run`](Self::run) look at its port and at `stop` again. The same for all runs.
    fn wake(&self) -> Wake;

    /// What it takes over for the guest. Constant.
    fn offloads(&self) -> Offloads;

    /// The largest IP packet that it carries, in bytes, 68 to 65535. Constant.
    fn mtu(&self) -> u16;

    /// Carries frames between `port` and the network until `stop` is set, on the calling thread. It must come back
    /// soon after `stop` was set and [`wake`](Self::wake) called. An error means that the host refused what the
    /// network cannot go on without.
    fn run(&mut self, port: &mut dyn Port, stop: &AtomicBool) -> io::Result<()>;
}

/// Wakes a network. Any thread may call it, it never blocks, and many calls cost little more than one.
#[derive(Clone)]
pub struct Wake(Arc<dyn Fn() + Send + Sync>);

impl Wake {
    /// A wake that calls `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes the network, or keeps it from falling asleep.
    pub fn wake(&self) {
        (self.0)();
    }
}
