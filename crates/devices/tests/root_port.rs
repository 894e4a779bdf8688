//! A root port and its hot-plug slot, as a guest's CPU works them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use devices::GuestMemory;
use devices::pci::{
    Function, FunctionBuilder, FunctionHooks, Identity, Msix, PciDevice, Removal, Requester, RootPort, Slot,
};
use devices::virtio::entropy::Entropy;
use parking_lot::Mutex;
use testkit::pci::{enable_msix, place_bars};
use testkit::{Guest, Interrupts};

/// A root port in device 4, whose bus gets number 3.
struct Port {
    guest: Guest,
    port: Arc<RootPort>,
    left: Arc<AtomicU32>,
}

const COMMAND: u16 = 4;
const MEMORY: u32 = 2;
const MASTER: u32 = 4;
const DEVFN: u32 = 4 << 3;
const BELOW: u32 = 3 << 8;
/// Interrupts on, for everything that Linux asks for; power indicator on.
const LISTEN: u16 = 1 << 12 | 1 << 8 | 1 << 5 | 1 << 4 | 1;
const OFF: u16 = LISTEN | 3 << 8;

impl Port {
    fn new() -> Self {
        let guest = Guest::new();
        let left = Arc::new(AtomicU32::new(0));
        let told = left.clone();
        let on_eject = Box::new(move || {
            told.fetch_add(1, Ordering::SeqCst);
        });
        let port = RootPort::plug(guest.bridge().slot_at(4, 0).unwrap(), 7, guest.memory().clone(), on_eject);
        let port = Self { guest, port, left };
        port.set16(0x18, 3 << 8);
        port.set16(0x1a, 3);
        // MSI-X in BAR 0.
        let base = Guest::BARS + 0x2000_0000;
        port.guest.write32(port.guest.config(DEVFN, 0x10), base as u32);
        port.guest.write32(port.guest.config(DEVFN, 0x14), (base >> 32) as u32);
        port.set16(COMMAND, (MEMORY | MASTER) as u16);
        for (at, value) in [(0, Interrupts::ADDRESS as u32), (4, (Interrupts::ADDRESS >> 32) as u32), (8, 5), (12, 0)] {
            port.guest.write32(base + at, value);
        }
        port.set16(port.find(0x11) + 2, 1 << 15);
        port
    }

    fn get16(&self, register: u16) -> u16 {
        u16::from_le_bytes(self.guest.read(self.guest.config(DEVFN, register)))
    }

    fn set16(&self, register: u16, value: u16) {
        self.guest.bus().write(self.guest.config(DEVFN, register), &value.to_le_bytes());
    }

    fn find(&self, id: u16) -> u16 {
        let mut at = self.get16(0x34) & 0xff;
        while self.get16(at) & 0xff != id {
            at = self.get16(at) >> 8;
        }
        at
    }

    /// Slot Control.
    fn command(&self, value: u16) {
        self.set16(self.find(0x10) + 0x18, value);
    }

    /// Slot Status; what it says is cleared.
    fn status(&self) -> u16 {
        let at = self.find(0x10) + 0x1a;
        let status = self.get16(at);
        self.set16(at, status);
        status
    }

    fn link_is_up(&self) -> bool {
        self.get16(self.find(0x10) + 0x12) & 1 << 13 != 0
    }

    fn interrupts(&self) -> u64 {
        self.guest.interrupts().count(DEVFN, 5)
    }

    fn id_below(&self) -> u32 {
        self.guest.read32(self.guest.config(BELOW, 0))
    }

    fn insert(&self) -> bool {
        self.port.insert(Arc::new(Entropy::new(std::io::repeat(7))))
    }
}

