//! Devices that come and go while the machine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use devices::GuestMemory;
use devices::pci::{FunctionBuilder, FunctionHooks, Identity, PciDevice, Slot};
use hv::Exit;
use machine::{End, HotPlugError, Parts};

use crate::common::{Cpu, machine, parts};

const ECAM: u64 = 0x3f00_0000;
/// The first port: it is the first device behind the host bridge.
const PORT: u64 = ECAM + (1 << 15);
/// What is behind it, once its bus has number 1.
const BELOW: u64 = ECAM + (1 << 20);
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts how often it was plugged and reset.
#[derive(Default)]
struct Card {
    plugged: AtomicU32,
    reset: Arc<AtomicU32>,
}

struct Hooks(Arc<AtomicU32>);
impl FunctionHooks for Hooks {
    fn reset(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl PciDevice for Card {
    fn plug(self: Arc<Self>, slot: Slot, _: GuestMemory) {
        self.plugged.fetch_add(1, Ordering::SeqCst);
        let id = Identity { vendor: 0x1234, device: 0x5678, revision: 0, class: 0, subsystem_vendor: 0, subsystem: 0 };
        FunctionBuilder::new(slot, id).plug(Arc::new(Hooks(self.reset.clone())));
    }
}

fn counts(card: &Card) -> (u32, u32) {
    (card.plugged.load(Ordering::SeqCst), card.reset.load(Ordering::SeqCst))
}

fn with_slots() -> Parts {
    Parts { slots: 2, ..parts(1) }
}

/// The capability of PCI Express in the port.
fn express(cpu: &Cpu) -> u64 {
    let mut at = u64::from(cpu.read32(PORT + 0x34) & 0xff);
    while cpu.read32(PORT + at) & 0xff != 0x10 {
        at = u64::from(cpu.read32(PORT + at) >> 8 & 0xff);
    }
    PORT + at
}

fn wait_for(cpu: &Cpu, register: u64, mask: u32, value: u32) {
    let end = std::time::Instant::now() + PATIENCE;
    while cpu.read32(register) & mask != value {
        assert!(std::time::Instant::now() < end, "it stays {:#x}", cpu.read32(register));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A guest that serves the slot: takes what comes, lets go when it is asked to, and powers off.
#[test]
fn a_device_goes_in_and_out_while_the_guest_runs() {
    let (ready, started) = mpsc::channel();
    let (mut machine, _) = machine(with_slots(), move |cpu| {
        let slot = express(cpu) + 0x18;
        cpu.write32(PORT + 0x18, 1 << 8);
        cpu.write32(slot, 1 << 5 | 1 | 1 << 8);
        ready.send(()).unwrap();
        wait_for(cpu, BELOW, u32::MAX, 0x5678_1234);
        wait_for(cpu, slot, 1 << 16, 1 << 16);
        cpu.write32(slot, 1 << 5 | 1 | 3 << 8);
        wait_for(cpu, BELOW, u32::MAX, u32::MAX);
        Exit::PoweredOff
    });
    let (control, card) = (machine.control(), Arc::new(Card::default()));
    let inserted = card.clone();
    let host = std::thread::spawn(move || {
        started.recv().unwrap();
        assert_eq!(control.insert(inserted), Ok(0));
        assert_eq!(control.remove(1, PATIENCE), Err(HotPlugError::Empty(1)));
        assert_eq!(control.remove(0, PATIENCE), Ok(()));
        assert_eq!(control.remove(0, PATIENCE), Err(HotPlugError::Empty(0)));
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
    host.join().unwrap();
    assert_eq!((counts(&card), Arc::strong_count(&card)), ((1, 1), 1));
}

/// A guest without a driver for the slot; what is in it outlives a reset and the end.
#[test]
fn a_device_stays_in_its_slot_over_resets_and_can_be_pulled() {
    let boots = AtomicU32::new(0);
    let (tell, heard) = mpsc::channel();
    let (mut machine, _) = machine(with_slots(), move |cpu| {
        cpu.write32(PORT + 0x18, 1 << 8);
        assert_eq!(cpu.read32(BELOW), 0x5678_1234);
        if boots.fetch_add(1, Ordering::SeqCst) == 0 {
            return Exit::Reset;
        }
        tell.send(()).unwrap();
        wait_for(cpu, BELOW, u32::MAX, u32::MAX);
        Exit::PoweredOff
    });
    let (control, card) = (machine.control(), Arc::new(Card::default()));
    assert_eq!([0, 1].map(|_| control.insert(card.clone()).unwrap()), [0, 1]);
    assert_eq!(control.insert(card.clone()), Err(HotPlugError::Full(2)));
    assert_eq!(control.remove(1, PATIENCE), Ok(()), "nobody runs");
    let host = std::thread::spawn(move || {
        heard.recv().unwrap();
        assert_eq!(control.remove(0, PATIENCE), Err(HotPlugError::NobodyListens(0)));
        assert_eq!(control.pull(0), Ok(()));
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
    host.join().unwrap();
    assert_eq!((counts(&card), Arc::strong_count(&card)), ((2, 2), 1));
}
