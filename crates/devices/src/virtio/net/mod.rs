//! The network device (virtio 1.3, 5.1): one pair of queues between the guest and a network.

mod rings;
pub mod spec;

use ::net::{Link, MacAddr, Offloads, SharedBackend, Wake};
use parking_lot::Mutex;

use super::spec::device_type;
use super::{ActivateError, Activation, VirtioDevice, Virtqueue};
use rings::Rings;
use spec::{config, feature, queue};

/// Descriptors in each queue: a wire's worth of full-sized packets while the other side does something else.
const QUEUE_SIZE: u16 = 256;

/// The network device.
///
/// Fixed: the Ethernet address, and what the network can do (checksums, packet size). Glue: the network, which lends
/// its thread to the queues and is woken by kicks. State: the link to it, while a driver is bound.
pub struct Net {
    mac: MacAddr,
    mtu: u16,
    features: u64,
    network: SharedBackend,
    wake: Wake,
    link: Mutex<Option<Link<Rings>>>,
}

impl Net {
    /// A card with the address `mac` on `network`. Waits for a link of the network that is running elsewhere.
    #[must_use]
    pub fn new(mac: MacAddr, network: SharedBackend) -> Self {
        let (wake, mtu, partial) = {
            let network = network.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (network.wake(), network.mtu(), network.offloads().contains(Offloads::CHECKSUM))
        };
        let mut features = feature::MAC | feature::STATUS | feature::MTU | feature::MRG_RXBUF | feature::GUEST_CSUM;
        if partial {
            features |= feature::CSUM;
        }
        Self { mac, mtu, features, network, wake, link: Mutex::new(None) }
    }

    /// The card's address.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.mac
    }
}

impl VirtioDevice for Net {
    fn device_type(&self) -> u16 {
        device_type::NET
    }

    fn features(&self) -> u64 {
        self.features
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE; 2]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut space = [0; config::SIZE];
        space[config::MAC..][..6].copy_from_slice(&self.mac.0);
        space[config::STATUS..][..2].copy_from_slice(&spec::STATUS_LINK_UP.to_le_bytes());
        space[config::MTU..][..2].copy_from_slice(&self.mtu.to_le_bytes());
        let rest = usize::try_from(offset).ok().and_then(|at| space.get(at..)).unwrap_or_default();
        let len = rest.len().min(data.len());
        data[..len].copy_from_slice(&rest[..len]);
    }

    fn activate(&self, mut activation: Activation) -> Result<(), ActivateError> {
        let mut take = |index: u16| {
            let queue = activation.queues.get_mut(usize::from(index)).and_then(Option::take);
            queue.ok_or(ActivateError::MissingQueue(index))
        };
        let (rx, tx) = (take(queue::RX)?, take(queue::TX)?);
        let rings = Rings::new(rx, tx, activation.features);
        let link = Link::start("virtio-net", self.network.clone(), self.wake.clone(), rings)
            .map_err(|source| ActivateError::Host { what: "starting the network thread", source })?;
        *self.link.lock() = Some(link);
        Ok(())
    }

    fn notify(&self, _index: u16) {
        self.wake.wake();
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        let link = self.link.lock().take();
        let rings = link.and_then(Link::stop);
        rings.map_or_else(Vec::new, |rings| rings.into_queues().map(Some).into())
    }
}