#[test]
fn a_root_port_is_a_bridge_with_a_slot() {
    let port = Port::new();
    let header: [u8; 64] = port.guest.read(port.guest.config(DEVFN, 0));
    assert_eq!((header[0x0e], &header[0x09..0x0c]), (1, &[0, 4, 6][..]));
    // No window for ports, and prefetchable memory of 64 bits.
    port.guest.write32(port.guest.config(DEVFN, 0x1c), u32::MAX);
    port.guest.write32(port.guest.config(DEVFN, 0x24), u32::MAX);
    assert_eq!((port.get16(0x1c), port.get16(0x24), port.get16(0x26)), (0, 0xfff1, 0xfff1));
    let express = port.find(0x10);
    let word = |at: u16| port.guest.read32(port.guest.config(DEVFN, express + at));
    assert_eq!((word(0) >> 16, word(0x14)), (0x142, 7 << 19 | 0x59));
    assert_eq!(word(0x0c) >> 20 & 1, 1, "the link says whether it is active");
    assert_eq!((port.status(), port.link_is_up(), port.id_below()), (0, false, u32::MAX));
}

#[test]
fn a_card_is_put_in_and_let_go() {
    let port = Port::new();
    assert_eq!(port.port.request_removal(), Removal::Done);
    port.command(OFF);
    assert_eq!((port.interrupts(), port.status()), (1, 1 << 4));
    assert!(port.insert() && !port.insert());
    assert_eq!(port.interrupts(), 2);
    assert_eq!((port.status(), port.status(), port.link_is_up()), (1 << 8 | 1 << 6 | 1 << 3, 1 << 6, true));
    // Its requester ID is of its bus, and it is an endpoint.
    assert_eq!(port.id_below(), 0x1044_1af4);
    port.set16(0x18, 9 << 8);
    assert_eq!(port.id_below(), u32::MAX);
    port.set16(0x18, 3 << 8);
    port.command(LISTEN);
    assert_eq!((port.status(), port.interrupts()), (1 << 6 | 1 << 4, 3));

    assert_eq!(port.port.request_removal(), Removal::Asked);
    assert_eq!((port.status(), port.interrupts()), (1 << 6 | 1, 4));
    assert_eq!((port.port.request_removal(), port.interrupts()), (Removal::Asked, 4), "it is pressed once");
    port.command(LISTEN & !(3 << 8) | 2 << 8);
    assert_eq!(port.left.load(Ordering::SeqCst), 0, "the indicator blinks");
    port.status();
    port.command(OFF);
    assert_eq!((port.left.load(Ordering::SeqCst), port.id_below(), port.link_is_up()), (1, u32::MAX, false));
    assert_eq!(port.status(), 1 << 8 | 1 << 4 | 1 << 3);
    assert!(port.insert(), "the next one");
}

#[test]
fn a_card_that_the_guest_has_switched_off_is_taken_out_and_one_it_knows_nothing_of_is_not() {
    let port = Port::new();
    assert!(port.insert());
    assert_eq!(port.port.request_removal(), Removal::NobodyListens);
    port.command(OFF);
    assert_eq!(port.left.load(Ordering::SeqCst), 0, "nobody wants it");
    assert_eq!((port.port.request_removal(), port.left.load(Ordering::SeqCst)), (Removal::Done, 1));
    assert!(port.insert());
    port.port.pull();
    assert_eq!((port.left.load(Ordering::SeqCst), port.id_below()), (2, u32::MAX));
}

#[test]
fn an_interrupt_is_sent_when_the_first_event_comes() {
    let port = Port::new();
    port.command(OFF);
    port.insert();
    port.port.request_removal();
    assert_eq!(port.interrupts(), 1, "the event of the command is not cleared yet");
    port.status();
    port.command(OFF & !(1 << 5));
    port.insert();
    assert_eq!(port.interrupts(), 1, "they are off");
    port.command(OFF);
    assert_eq!(port.interrupts(), 2, "and on again, with events waiting");
}

#[test]
fn a_card_stays_in_a_reset_and_its_bus_loses_its_number() {
    let port = Port::new();
    port.insert();
    port.command(LISTEN);
    port.port.request_removal();
    port.guest.bridge().reset();
    assert_eq!(port.id_below(), u32::MAX);
    assert_eq!(port.get16(port.find(0x10) + 0x18), 3 << 8);
    port.set16(0x18, 3 << 8);
    assert_eq!((port.id_below(), port.status()), (0x1044_1af4, 1 << 6));
    // The secondary bus reset clears what was set behind the bridge.
    let command = port.guest.config(BELOW, COMMAND);
    port.guest.write32(command, MEMORY);
    assert_eq!(port.guest.read32(command) & 0xffff, MEMORY);
    port.set16(0x3e, 1 << 6);
    assert_eq!(port.guest.read32(command) & 0xffff, 0);
}

