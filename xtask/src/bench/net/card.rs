//! A wire from the guest's side, and smoltcp's view of it.

use std::time::Duration;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// The guest's side of a wire.
pub(super) trait Wire {
    /// Takes the next frame to the guest, into `frame`.
    fn receive(&mut self, frame: &mut Vec<u8>) -> bool;
    /// Whether [`send`](Self::send) has room for a frame.
    fn can_send(&mut self) -> bool;
    /// Sends a frame; its checksums may be missing if the wire takes them over.
    fn send(&mut self, frame: &[u8]);
    /// Ends a batch.
    fn flush(&mut self);
    /// Waits until there is something to receive or room to send, but not for long.
    fn wait(&mut self, patience: Duration);
    /// The largest IP packet that may be sent at once.
    fn mtu(&self) -> usize;
    /// Checksums of TCP and UDP are somebody else's work.
    fn offloads(&self) -> bool;
    /// CPU time that the network at the other end has taken, in seconds.
    fn cpu(&self) -> f64;
}

/// A wire as a card of smoltcp.
pub(super) struct Card {
    pub(super) wire: Box<dyn Wire>,
    frame: Vec<u8>,
    scratch: Vec<u8>,
    /// Frames in either direction.
    pub(super) frames: u64,
    /// Who has sent the last one.
    pub(super) router: [u8; 6],
}

impl Card {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, frame: Vec::new(), scratch: Vec::new(), frames: 0, router: [0xff; 6] }
    }
}

pub(super) struct Received<'a>(&'a mut Vec<u8>);
pub(super) struct Sent<'a>(&'a mut dyn Wire, &'a mut Vec<u8>);

impl Device for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sent<'_>)> {
        if !self.wire.can_send() || !self.wire.receive(&mut self.frame) {
            return None;
        }
        self.frames += 1;
        if let Some(from) = self.frame.get(6..12) {
            self.router.copy_from_slice(from);
        }
        if self.wire.offloads() {
            enlarge(&mut self.frame, self.wire.mtu());
        }
        Some((Received(&mut self.frame), Sent(self.wire.as_mut(), &mut self.scratch)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        if !self.wire.can_send() {
            return None;
        }
        self.frames += 1;
        Some(Sent(self.wire.as_mut(), &mut self.scratch))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.wire.mtu() + 14;
        if self.wire.offloads() {
            capabilities.checksum.tcp = Checksum::None;
            capabilities.checksum.udp = Checksum::None;
        } else {
            // A guest's card says nothing of received checksums either, but a socket on one host loses none.
            capabilities.checksum.tcp = Checksum::Tx;
            capabilities.checksum.udp = Checksum::Tx;
        }
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.1.resize(len, 0);
        let result = f(self.1);
        self.0.send(self.1);
        result
    }
}

/// Makes the segment size that a SYN tells as large as the card takes, as a stack does that lets its card cut.
fn enlarge(frame: &mut [u8], mtu: usize) {
    let is_syn = frame.len() > 58 && frame[12..14] == [8, 0] && frame[23] == 6 && frame[47] & 2 != 0;
    if is_syn && frame[54..56] == [2, 4] {
        frame[56..58].copy_from_slice(&((mtu - 40) as u16).to_be_bytes());
    }
}
