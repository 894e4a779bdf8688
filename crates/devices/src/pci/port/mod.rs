//! A root port with a slot for a device that comes and goes while the machine runs (PCI Express Base Specification 4.0,
//! 6.7: native hot plug).
//!
//! The slot has an attention button and a power indicator and no power controller: a card that is put in brings the
//! link up, which the guest hears of at once; one that is to go is asked for by the button, and may go when the guest
//! has let go of it and switched the power indicator off. Linux gives its user five seconds to press again first.

mod slot;

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use self::slot::SlotState;
use super::bus::PciBus;
use super::spec::express;
use super::{FunctionBuilder, FunctionHooks, HostBridge, Identity, Msix, PciDevice, Slot, spec};
use crate::GuestMemory;

/// What is called when the guest has let a device go and it has left its slot: with no lock held, on any thread.
pub type OnEject = Box<dyn Fn() + Send + Sync>;

/// What becomes of the wish to take a device out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The slot is empty, now or as before.
    Done,
    /// The button is pressed: the device leaves when the guest has let go of it, which the port then tells.
    Asked,
    /// The guest has no driver for the slot, or none yet, and nothing was done.
    NobodyListens,
}

/// A root port with its slot.
///
/// Fixed: the link. Glue: the interrupt, memory for the devices, who is told of a device that left.
/// State: what the slot shows, and whether a removal was asked for.
pub struct RootPort {
    bridge: Weak<HostBridge>,
    link: Arc<PciBus>,
    memory: GuestMemory,
    msix: OnceLock<Arc<Msix>>,
    on_eject: OnEject,
    state: Mutex<SlotState>,
}

impl RootPort {
    /// Puts a port into `slot` of the root bus: its own slot, empty, has `number` (1 to 8191, what a guest shows).
    pub fn plug(slot: Slot, number: u16, memory: GuestMemory, on_eject: OnEject) -> Arc<Self> {
        // "QEMU PCIe Root port" in the registry of PCI IDs: drivers go by class and capability.
        let id = Identity {
            vendor: 0x1b36,
            device: 0x000c,
            revision: 0,
            class: spec::CLASS_PCI_BRIDGE,
            subsystem_vendor: 0,
            subsystem: 0,
        };
        let link = Arc::new(PciBus::link());
        let port = Arc::new(Self {
            bridge: Arc::downgrade(slot.bridge()),
            link: link.clone(),
            memory,
            msix: OnceLock::new(),
            on_eject,
            state: Mutex::new(SlotState::default()),
        });
        let (body, writable) = express::root_port(number);
        let (function, msix) = FunctionBuilder::bridge(slot, id, link)
            .live(spec::CAP_EXPRESS, &body, &writable, express::LINK_CONTROL..express::ROOT_CONTROL)
            .msix(1, 0);
        port.msix.get_or_init(|| msix);
        function.plug(port.clone());
        port
    }

    /// Puts `device` into the slot. `false`: there is one in it.
    pub fn insert(&self, device: Arc<dyn PciDevice>) -> bool {
        let Some(slot) = self.bridge.upgrade().and_then(|bridge| bridge.slot_below(&self.link)) else { return false };
        if !self.state.lock().reserve() {
            return false;
        }
        device.plug(slot, self.memory.clone());
        let interrupt = self.state.lock().inserted();
        self.tell(interrupt);
        true
    }

    /// Asks the guest to let the device go, as by the button at the slot.
    pub fn request_removal(&self) -> Removal {
        let (removal, interrupt) = self.state.lock().request_removal();
        self.tell(interrupt);
        if removal == Removal::Done {
            self.eject();
        }
        removal
    }

    /// Takes the device out, whether the guest has let go of it or not. What it has not written is lost to it.
    pub fn pull(&self) {
        self.eject();
    }

    fn eject(&self) {
        let cards = self.link.take();
        cards.iter().for_each(|card| card.remove());
        let interrupt = self.state.lock().emptied();
        self.tell(interrupt);
        let ejected = !cards.is_empty();
        // Whoever is told that the device has left may count on it: nothing here holds it any more.
        drop(cards);
        if ejected {
            (self.on_eject)();
        }
    }

    fn tell(&self, interrupt: bool) {
        if let Some(msix) = self.msix.get().filter(|_| interrupt) {
            // Interrupt message number 0.
            msix.signal(0);
        }
    }
}

impl FunctionHooks for RootPort {
    fn read_live(&self, _: &[u8], at: u16, data: &mut [u8]) {
        let state = self.state.lock();
        let mut put = |register: u16, value: u16| {
            for (offset, byte) in (register..).zip(value.to_le_bytes()) {
                if let Some(to) = offset.checked_sub(at).and_then(|i| data.get_mut(usize::from(i))) {
                    *to = byte;
                }
            }
        };
        put(express::LINK_STATUS, state.link_status());
        put(express::SLOT_STATUS, state.status());
    }

    fn write_live(&self, capability: &[u8], at: u16, data: &[u8]) {
        let written = |register: u16| {
            let byte = |offset: u16| offset.checked_sub(at).and_then(|i| data.get(usize::from(i))).copied();
            let bytes = [byte(register), byte(register + 1)];
            bytes.iter().any(Option::is_some).then(|| u16::from_le_bytes(bytes.map(Option::unwrap_or_default)))
        };
        let (ejected, interrupt) = {
            let mut state = self.state.lock();
            if let Some(events) = written(express::SLOT_STATUS) {
                state.clear(events);
            }
            match written(express::SLOT_CONTROL) {
                Some(_) => {
                    let register = usize::from(express::SLOT_CONTROL);
                    state.command(u16::from_le_bytes([capability[register], capability[register + 1]]))
                }
                None => (false, state.interrupt()),
            }
        };
        self.tell(interrupt);
        if ejected {
            self.eject();
        }
    }

    fn reset(&self) {
        self.state.lock().reset();
    }
}
