//! The pairs of queues of a network card, as the port of a network.

use std::sync::Arc;

use ::net::{Meta, Offloads, Port};

use super::filter::Filter;
use super::pair::Pair;
use super::shared::Shared;
use super::spec::feature;
use super::steering::Steering;
use crate::virtio::Virtqueue;

/// The queues, while the network has them.
pub(super) struct Rings {
    pairs: Vec<Pair>,
    offloads: Offloads,
    shared: Arc<Shared>,
    filter: Filter,
    version: u32,
    steering: Steering,
    /// The pair to be looked at next for what the driver sends.
    next: usize,
}

impl Rings {
    /// `pairs` of receive and transmit queues, at least one.
    pub(super) fn new(pairs: Vec<[Virtqueue; 2]>, features: u64, shared: Arc<Shared>) -> Self {
        let (filter, version) = (Filter::new(shared.mac()), u32::MAX);
        let pairs = pairs.into_iter().map(|[rx, tx]| Pair::new(rx, tx, features)).collect();
        Self { pairs, offloads: offloads(features), shared, filter, version, steering: Steering::new(), next: 0 }
    }

    /// The queues with everything put back that was not used: receive and transmit of each pair.
    pub(super) fn into_queues(self) -> Vec<Virtqueue> {
        self.pairs.into_iter().flat_map(Pair::into_queues).collect()
    }

    /// How many pairs the driver uses.
    fn used(&self) -> usize {
        self.shared.pairs().min(self.pairs.len())
    }
}

/// What a driver with `features` takes.
fn offloads(features: u64) -> Offloads {
    let all = [
        (feature::GUEST_CSUM, Offloads::CHECKSUM),
        (feature::GUEST_TSO4, Offloads::TSO4),
        (feature::GUEST_TSO6, Offloads::TSO6),
        (feature::GUEST_USO4 | feature::GUEST_USO6, Offloads::USO),
    ];
    let has = |bits: u64| features & bits == bits;
    all.into_iter().filter(|(bits, _)| has(*bits)).fold(Offloads::empty(), |sum, (_, offload)| sum | offload)
}

impl Port for Rings {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        let used = self.used();
        for _ in 0..used {
            let index = self.next % used;
            let meta = self.pairs[index].pull(frame);
            self.next = index + 1;
            if let Some(meta) = meta {
                if used > 1 {
                    self.steering.learn(frame, index);
                }
                if !self.shared.is_up() {
                    continue;
                }
                return Some(meta);
            }
        }
        None
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        if let Some(filter) = self.shared.newer_filter(&mut self.version) {
            self.filter = filter;
        }
        debug_assert!(self.offloads.contains(meta.needs()), "the driver does not take this");
        if !self.filter.accepts(frame) || !self.shared.is_up() {
            return true;
        }
        let used = self.used();
        let index = if used > 1 { self.steering.choose(frame, used) } else { 0 };
        self.pairs[index].push(frame, meta)
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn set_carrier(&mut self, up: bool) {
        self.shared.set_carrier(up);
    }

    fn flush(&mut self) {
        self.pairs.iter_mut().for_each(Pair::flush);
    }

    fn arm(&mut self) -> bool {
        let used = self.used();
        self.pairs[..used].iter_mut().fold(false, |more, pair| pair.arm() | more)
    }
    fn arm_for_room(&mut self) -> bool {
        let used = self.used();
        self.pairs[..used].iter_mut().fold(false, |more, pair| pair.arm_for_room() | more)
    }
}
