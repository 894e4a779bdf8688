//! Root hub ports (xHCI 1.2, 4.15, 4.19 and 5.4.8).

use super::spec::{link, portsc};

/// A port's registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    portsc: u32,
    /// A USB 3 port.
    superspeed: bool,
}

impl Port {
    /// A port with nothing in it.
    pub(super) fn new(superspeed: bool) -> Self {
        Self { portsc: portsc::POWER | link::RX_DETECT << portsc::LINK_SHIFT, superspeed }
    }

    pub(super) fn read(&self) -> u32 {
        self.portsc
    }

    /// Whether a change was not acknowledged yet.
    pub(super) fn has_changed(&self) -> bool {
        self.portsc & portsc::CHANGES != 0
    }

    /// Whether the device can be talked to.
    pub(super) fn is_enabled(&self) -> bool {
        self.portsc & portsc::ENABLED != 0
    }

    fn set_link(&mut self, state: u32) {
        self.portsc = self.portsc & !portsc::LINK | state << portsc::LINK_SHIFT;
    }

    fn link(&self) -> u32 {
        (self.portsc & portsc::LINK) >> portsc::LINK_SHIFT
    }

    /// A device is plugged in. A USB 3 link trains by itself; a USB 2.0 port waits for its reset.
    pub(super) fn connect(&mut self) {
        let speed = if self.superspeed { 4 } else { 3 };
        self.portsc &= !portsc::SPEED;
        self.portsc |= portsc::CONNECTED | portsc::CONNECT_CHANGE | speed << portsc::SPEED_SHIFT;
        if self.superspeed {
            self.portsc |= portsc::ENABLED;
            self.set_link(link::U0);
        } else {
            self.set_link(link::POLLING);
        }
    }

    /// The device is gone.
    pub(super) fn disconnect(&mut self) {
        self.portsc &= !(portsc::CONNECTED | portsc::ENABLED | portsc::SPEED | portsc::RESET);
        self.portsc |= portsc::CONNECT_CHANGE;
        self.set_link(link::RX_DETECT);
    }

    /// The driver writes. `true`: it wants a reset, which [`Port::finish_reset`] ends.
    #[must_use]
    pub(super) fn write(&mut self, value: u32, lanes: u32) -> bool {
        let value = value & lanes;
        self.portsc &= !(value & portsc::CHANGES);
        let writable = portsc::WRITABLE & lanes;
        self.portsc = self.portsc & !writable | value & writable;
        if value & portsc::ENABLED != 0 && self.is_enabled() {
            self.portsc &= !portsc::ENABLED;
            self.set_link(if self.superspeed { link::DISABLED } else { link::POLLING });
        }
        if value & portsc::LINK_WRITE != 0 {
            self.write_link((value & portsc::LINK) >> portsc::LINK_SHIFT);
        }
        let warm = self.superspeed && value & portsc::WARM_RESET != 0;
        if self.portsc & portsc::CONNECTED == 0 || value & portsc::RESET == 0 && !warm {
            return false;
        }
        self.portsc |= portsc::RESET;
        if warm {
            self.portsc |= portsc::WARM_RESET;
        }
        true
    }

    /// The driver wants a link state (4.19.1 and table 5-27).
    fn write_link(&mut self, wanted: u32) {
        let connected = self.portsc & portsc::CONNECTED != 0;
        match (wanted, self.link()) {
            (link::U0, link::U3 | link::RESUME) if self.is_enabled() => {
                self.set_link(link::U0);
                self.portsc |= portsc::LINK_CHANGE;
            }
            (link::U3, link::U0) if self.is_enabled() => self.set_link(link::U3),
            (link::RESUME, link::U3) if !self.superspeed => self.set_link(link::RESUME),
            (link::DISABLED, _) if self.superspeed => {
                self.portsc &= !portsc::ENABLED;
                self.set_link(link::DISABLED);
            }
            (link::RX_DETECT, link::DISABLED) if connected => {
                self.portsc |= portsc::ENABLED | portsc::CONNECT_CHANGE;
                self.set_link(link::U0);
            }
            (link::RX_DETECT, link::DISABLED) => self.set_link(link::RX_DETECT),
            _ => {}
        }
    }

    /// The device was reset.
    pub(super) fn finish_reset(&mut self) {
        if self.portsc & portsc::RESET == 0 {
            return;
        }
        let warm = if self.portsc & portsc::WARM_RESET != 0 { portsc::WARM_RESET_CHANGE } else { 0 };
        self.portsc &= !(portsc::RESET | portsc::WARM_RESET);
        self.portsc |= portsc::ENABLED | portsc::RESET_CHANGE | warm;
        self.set_link(link::U0);
    }
}
