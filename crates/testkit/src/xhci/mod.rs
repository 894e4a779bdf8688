//! The guest's side of xHCI: a driver that works a controller by its registers and rings, one request at a time.

mod device;
mod drive;
mod rings;

pub use device::Device;
pub use drive::{Csw, Drive};
pub use rings::{Event, ProducerRing, trb};

use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::pci::PciDevice;
use devices::pci::spec as pci;
use devices::xhci::spec::{Completion, at, op, portsc, runtime, usbcmd, usbsts};
use vm_memory::{Bytes, GuestAddress};

use self::rings::EventRing;
use crate::{Guest, Interrupts, PATIENCE};

/// A driver of a controller.
pub struct Driver {
    guest: Guest,
    devfn: u32,
    bar: u64,
    /// The command ring.
    pub commands: ProducerRing,
    events: EventRing,
    /// The device context base address array.
    pub contexts: u64,
    /// Events that came while others were waited for.
    kept: Vec<Event>,
}

impl Driver {
    /// Puts `controller` into the next slot of `guest`, and finds it there.
    pub fn plug(guest: &Guest, controller: Arc<dyn PciDevice>) -> Self {
        let slot = guest.bridge().free_slot().unwrap();
        let devfn = slot.device_id();
        controller.plug(slot, guest.memory().clone());
        Self::attach(guest, devfn)
    }

    /// Finds the controller that is there, and starts it.
    pub fn attach(guest: &Guest, devfn: u32) -> Self {
        assert_eq!(guest.read32(guest.config(devfn, pci::REVISION)) >> 8, 0x0c_03_30, "the class code");
        let (bar, table) = (guest.alloc_bar(0x4000), guest.alloc_bar(0x1000));
        for (index, base) in [(0, bar), (2, table)] {
            guest.write32(guest.config(devfn, pci::BAR0 + 4 * index), base as u32);
            guest.write32(guest.config(devfn, pci::BAR0 + 4 * index + 4), (base >> 32) as u32);
        }
        let command = pci::COMMAND_MEMORY | pci::COMMAND_MASTER;
        guest.bus().write(guest.config(devfn, pci::COMMAND), &command.to_le_bytes());
        let mut capability = guest.read::<1>(guest.config(devfn, pci::CAPABILITIES))[0];
        while guest.read::<1>(guest.config(devfn, capability.into()))[0] != pci::CAP_MSIX {
            capability = guest.read::<1>(guest.config(devfn, u16::from(capability) + 1))[0];
            assert_ne!(capability, 0, "no MSI-X");
        }
        for (word, value) in [(0, Interrupts::ADDRESS as u32), (1, (Interrupts::ADDRESS >> 32) as u32), (2, 0), (3, 0)]
        {
            guest.write32(table + 4 * word, value);
        }
        guest.bus().write(guest.config(devfn, u16::from(capability) + 2), &pci::MSIX_ENABLE.to_le_bytes());
        let mut driver = Self {
            commands: ProducerRing::new(guest, 8),
            events: EventRing::new(guest, &[16, 16]),
            contexts: guest.alloc(2048, 64),
            guest: guest.clone(),
            devfn,
            bar,
            kept: Vec::new(),
        };
        driver.start();
        driver
    }

    /// Resets the controller and makes it run with rings of its own.
    pub fn start(&mut self) {
        self.write(at::OPERATIONAL + op::USBCMD, usbcmd::RESET);
        self.wait("the reset", |d| d.read(at::OPERATIONAL + op::USBCMD) & usbcmd::RESET == 0);
        self.kept.clear();
        let guest = self.guest.clone();
        self.commands = ProducerRing::new(&guest, 8);
        self.events = EventRing::new(&guest, &[16, 16]);
        self.write(at::OPERATIONAL + op::CONFIG, self.read(4) & 0xff);
        self.write64(at::OPERATIONAL + op::DCBAAP, self.contexts);
        self.write64(at::OPERATIONAL + op::CRCR, self.commands.start() | 1);
        self.write(at::RUNTIME + runtime::ERSTSZ, self.events.segments());
        self.write64(at::RUNTIME + runtime::ERDP, self.events.dequeue());
        self.write64(at::RUNTIME + runtime::ERSTBA, self.events.table());
        self.write(at::RUNTIME + runtime::IMAN, 2);
        self.write(at::OPERATIONAL + op::USBCMD, usbcmd::RUN | usbcmd::INTE);
        assert_eq!(self.status() & usbsts::HALTED, 0);
    }

    /// The machine that the controller is in.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// Where the controller is.
    #[must_use]
    pub fn devfn(&self) -> u32 {
        self.devfn
    }

    /// Where the registers are.
    #[must_use]
    pub fn bar(&self) -> u64 {
        self.bar
    }

