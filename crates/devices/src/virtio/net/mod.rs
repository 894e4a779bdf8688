//! The network device (virtio 1.3, 5.1): pairs of queues between the guest and a network, and a control queue.

mod control;
mod filter;
mod pair;
mod rings;
mod shared;
pub mod spec;
mod steering;

use std::sync::{Arc, PoisonError};

use ::net::{Link, MacAddr, Offloads, SharedBackend, Wake};
use parking_lot::Mutex;

use super::spec::device_type;
use super::{ActivateError, Activation, VirtioDevice, Virtqueue, Waker, Worker};
use control::Control;
use rings::Rings;
use shared::Shared;
use spec::{config, feature, queue};

/// Descriptors in each queue: a wire's worth of full-sized packets while the other side does something else.
const QUEUE_SIZE: u16 = 256;
/// The most pairs of queues: more than one for each CPU of a machine is of no use.
pub const MAX_PAIRS: u16 = 8;

/// The network device.
///
/// Fixed: the Ethernet address, what the network takes over from the guest, the packet size, the number of pairs.
/// Glue: the network, which lends its thread to the queues and is woken by kicks. State: link status and receive filter,
/// and while a driver is bound the link to the network and the worker of the control queue.
pub struct Net {
    mtu: u16,
    features: u64,
    sizes: Vec<u16>,
    network: SharedBackend,
    wake: Wake,
    shared: Arc<Shared>,
    control: Waker,
    active: Mutex<Option<Active>>,
}

/// What runs while a driver is bound.
struct Active {
    link: Link<Rings>,
    control: Option<Worker<Control>>,
    /// The queues by their index, with gaps where the link and the control queue's worker have them.
    queues: Vec<Option<Virtqueue>>,
}

impl Net {
    /// A card with the address `mac` on `network`, with one pair of queues. Waits for a link of the network that is
    /// running elsewhere.
    #[must_use]
    pub fn new(mac: MacAddr, network: SharedBackend) -> Self {
        Self::with_pairs(mac, network, 1)
    }

    /// A card with `pairs` pairs of queues, of which a guest uses one for each of its CPUs; 1 to [`MAX_PAIRS`].
    #[must_use]
    pub fn with_pairs(mac: MacAddr, network: SharedBackend, pairs: u16) -> Self {
        let (wake, mtu, offloads) = {
            let network = network.lock().unwrap_or_else(PoisonError::into_inner);
            (network.wake(), network.mtu(), network.offloads())
        };
        let pairs = pairs.clamp(1, MAX_PAIRS);
        let mut features = OFFERED | offered(offloads);
        if pairs > 1 {
            features |= feature::MQ;
        }
        Self {
            mtu,
            features,
            sizes: vec![QUEUE_SIZE; usize::from(pairs) * 2 + 1],
            network,
            wake,
            shared: Arc::new(Shared::new(mac)),
            control: Waker::new(),
            active: Mutex::new(None),
        }
    }

    /// The card's address, which the guest may have changed.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.shared.mac()
    }

    /// Plugs the cable in or pulls it out: the guest sees its link go up or down, and nothing passes while it is
    /// down. Any thread; not with a lock held that a device may want.
    pub fn set_link(&self, up: bool) {
        self.shared.set_up(up);
        self.wake.wake();
    }

    /// Whether the link is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    /// Asks the guest to announce where it is on the network (with a gratuitous ARP), if its driver can.
    pub fn announce(&self) {
        self.shared.announce();
    }

    /// How many pairs there are.
    fn pairs(&self) -> usize {
        self.sizes.len() / 2
    }

    /// The index of the control queue for a driver with `features`.
    fn control_index(&self, features: u64) -> usize {
        if features & feature::MQ != 0 { self.pairs() * 2 } else { queue::CONTROL.into() }
    }
}

/// What we do for every network.
const OFFERED: u64 = feature::MAC
    | feature::STATUS
    | feature::MTU
    | feature::MRG_RXBUF
    | feature::GUEST_CSUM
    | feature::GUEST_TSO4
    | feature::GUEST_TSO6
    | feature::GUEST_USO4
    | feature::GUEST_USO6
    | feature::GUEST_ANNOUNCE
    | feature::CTRL_VQ
    | feature::CTRL_RX
    | feature::CTRL_RX_EXTRA
    | feature::CTRL_MAC_ADDR;

