//! The control queue (virtio 1.3, 5.1.6.5): receive modes, addresses, announcements, pairs of queues.

use std::io::{Read, Write};
use std::sync::Arc;

use ::net::MacAddr;

use super::filter::{MAX_ADDRESSES, Mode};
use super::shared::Shared;
use super::spec::{control, feature};
use crate::virtio::{Chain, Reader, Virtqueue, Waker};

/// The queue, in its worker.
pub(super) struct Control {
    pub(super) queue: Virtqueue,
    features: u64,
    pairs: u16,
    shared: Arc<Shared>,
}

impl Control {
    /// For a driver that has negotiated `features` and may use `pairs` pairs of queues.
    pub(super) fn new(queue: Virtqueue, features: u64, pairs: u16, shared: Arc<Shared>) -> Self {
        Self { queue, features, pairs, shared }
    }

    /// Answers all requests that there are.
    pub(super) fn turn(&mut self, waker: &Waker) {
        loop {
            self.queue.disable_notification();
            while let Some(chain) = self.queue.pop() {
                if waker.is_stopping() {
                    self.queue.put_back(chain);
                    return;
                }
                let answer = if self.request(&chain).is_some() { control::OK } else { control::ERR };
                let mut writer = chain.writer(self.queue.memory());
                // A request without room for the answer gets none.
                let written = u32::from(writer.write_all(&[answer]).is_ok());
                self.queue.complete(chain, written);
                self.queue.signal();
            }
            if !self.queue.enable_notification() {
                return;
            }
        }
    }

    /// Does what is asked for; `None` when it is wrong or was not negotiated.
    fn request(&self, chain: &Chain) -> Option<()> {
        let mut reader = chain.reader(self.queue.memory());
        let [class, command] = bytes(&mut reader)?;
        let has = |feature: u64| (self.features & feature == feature).then_some(());
        match (class, command) {
            (control::RX, command @ 0..control::RX_COMMANDS) => {
                has(if command < 2 { feature::CTRL_RX } else { feature::CTRL_RX_EXTRA })?;
                let ([on], mode) = (bytes(&mut reader)?, Mode::of(command)?);
                self.shared.change_filter(|filter| filter.set(mode, on != 0));
            }
            (control::MAC, control::MAC_TABLE_SET) => {
                has(feature::CTRL_RX)?;
                let (unicast, multicast) = (table(&mut reader)?, table(&mut reader)?);
                self.shared.change_filter(|filter| filter.set_tables(unicast, multicast));
            }
            (control::MAC, control::MAC_ADDR_SET) => {
                has(feature::CTRL_MAC_ADDR)?;
                let mac = Some(MacAddr(bytes(&mut reader)?)).filter(|mac| mac.is_unicast())?;
                self.shared.change_filter(|filter| filter.mac = mac);
            }
            (control::ANNOUNCE, control::ANNOUNCE_ACK) => {
                has(feature::GUEST_ANNOUNCE)?;
                self.shared.announced();
            }
            (control::MQ, control::MQ_PAIRS_SET) => {
                has(feature::MQ)?;
                let pairs = u16::from_le_bytes(bytes(&mut reader)?);
                if pairs == 0 || pairs > self.pairs {
                    return None;
                }
                self.shared.set_pairs(pairs);
            }
            _ => return None,
        }
        Some(())
    }
}

fn bytes<const N: usize>(reader: &mut Reader<'_>) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// A table of addresses: `Some(None)` is one with too many to remember.
#[expect(clippy::option_option, reason = "the outer one is malformed, the inner one too long")]
fn table(reader: &mut Reader<'_>) -> Option<Option<Vec<MacAddr>>> {
    let count = u64::from(u32::from_le_bytes(bytes(reader)?));
    if count * 6 > reader.remaining() {
        return None;
    }
    if count > MAX_ADDRESSES as u64 {
        reader.skip(count * 6);
        return Some(None);
    }
    let all: Option<Vec<_>> = (0..count).map(|_| bytes(reader).map(MacAddr)).collect();
    all.map(Some)
}
