//! The host bridge: configuration space by ECAM (PCI Express Base Specification, 7.2.2), and its windows.

use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::bus::PciBus;
use super::{Function, FunctionBuilder, FunctionHooks, Identity, Requester, spec};
use crate::bus::{Bus, BusError, MmioDevice};
use crate::irq::MsiSink;

/// A range of guest-physical addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl Window {
    /// Whether `size` bytes from `base` are all inside.
    #[must_use]
    pub fn holds(&self, base: u64, size: u64) -> bool {
        base.checked_sub(self.base).and_then(|at| at.checked_add(size)).is_some_and(|end| end <= self.size)
    }
}

/// Where the board puts the host bridge. PCI addresses are the guest-physical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Start of the ECAM window, [`spec::ECAM_BUS`] bytes for each bus.
    pub ecam: u64,
    /// How many bus numbers there are, from 0: one for the root bus and one for each root port at least.
    pub buses: u8,
    /// For BARs below 4 GiB.
    pub memory32: Window,
    /// For 64-bit BARs.
    pub memory64: Window,
    /// Where port I/O would be in memory. No function of ours has ports; some firmware wants a window nevertheless.
    pub ports: Option<Window>,
}

/// Why a slot cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PciError {
    /// The slot number is wrong or the slot is in use.
    #[error("PCI slot {device}.{function} is taken or does not exist (devices 0 to 31, functions 0 to 7)")]
    Slot {
        /// Device number.
        device: u8,
        /// Function number.
        function: u8,
    },
    /// All 32 devices are there.
    #[error("all 32 PCI slots are taken: use fewer devices")]
    Full,
    /// The ECAM window could not be put on the bus.
    #[error("the PCI host bridge cannot be put on the bus: {0}")]
    Bus(#[from] BusError),
}

/// The host bridge, with itself as function 00.0.
///
/// Fixed: its layout. Glue: bus and message sink, for its functions. State: the buses and which functions they have.
pub struct HostBridge {
    layout: Layout,
    bus: Weak<Bus>,
    msi: Arc<dyn MsiSink>,
    root: Arc<PciBus>,
    /// The buses behind root ports.
    below: RwLock<Vec<Arc<PciBus>>>,
    myself: Weak<HostBridge>,
}

/// A place for a function. It is taken when a [`FunctionBuilder`] plugs its function.
pub struct Slot {
    bridge: Arc<HostBridge>,
    bus: Arc<PciBus>,
    requester: Requester,
}

/// The bridge's own function has nothing to do.
struct Passive;
impl FunctionHooks for Passive {}

impl HostBridge {
    /// The bridge, put on `bus`. Messages of its functions go to `msi` with bus:device:function as requester ID.
    pub fn new(layout: Layout, bus: &Arc<Bus>, msi: Arc<dyn MsiSink>) -> Result<Arc<Self>, PciError> {
        let bridge = Arc::new_cyclic(|myself| Self {
            layout,
            bus: Arc::downgrade(bus),
            msi,
            root: Arc::new(PciBus::root()),
            below: RwLock::default(),
            myself: myself.clone(),
        });
        bus.insert(layout.ecam, spec::ECAM_BUS * u64::from(layout.buses.max(1)), bridge.clone())?;
        // "QEMU PCIe Host bridge" in the registry of PCI IDs: a bridge that no driver wants to configure.
        let id = Identity {
            vendor: 0x1b36,
            device: 0x0008,
            revision: 0,
            class: spec::CLASS_HOST_BRIDGE,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        FunctionBuilder::new(bridge.slot_at(0, 0)?, id).plug(Arc::new(Passive));
        Ok(bridge)
    }

    /// Where the bridge is.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The slot of function `function` of device `device`. A guest finds functions beyond 0 only where there is a 0.
    pub fn slot_at(&self, device: u8, function: u8) -> Result<Slot, PciError> {
        let error = PciError::Slot { device, function };
        let bridge = self.myself.upgrade().filter(|_| device < 32 && function < 8).ok_or(error)?;
        let devfn = device << 3 | function;
        if self.root.function(devfn).is_some() {
            return Err(PciError::Slot { device, function });
        }
        Ok(Slot { bridge, bus: self.root.clone(), requester: self.root.requester(devfn) })
    }

    /// The lowest device number that is free.
    pub fn free_slot(&self) -> Result<Slot, PciError> {
        (0..32).find_map(|device| self.slot_at(device, 0).ok()).ok_or(PciError::Full)
    }

    /// Puts all functions back to power-on. The vCPUs stand still.
    pub fn reset(&self) {
        let below = self.below.read().clone();
        for bus in below.iter().chain([&self.root]) {
            bus.functions().iter().for_each(|function| function.reset());
        }
    }

    /// Makes `bus` one that configuration requests can reach.
    pub(super) fn add_bus(&self, bus: Arc<PciBus>) {
        self.below.write().push(bus);
    }

    /// The place of the device on a bus behind a root port, which has no other.
    pub(super) fn slot_below(&self, bus: &Arc<PciBus>) -> Option<Slot> {
        Some(Slot { bridge: self.myself.upgrade()?, bus: bus.clone(), requester: bus.requester(0) })
    }

    fn function(&self, offset: u64) -> (Option<Arc<Function>>, u16) {
        let (bus, devfn) = ((offset / spec::ECAM_BUS) as u8, (offset / spec::ECAM_FUNCTION) as u8);
        let function = match bus {
            0 => self.root.function(devfn),
            // A bus that has not been given a number yet has that of the root bus, and is not reached.
            _ => self.below.read().iter().find(|below| below.number() == bus).and_then(|below| below.function(devfn)),
        };
        (function, (offset % spec::ECAM_FUNCTION) as u16)
    }
}

impl Slot {
    /// The requester ID that the function has now: bus, device and function in 16 bits.
    #[must_use]
    pub fn device_id(&self) -> u32 {
        self.requester.id()
    }

    /// The function that is put here, as one that makes requests to memory.
    #[must_use]
    pub fn requester(&self) -> Requester {
        self.requester.clone()
    }

    /// Whether it is behind a root port, and not on the root bus.
    pub(super) fn is_behind_port(&self) -> bool {
        !Arc::ptr_eq(&self.bus, &self.bridge.root)
    }

    /// The bridge that it belongs to.
    pub(super) fn bridge(&self) -> &Arc<HostBridge> {
        &self.bridge
    }

    pub(super) fn msi(&self) -> Arc<dyn MsiSink> {
        self.bridge.msi.clone()
    }

    pub(super) fn bus(&self) -> Weak<Bus> {
        self.bridge.bus.clone()
    }

    pub(super) fn windows(&self) -> [Window; 2] {
        [self.bridge.layout.memory32, self.bridge.layout.memory64]
    }

    pub(super) fn fill(self, function: Arc<Function>) {
        self.bus.put(self.requester.devfn(), function);
    }
}

/// ECAM: a function that is not there reads as all ones.
impl MmioDevice for HostBridge {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let (function, register) = self.function(offset);
        data.fill(0xff);
        if let Some(function) = function {
            function.read_config(register, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let (function, register) = self.function(offset);
        if let Some(function) = function {
            function.write_config(register, data);
        }
    }
}
