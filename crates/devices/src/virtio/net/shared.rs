//! What the parts of a card share: its link status, its receive filter, and how many pairs of queues are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use ::net::MacAddr;
use parking_lot::Mutex;

use super::filter::Filter;
use super::spec::{STATUS_ANNOUNCE, STATUS_LINK_UP, feature};
use crate::virtio::Interrupt;

/// State of a card besides its queues.
pub(super) struct Shared {
    /// The address that the card was made with.
    mac: MacAddr,
    /// Pairs in use, of those that the driver may use.
    pairs: AtomicU16,
    filter: Mutex<Filter>,
    /// Changes with `filter`.
    version: AtomicU32,
    link: Mutex<Link>,
    /// Changes with the configuration space.
    generation: AtomicU8,
}

struct Link {
    /// The host's wish.
    up: bool,
    /// The network's own state.
    carrier: bool,
    announce: bool,
    /// Features and interrupt of the driver that is bound.
    driver: Option<(u64, Arc<dyn Interrupt>)>,
}

impl Link {
    fn is_up(&self) -> bool {
        self.up && self.carrier
    }
}

impl Shared {
    pub(super) fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            pairs: AtomicU16::new(1),
            filter: Mutex::new(Filter::new(mac)),
            version: AtomicU32::new(0),
            link: Mutex::new(Link { up: true, carrier: true, announce: false, driver: None }),
            generation: AtomicU8::new(0),
        }
    }

    /// Forgets what the driver had set.
    pub(super) fn reset(&self) {
        self.pairs.store(1, Ordering::Release);
        self.change_filter(|filter| *filter = Filter::new(self.mac));
        self.link.lock().announce = false;
    }

    /// A driver is bound (or none any more).
    pub(super) fn bind(&self, driver: Option<(u64, Arc<dyn Interrupt>)>) {
        self.link.lock().driver = driver;
    }

    pub(super) fn pairs(&self) -> usize {
        self.pairs.load(Ordering::Acquire).into()
    }

    pub(super) fn set_pairs(&self, pairs: u16) {
        self.pairs.store(pairs, Ordering::Release);
    }

    pub(super) fn mac(&self) -> MacAddr {
        self.filter.lock().mac
    }

    pub(super) fn change_filter(&self, change: impl FnOnce(&mut Filter)) {
        change(&mut self.filter.lock());
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The filter, if it is not of `version`, which is brought up to date.
    pub(super) fn newer_filter(&self, version: &mut u32) -> Option<Filter> {
        let now = self.version.load(Ordering::Acquire);
        (std::mem::replace(version, now) != now).then(|| self.filter.lock().clone())
    }

    pub(super) fn generation(&self) -> u8 {
        self.generation.load(Ordering::Acquire)
    }

    /// The status field.
    pub(super) fn status(&self) -> u16 {
        let link = self.link.lock();
        let announce = if link.announce { STATUS_ANNOUNCE } else { 0 };
        if link.is_up() { STATUS_LINK_UP | announce } else { announce }
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.lock().is_up()
    }

    /// The host plugs the cable in or pulls it out.
    pub(super) fn set_up(&self, up: bool) {
        self.change_link(|link| link.up = up);
    }

    /// The network has found or lost its other end.
    pub(super) fn set_carrier(&self, carrier: bool) {
        self.change_link(|link| link.carrier = carrier);
    }

    /// Asks the driver to announce itself.
    pub(super) fn announce(&self) {
        self.change_link(|link| link.announce = true);
    }

    /// The driver has announced itself.
    pub(super) fn announced(&self) {
        let mut link = self.link.lock();
        link.announce = false;
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn change_link(&self, change: impl FnOnce(&mut Link)) {
        let interrupt = {
            let mut link = self.link.lock();
            let before = (link.is_up(), link.announce);
            change(&mut link);
            let features = link.driver.as_ref().map_or(0, |(features, _)| *features);
            // Behind a new link nobody knows yet where this card is.
            link.announce |= link.is_up() && !before.0;
            link.announce &= features & feature::GUEST_ANNOUNCE != 0;
            if before == (link.is_up(), link.announce) {
                return;
            }
            self.generation.fetch_add(1, Ordering::Release);
            link.driver.as_ref().filter(|_| features & feature::STATUS != 0).map(|(_, interrupt)| interrupt.clone())
        };
        if let Some(interrupt) = interrupt {
            interrupt.config();
        }
    }
}
