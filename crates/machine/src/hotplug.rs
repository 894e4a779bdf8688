//! The slots into which PCI devices come and go while the machine runs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use devices::pci::{HostBridge, PciDevice, PciError, Removal, RootPort};
use hv::GuestMemory;
use parking_lot::{Condvar, Mutex};

/// Why a device did not go in or come out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HotPlugError {
    /// All slots are taken.
    #[error("none of the machine's {0} slots for devices that come and go is free: take one out first")]
    Full(usize),
    /// There is no such slot, or nothing in it.
    #[error("there is no device in slot {}", .0 + 1)]
    Empty(usize),
    /// The guest's kernel does not serve the slot.
    #[error(
        "the guest does not listen to the button of slot {}: it has no driver for PCI Express hot plug, or has not \
         started it yet", .0 + 1
    )]
    NobodyListens(usize),
    /// The guest was asked and keeps it.
    #[error("the guest has not let go of the device in slot {} yet: it leaves when the guest does", .0 + 1)]
    Kept(usize),
}

/// The slots of a machine, over all its boards: a device stays in its slot when the guest resets the machine.
///
/// State: the devices, and the ports of the board that is there now.
pub(crate) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    devices: Vec<Option<Arc<dyn PciDevice>>>,
    ports: Vec<Arc<RootPort>>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let state = State { devices: vec![None; count], ports: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Puts the ports on a new board, with the devices in them. Slot 0 is number 1 to the guest.
    pub(crate) fn build(self: &Arc<Self>, bridge: &HostBridge, memory: &GuestMemory) -> Result<(), PciError> {
        let devices = self.state.lock().devices.clone();
        let mut ports = Vec::new();
        for (index, device) in devices.into_iter().enumerate() {
            let slots = Arc::downgrade(self);
            let left = Box::new(move || Slots::left(&slots, index));
            let port = RootPort::plug(bridge.free_slot()?, index as u16 + 1, memory.clone(), left);
            device.map(|device| port.insert(device));
            ports.push(port);
        }
        self.state.lock().ports = ports;
        Ok(())
    }

    /// The board is gone.
    pub(crate) fn forget(&self) {
        let ports = std::mem::take(&mut self.state.lock().ports);
        drop(ports);
        self.changed.notify_all();
    }

    fn left(slots: &Weak<Self>, index: usize) {
        let Some(slots) = slots.upgrade() else { return };
        let device = slots.state.lock().devices[index].take();
        // A disk may be closed here, with no lock held.
        drop(device);
        slots.changed.notify_all();
    }

    pub(crate) fn insert(&self, device: Arc<dyn PciDevice>) -> Result<usize, HotPlugError> {
        let (index, port) = {
            let mut state = self.state.lock();
            let free = state.devices.iter().position(Option::is_none);
            let index = free.ok_or(HotPlugError::Full(state.devices.len()))?;
            state.devices[index] = Some(device.clone());
            (index, state.ports.get(index).cloned())
        };
        // Without a board it goes into the next one.
        port.map(|port| port.insert(device));
        Ok(index)
    }

    pub(crate) fn remove(&self, index: usize, patience: Duration) -> Result<(), HotPlugError> {
        let (device, port) = self.find(index)?;
        let Some(port) = port else {
            self.state.lock().devices[index] = None;
            return Ok(());
        };
        match port.request_removal() {
            Removal::Done => return Ok(()),
            Removal::NobodyListens => return Err(HotPlugError::NobodyListens(index)),
            Removal::Asked => {}
        }
        let end = Instant::now() + patience;
        let mut state = self.state.lock();
        while state.devices[index].as_ref().is_some_and(|there| Arc::ptr_eq(there, &device)) {
            if state.ports.is_empty() {
                state.devices[index] = None;
            } else if self.changed.wait_until(&mut state, end).timed_out() {
                return Err(HotPlugError::Kept(index));
            }
        }
        Ok(())
    }

    pub(crate) fn pull(&self, index: usize) -> Result<(), HotPlugError> {
        match self.find(index)? {
            (_, Some(port)) => port.pull(),
            (_, None) => self.state.lock().devices[index] = None,
        }
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "two results, used twice")]
    fn find(&self, index: usize) -> Result<(Arc<dyn PciDevice>, Option<Arc<RootPort>>), HotPlugError> {
        let state = self.state.lock();
        let device = state.devices.get(index).cloned().flatten().ok_or(HotPlugError::Empty(index))?;
        Ok((device, state.ports.get(index).cloned()))
    }
}