/// A card with one vector, and what it found when it was told that it may reach memory, or no longer may.
#[derive(Default)]
struct Card {
    made: OnceLock<(Arc<Function>, Requester, Arc<Msix>)>,
    found: Mutex<Vec<bool>>,
}

impl Card {
    fn function(&self) -> &Function {
        &self.made.get().unwrap().0
    }

    fn requester(&self) -> &Requester {
        &self.made.get().unwrap().1
    }

    fn msix(&self) -> &Msix {
        &self.made.get().unwrap().2
    }
}

impl PciDevice for Card {
    fn plug(self: Arc<Self>, slot: Slot, _: GuestMemory) {
        let id = Identity { vendor: 1, device: 2, revision: 0, class: 0, subsystem_vendor: 3, subsystem: 4 };
        let requester = slot.requester();
        let (function, msix) = FunctionBuilder::new(slot, id).msix(1, 0);
        let function = function.plug(self.clone());
        self.made.get_or_init(|| (function, requester, msix));
    }
}

impl FunctionHooks for Card {
    fn master_changed(&self) {
        self.found.lock().push(self.requester().is_master());
    }
}

#[test]
fn a_port_forwards_what_its_card_asks_of_memory_while_both_are_bus_masters() {
    let port = Port::new();
    let card = Arc::new(Card::default());
    assert!(port.port.insert(card.clone()));
    let bars = place_bars(&port.guest, BELOW);
    let msix = u16::from(port.guest.read::<1>(port.guest.config(BELOW, 0x34))[0]);
    enable_msix(&port.guest, BELOW, msix, &bars);
    assert_eq!(*card.found.lock(), [true]);
    let sent = || {
        card.msix().signal(0);
        port.guest.interrupts().count(BELOW, 0)
    };
    assert_eq!(sent(), 1);
    port.set16(COMMAND, MEMORY as u16);
    assert_eq!((&card.found.lock()[..], sent()), (&[true, false][..], 1));
    port.set16(COMMAND, (MEMORY | MASTER) as u16);
    assert_eq!(port.guest.interrupts().count(BELOW, 0), 2, "the message that was held back");
    assert_eq!(*card.found.lock(), [true, false, true]);

    // Each of the two alone is not enough.
    let command = port.guest.config(BELOW, COMMAND);
    port.guest.write32(command, MEMORY);
    port.set16(COMMAND, MEMORY as u16);
    port.guest.write32(command, MEMORY | MASTER);
    assert_eq!((&card.found.lock()[3..], sent()), (&[false; 3][..], 2));
    port.set16(COMMAND, (MEMORY | MASTER) as u16);
    assert_eq!((card.found.lock().last(), port.guest.interrupts().count(BELOW, 0)), (Some(&true), 3));
}

/// The CPU has found the function just before it left its slot.
#[test]
fn a_write_to_a_card_that_has_left_comes_to_nothing() {
    let port = Port::new();
    let card = Arc::new(Card::default());
    assert!(port.port.insert(card.clone()));
    let bars = place_bars(&port.guest, BELOW);
    assert!(card.requester().is_master());
    port.port.pull();
    assert!(!card.requester().is_master());
    card.function().write_config(0x10, &(bars[0] as u32).to_le_bytes());
    card.function().write_config(0x14, &((bars[0] >> 32) as u32).to_le_bytes());
    card.function().write_config(COMMAND, &(MEMORY | MASTER).to_le_bytes());
    assert!(!card.requester().is_master());
    assert!(port.guest.bus().insert(bars[0], 4096, card.made.get().unwrap().2.clone()).is_ok(), "it is on the bus");
    assert_eq!(*card.found.lock(), [true]);
}
