//! Which address is behind which port (IEEE 802.1D-2004, 7.8 and 7.9).

use std::collections::HashMap;

use crate::MacAddr;

/// Addresses behind one port at most: a machine that sends from ever new ones pushes out its own only.
const MAX_PER_PORT: usize = 128;

/// The addresses that were seen, each with its port.
#[derive(Debug, Default)]
pub struct Table {
    ports: HashMap<MacAddr, (usize, u64)>,
    /// How many of each port.
    counts: HashMap<usize, usize>,
    /// Counts frames: the age of an entry.
    now: u64,
}

impl Table {
    /// A table that knows nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame from `mac` came in at `port`.
    pub fn learn(&mut self, mac: MacAddr, port: usize) {
        if !mac.is_unicast() {
            return;
        }
        self.now += 1;
        let now = self.now;
        if let Some(entry) = self.ports.get_mut(&mac)
            && entry.0 == port
        {
            entry.1 = now;
            return;
        }
        self.forget(mac);
        if self.counts.get(&port).is_some_and(|count| *count >= MAX_PER_PORT) {
            let of_port = self.ports.iter().filter(|(_, (p, _))| *p == port);
            if let Some(oldest) = of_port.min_by_key(|(_, (_, seen))| *seen).map(|(mac, _)| *mac) {
                self.forget(oldest);
            }
        }
        self.ports.insert(mac, (port, now));
        *self.counts.entry(port).or_default() += 1;
    }

    fn forget(&mut self, mac: MacAddr) {
        if let Some((port, _)) = self.ports.remove(&mac)
            && let Some(count) = self.counts.get_mut(&port)
        {
            *count -= 1;
        }
    }

    /// The port that a frame to `mac` goes to; `None`: to all of them.
    #[must_use]
    pub fn lookup(&self, mac: MacAddr) -> Option<usize> {
        self.ports.get(&mac).map(|(port, _)| *port)
    }

    /// Nobody is at `port` any more.
    pub fn unplug(&mut self, port: usize) {
        self.ports.retain(|_, (p, _)| *p != port);
        self.counts.remove(&port);
    }

    /// How many addresses there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u32) -> MacAddr {
        let [a, b, c, d] = n.to_be_bytes();
        MacAddr([2, 0, a, b, c, d])
    }

    #[test]
    fn addresses_are_learnt_and_move() {
        let mut table = Table::new();
        assert_eq!(table.lookup(mac(1)), None);
        table.learn(mac(1), 0);
        table.learn(mac(2), 1);
        assert_eq!((table.lookup(mac(1)), table.lookup(mac(2))), (Some(0), Some(1)));
        table.learn(mac(1), 1);
        assert_eq!(table.lookup(mac(1)), Some(1));
        table.learn(MacAddr([0xff; 6]), 0);
        assert_eq!(table.lookup(MacAddr([0xff; 6])), None);
        table.unplug(1);
        assert!(table.is_empty());
    }

    #[test]
    fn a_flood_of_addresses_pushes_out_its_own_port_only() {
        let mut table = Table::new();
        table.learn(mac(0), 7);
        for n in 1..10_000 {
            table.learn(mac(n), 3);
        }
        assert_eq!(table.len(), MAX_PER_PORT + 1);
        assert_eq!(table.lookup(mac(0)), Some(7));
        assert_eq!((table.lookup(mac(9999)), table.lookup(mac(1))), (Some(3), None));
    }
}
