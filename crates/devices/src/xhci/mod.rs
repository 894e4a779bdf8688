//! A USB host controller: xHCI on PCI.
//!
//! The standard is "eXtensible Host Controller Interface for Universal Serial Bus (xHCI)", revision 1.2, Intel;
//! section numbers in this folder are of that document. vCPUs read and write registers (`controller`); rings are
//! worked and devices called by one thread of the controller's own (`engine`).

mod commands;
mod context;
mod control;
mod controller;
mod engine;
mod interrupter;
mod port;
mod registers;
mod ring;
pub mod spec;
mod transfer;

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use self::controller::Controller;
use self::spec::{CONNECTORS, PORTS};
use crate::GuestMemory;
use crate::pci::{PciDevice, Slot};
use crate::usb::{Speed, UsbDevice};

/// Devices by port, counted from 0.
type Devices = [Option<Box<dyn UsbDevice>>; PORTS as usize];

/// An xHCI controller, with what is plugged into it.
///
/// Fixed: eight connectors, each with a port of USB 2.0 and one of USB 3. Glue: the function in the slot that it is in
/// just now. State: the devices while no function has them, and what was plugged in and out since one looked.
#[derive(Default)]
pub struct Xhci {
    devices: Mutex<Devices>,
    connectors: Mutex<Connectors>,
    function: Mutex<Weak<Controller>>,
}

/// The connectors as the host sees them.
#[derive(Default)]
struct Connectors {
    /// Taken ones, a bit each.
    taken: u8,
    /// What was plugged in and out.
    plugs: Vec<Plug>,
}

/// A change at a port: a device, or none.
struct Plug {
    port: usize,
    device: Option<Box<dyn UsbDevice>>,
}

/// All connectors are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {CONNECTORS} connectors of the USB controller are taken")]
pub struct Full;

impl Xhci {
    /// A controller with nothing plugged in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plugs `device` into a free connector, while the machine runs or before, and says which, counted from 0.
    ///
    /// # Errors
    /// When all are taken.
    pub fn attach(&self, device: Box<dyn UsbDevice>) -> Result<u8, Full> {
        let connector = {
            let mut connectors = self.connectors.lock();
            let connector = (0..CONNECTORS).find(|n| connectors.taken & 1 << n == 0).ok_or(Full)?;
            let first = if device.speed() == Speed::Super { CONNECTORS } else { 0 };
            connectors.plugs.push(Plug { port: usize::from(first + connector), device: Some(device) });
            connectors.taken |= 1 << connector;
            connector
        };
        self.wake();
        Ok(connector)
    }

    /// Pulls out what is in a connector, whatever the guest does with it just now.
    pub fn detach(&self, connector: u8) {
        {
            let mut connectors = self.connectors.lock();
            if connector >= CONNECTORS || connectors.taken & 1 << connector == 0 {
                return;
            }
            for first in [0, CONNECTORS] {
                connectors.plugs.push(Plug { port: usize::from(first + connector), device: None });
            }
            connectors.taken &= !(1 << connector);
        }
        self.wake();
    }

    fn wake(&self) {
        let function = self.function.lock().upgrade();
        if let Some(function) = function {
            function.wake();
        }
    }
}

impl PciDevice for Xhci {
    fn plug(self: Arc<Self>, slot: Slot, memory: GuestMemory) {
        let function = Controller::plug(self.clone(), slot, memory);
        *self.function.lock() = Arc::downgrade(&function);
        function.wake();
    }
}
