//! Which packets a card receives (virtio 1.3, 5.1.6.5.1 and 5.1.6.5.2).

use ::net::MacAddr;

/// The most addresses of a table; with more, the card receives all of that kind, which the driver then sorts.
pub(super) const MAX_ADDRESSES: usize = 64;

/// Receive modes, in the order of their commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Promiscuous,
    AllMulticast,
    AllUnicast,
    NoMulticast,
    NoUnicast,
    NoBroadcast,
}

impl Mode {
    /// The mode of a command.
    pub(super) fn of(command: u8) -> Option<Self> {
        use Mode::{AllMulticast, AllUnicast, NoBroadcast, NoMulticast, NoUnicast, Promiscuous};
        let all = [Promiscuous, AllMulticast, AllUnicast, NoMulticast, NoUnicast, NoBroadcast];
        all.get(usize::from(command)).copied()
    }
}

/// The card's address, modes and tables.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) mac: MacAddr,
    modes: [bool; 6],
    /// `None`: too many to list.
    unicast: Option<Vec<MacAddr>>,
    multicast: Option<Vec<MacAddr>>,
}

impl Filter {
    /// What a card is before its driver says anything: it receives all there is.
    pub(super) fn new(mac: MacAddr) -> Self {
        let modes = [true, false, false, false, false, false];
        Self { mac, modes, unicast: Some(Vec::new()), multicast: Some(Vec::new()) }
    }

    pub(super) fn set(&mut self, mode: Mode, on: bool) {
        self.modes[mode as usize] = on;
    }

    pub(super) fn set_tables(&mut self, unicast: Option<Vec<MacAddr>>, multicast: Option<Vec<MacAddr>>) {
        (self.unicast, self.multicast) = (unicast, multicast);
    }

    /// Whether the card receives `frame`.
    pub(super) fn accepts(&self, frame: &[u8]) -> bool {
        let on = |mode: Mode| self.modes[mode as usize];
        let Some(Ok(to)) = frame.get(..6).map(<[u8; 6]>::try_from) else { return on(Mode::Promiscuous) };
        let listed = |table: &Option<Vec<MacAddr>>| table.as_ref().is_none_or(|t| t.contains(&MacAddr(to)));
        if to == [0xff; 6] {
            !on(Mode::NoBroadcast)
        } else if to[0] & 1 == 1 {
            !on(Mode::NoMulticast) && (on(Mode::Promiscuous) || on(Mode::AllMulticast) || listed(&self.multicast))
        } else {
            let mine = || MacAddr(to) == self.mac || listed(&self.unicast);
            !on(Mode::NoUnicast) && (on(Mode::Promiscuous) || on(Mode::AllUnicast) || mine())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_tables_decide() {
        let frame = |first: u8| [&[first, 0, 0, 0, 0, 9][..], &[0; 60]].concat();
        let mut filter = Filter::new(MacAddr([2, 0, 0, 0, 0, 9]));
        let received = |filter: &Filter| [2, 4, 3, 0xff].map(|first| filter.accepts(&frame(first)));
        assert_eq!(received(&filter), [true; 4]);
        filter.set(Mode::Promiscuous, false);
        assert_eq!(received(&filter), [true, false, false, false]);
        assert!(filter.accepts(&[0xff; 60]) && !filter.accepts(&[0xff; 5]));
        filter.set(Mode::AllMulticast, true);
        assert_eq!(received(&filter), [true, false, true, true]);
        filter.set_tables(Some(vec![MacAddr([4, 0, 0, 0, 0, 9])]), None);
        filter.set(Mode::AllMulticast, false);
        assert_eq!(received(&filter), [true, true, true, true]);
        filter.set_tables(None, Some(Vec::new()));
        assert_eq!(received(&filter), [true, true, false, false]);
        filter.set(Mode::NoUnicast, true);
        filter.set(Mode::NoBroadcast, true);
        assert_eq!(received(&filter), [false; 4]);
        assert!(!filter.accepts(&[0xff; 60]));
    }
}
