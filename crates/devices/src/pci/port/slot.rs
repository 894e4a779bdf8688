//! The registers of a slot, and what its events mean.

use super::Removal;
use crate::pci::spec::express;

/// A slot as its registers show it.
pub(super) struct SlotState {
    /// There is a card, and the link to it is up.
    occupied: bool,
    /// Slot Control as it was written last.
    control: u16,
    /// The events of Slot Status.
    events: u16,
    /// The button was pressed and the card is still there.
    removal: bool,
    /// The interrupt condition held when it was looked at last.
    asserted: bool,
}

impl Default for SlotState {
    fn default() -> Self {
        Self { occupied: false, control: express::POWER_INDICATOR_OFF, events: 0, removal: false, asserted: false }
    }
}

impl SlotState {
    /// Slot Status.
    pub(super) fn status(&self) -> u16 {
        self.events | if self.occupied { express::PRESENCE } else { 0 }
    }

    /// Link Status.
    pub(super) fn link_status(&self) -> u16 {
        if self.occupied { express::LINK_TRAINED | express::LINK_ACTIVE } else { 0 }
    }

    /// Takes the slot for a card that is about to come; `false` when there is one.
    pub(super) fn reserve(&mut self) -> bool {
        !std::mem::replace(&mut self.occupied, true)
    }

    /// The card is there. Whether the interrupt is to be sent.
    pub(super) fn inserted(&mut self) -> bool {
        self.happened(express::PRESENCE_CHANGED | express::LINK_CHANGED)
    }

    /// The card is gone, or there was none. Whether the interrupt is to be sent.
    pub(super) fn emptied(&mut self) -> bool {
        self.removal = false;
        if !std::mem::replace(&mut self.occupied, false) {
            return false;
        }
        self.happened(express::PRESENCE_CHANGED | express::LINK_CHANGED)
    }

    /// Somebody wants the card. `Done`: it can be taken out. Whether the interrupt is to be sent.
    pub(super) fn request_removal(&mut self) -> (Removal, bool) {
        let listens = express::HOT_PLUG_INTERRUPT | express::ATTENTION_BUTTON;
        if !self.occupied {
            (Removal::Done, false)
        } else if self.control & listens != listens {
            (Removal::NobodyListens, false)
        } else if self.is_off() {
            (Removal::Done, false)
        } else if std::mem::replace(&mut self.removal, true) {
            // A second press would take the first one back.
            (Removal::Asked, false)
        } else {
            (Removal::Asked, self.happened(express::ATTENTION_BUTTON))
        }
    }

    /// The guest writes Slot Control. Whether the card is to leave, and whether the interrupt is to be sent.
    pub(super) fn command(&mut self, control: u16) -> (bool, bool) {
        self.control = control;
        let eject = self.removal && self.is_off();
        // Every write is a command, and all are done at once (6.7.3.2).
        (eject, self.happened(express::COMMAND_COMPLETED))
    }

    /// The guest has seen these events.
    pub(super) fn clear(&mut self, events: u16) {
        self.events &= !events;
    }

    /// Whether the interrupt is to be sent: a message goes out when an event that is enabled comes and there was none
    /// (6.7.3.4).
    pub(super) fn interrupt(&mut self) -> bool {
        let mut enabled =
            self.control & (express::ATTENTION_BUTTON | express::PRESENCE_CHANGED | express::COMMAND_COMPLETED);
        if self.control & express::LINK_CHANGED_ENABLE != 0 {
            enabled |= express::LINK_CHANGED;
        }
        let now = self.control & express::HOT_PLUG_INTERRUPT != 0 && self.events & enabled != 0;
        let before = std::mem::replace(&mut self.asserted, now);
        now && !before
    }

    /// Power-on: the card stays.
    pub(super) fn reset(&mut self) {
        *self = Self { occupied: self.occupied, ..Self::default() };
    }

    fn is_off(&self) -> bool {
        self.control & express::POWER_INDICATOR == express::POWER_INDICATOR_OFF
    }

    fn happened(&mut self, events: u16) -> bool {
        self.events |= events;
        self.interrupt()
    }
}