    /// How many interrupts have come.
    #[must_use]
    pub fn interrupts(&self) -> u64 {
        self.guest.interrupts().count(self.devfn, 0)
    }

    /// Reads a register, by its offset in the BAR.
    #[must_use]
    pub fn read(&self, offset: u64) -> u32 {
        self.guest.read32(self.bar + offset)
    }

    /// Writes a register.
    pub fn write(&self, offset: u64, value: u32) {
        self.guest.write32(self.bar + offset, value);
    }

    /// Writes a register of 64 bits, as two of 32.
    pub fn write64(&self, offset: u64, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }

    /// USBSTS.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.read(at::OPERATIONAL + op::USBSTS)
    }

    /// PORTSC of a port, counted from 1.
    #[must_use]
    pub fn port(&self, port: u8) -> u32 {
        self.read(Self::port_at(port))
    }

    /// Writes it: with 0 and the bits given, so that changes are kept.
    pub fn set_port(&self, port: u8, bits: u32) {
        self.write(Self::port_at(port), bits);
    }

    fn port_at(port: u8) -> u64 {
        at::OPERATIONAL + op::PORTS + op::PORT_SIZE * u64::from(port - 1)
    }

    /// Waits until something is so.
    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "{what} did not come");
            std::thread::yield_now();
        }
    }

    /// Rings a doorbell.
    pub fn ring(&self, slot: u8, endpoint: u8) {
        self.write(at::DOORBELLS + 4 * u64::from(slot), endpoint.into());
    }

    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.take(&self.guest)?;
        self.write64(at::RUNTIME + runtime::ERDP, self.events.dequeue() | 8);
        Some(event)
    }

    /// Takes the next event without telling the controller that there is room.
    pub fn poll_quietly(&mut self) -> Option<Event> {
        self.events.take(&self.guest)
    }

    /// Waits for an event of a kind; others are kept.
    pub fn event(&mut self, kind: u8) -> Event {
        let start = Instant::now();
        loop {
            if let Some(at) = self.kept.iter().position(|event| event.kind() == kind) {
                return self.kept.remove(at);
            }
            let seen = self.interrupts();
            match self.poll() {
                Some(event) => self.kept.push(event),
                None => {
                    // An event need not have an interrupt of its own.
                    let _ = self.guest.interrupts().wait_past(self.devfn, 0, seen, Duration::from_millis(1));
                }
            }
            assert!(start.elapsed() < PATIENCE, "no event of kind {kind} came; others: {:?}", self.kept);
        }
    }

    /// Whether no event of the kind has come yet.
    pub fn is_quiet(&mut self, kind: u8) -> bool {
        while let Some(event) = self.poll() {
            self.kept.push(event);
        }
        self.kept.iter().all(|event| event.kind() != kind)
    }

    /// Gives a command (parameter, status, and control without the cycle) and waits for its end: code and slot.
    pub fn command(&mut self, parameter: u64, status: u32, control: u32) -> (u8, u8) {
        let at = self.commands.push(&self.guest, parameter, status, control);
        self.ring(0, 0);
        let event = self.event(devices::xhci::spec::trb::COMMAND_COMPLETION_EVENT);
        assert_eq!(event.parameter, at, "the event names another command");
        (event.code(), event.slot())
    }

    /// A command that names a slot, and must succeed.
    pub fn order(&mut self, kind: u8, slot: u8, parameter: u64) {
        let control = u32::from(kind) << 10 | u32::from(slot) << 24;
        assert_eq!(self.command(parameter, 0, control), (Completion::Success as u8, slot), "command {kind}");
    }

    /// Waits for a device at a port of these, and resets the port where that is needed: the port.
    pub fn find_device(&mut self, ports: std::ops::RangeInclusive<u8>) -> u8 {
        let start = Instant::now();
        let connected = |d: &Self| ports.clone().find(|port| d.port(*port) & portsc::CONNECTED != 0);
        let port = loop {
            assert!(start.elapsed() < PATIENCE, "no device came");
            if let Some(port) = connected(self) {
                break port;
            }
            std::thread::yield_now();
        };
        if self.port(port) & portsc::ENABLED == 0 {
            self.set_port(port, portsc::POWER | portsc::RESET);
            self.wait("the port's reset", |d| d.port(port) & portsc::RESET_CHANGE != 0);
        }
        self.set_port(port, portsc::POWER | portsc::CHANGES);
        port
    }

    /// Writes 32-bit words to memory.
    pub fn store(&self, at: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.guest.memory().write_slice(&bytes, GuestAddress(at)).unwrap();
    }

    /// Reads a 32-bit word of memory.
    #[must_use]
    pub fn load(&self, at: u64) -> u32 {
        self.guest.memory().read_obj(GuestAddress(at)).unwrap()
    }
}
