//! The two sides of a wire: the device's ([`Port`]) and the network's ([`Backend`]).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The longest frame that either side may hand over, in bytes: an Ethernet header with one VLAN tag and the largest
/// IP packet.
pub const MAX_FRAME: usize = 18 + 65535;

/// What is known of a frame besides its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// The transport checksum is not finished; see [`PartialChecksum`]. The frame has not been on a real wire: a
    /// receiver that only wants the payload may take the checksum as right.
    pub partial: Option<PartialChecksum>,
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

    /// Whether [`push`](Self::push) takes frames with a partial checksum. Constant while the network runs.
    fn takes_partial(&self) -> bool;

    /// Ends a batch of `pull` and `push`: tells the guest about what was done.
    fn flush(&mut self);

    /// The network is about to sleep: from now on the device has to [`Wake`] it when the guest sends a frame and,
    /// if the last `push` failed, when there is room again. `true`: one of these has happened already, do not sleep.
    fn arm(&mut self) -> bool;
}

/// A network, as one port sees it. It keeps its state (leases, connections) between runs.
pub trait Backend: Send {
    /// What makes [`run`](Self::run) look at its port and at `stop` again. The same for all runs.
    fn wake(&self) -> Wake;

    /// Whether frames with a partial checksum may be handed to it. Constant.
    fn takes_partial(&self) -> bool;

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