/// What a network with `offloads` lets the guest leave to it.
fn offered(offloads: Offloads) -> u64 {
    let all = [
        (Offloads::CHECKSUM, feature::CSUM),
        (Offloads::TSO4, feature::HOST_TSO4),
        (Offloads::TSO6, feature::HOST_TSO6),
        (Offloads::USO, feature::HOST_USO),
    ];
    all.into_iter().filter(|(offload, _)| offloads.contains(*offload)).fold(0, |sum, (_, bit)| sum | bit)
}

/// Feature bits less those whose condition (5.1.3.1) was not negotiated: a driver that asks for them is as one that
/// does not.
fn effective(features: u64) -> u64 {
    let needs = [
        (feature::CSUM, feature::HOST_TSO4 | feature::HOST_TSO6 | feature::HOST_USO),
        (feature::GUEST_CSUM, feature::GUEST_TSO4 | feature::GUEST_TSO6 | feature::GUEST_USO4 | feature::GUEST_USO6),
        (
            feature::CTRL_VQ,
            feature::CTRL_RX | feature::CTRL_RX_EXTRA | feature::CTRL_MAC_ADDR | feature::GUEST_ANNOUNCE | feature::MQ,
        ),
    ];
    needs.iter().fold(features, |all, (need, bits)| if all & need == 0 { all & !bits } else { all })
}

/// The two queues of a pair, when the driver has enabled both: it may leave out what it does not use, from the end.
fn take_pair(pair: &mut [Option<Virtqueue>]) -> Option<[Virtqueue; 2]> {
    match pair {
        [rx @ Some(_), tx @ Some(_)] => Some([rx.take()?, tx.take()?]),
        _ => None,
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
        &self.sizes
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut space = [0; config::SIZE];
        space[config::MAC..][..6].copy_from_slice(&self.shared.mac().0);
        space[config::STATUS..][..2].copy_from_slice(&self.shared.status().to_le_bytes());
        space[config::MAX_PAIRS..][..2].copy_from_slice(&(self.pairs() as u16).to_le_bytes());
        space[config::MTU..][..2].copy_from_slice(&self.mtu.to_le_bytes());
        let rest = usize::try_from(offset).ok().and_then(|at| space.get(at..)).unwrap_or_default();
        let len = rest.len().min(data.len());
        data[..len].copy_from_slice(&rest[..len]);
    }

    fn config_generation(&self) -> u8 {
        self.shared.generation()
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        let features = effective(activation.features);
        let mut queues = activation.queues;
        let control_at = self.control_index(features);
        let control = queues.get_mut(control_at).filter(|_| features & feature::CTRL_VQ != 0).and_then(Option::take);
        let pairs = if features & feature::MQ == 0 { 1 } else { self.pairs() };
        let rings: Vec<_> = queues.chunks_exact_mut(2).take(pairs).map_while(take_pair).collect();
        if rings.is_empty() {
            let rx = queues.first().is_some_and(Option::is_some);
            return Err(ActivateError::MissingQueue(if rx { queue::TX } else { queue::RX }));
        }
        let host = |what| move |source| ActivateError::Host { what, source };
        let usable = rings.len() as u16;
        let worker = control.map(|queue| {
            let control = Control::new(queue, features, usable, self.shared.clone());
            Worker::spawn("virtio-net-ctrl", &self.control, control, Control::turn)
        });
        let control = worker.transpose().map_err(host("starting the thread of the control queue"))?;
        self.shared.bind(Some((features, activation.interrupt)));
        let rings = Rings::new(rings, features, self.shared.clone());
        let link = Link::start("virtio-net", self.network.clone(), self.wake.clone(), rings).map_err(|source| {
            self.shared.bind(None);
            host("starting the network thread")(source)
        })?;
        *self.active.lock() = Some(Active { link, control, queues });
        Ok(())
    }

    fn notify(&self, index: u16) {
        let index = usize::from(index);
        // The last queue is nothing but a control queue; the third may be one, and a kick too many does no harm.
        if index + 1 == self.sizes.len() || index == usize::from(queue::CONTROL) {
            self.control.wake();
        }
        self.wake.wake();
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        let Some(active) = self.active.lock().take() else { return Vec::new() };
        let control = active.control.and_then(Worker::stop);
        let rings = active.link.stop();
        self.shared.bind(None);
        let mut queues = active.queues;
        let all = rings.map(Rings::into_queues).into_iter().flatten().chain(control.map(|control| control.queue));
        for queue in all {
            let index = usize::from(queue.index());
            queues[index] = Some(queue);
        }
        queues
    }

    fn reset(&self) {
        self.shared.reset();
    }
}
