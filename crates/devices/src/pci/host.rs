//! The host bridge: configuration space of bus 0 by ECAM (PCI Express Base Specification, 7.2.2), and its windows.

use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::{Function, FunctionBuilder, FunctionHooks, Identity, spec};
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
    /// Start of the ECAM window, [`spec::ECAM_BUS`] bytes long.
    pub ecam: u64,
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
/// Fixed: its layout. Glue: bus and message sink, for its functions. State: which functions there are.
pub struct HostBridge {
    layout: Layout,
    bus: Weak<Bus>,
    msi: Arc<dyn MsiSink>,
    functions: RwLock<Vec<Option<Arc<Function>>>>,
    myself: Weak<HostBridge>,
}

/// A place for a function. It is taken when a [`FunctionBuilder`] plugs its function.
pub struct Slot {
    bridge: Arc<HostBridge>,
    devfn: u8,
}

/// The bridge's own function has nothing to do.
struct Passive;
impl FunctionHooks for Passive {}

impl HostBridge {
    /// The bridge, put on `bus`. Messages of its functions go to `msi` with device:function as requester ID.
    pub fn new(layout: Layout, bus: &Arc<Bus>, msi: Arc<dyn MsiSink>) -> Result<Arc<Self>, PciError> {
        let bridge = Arc::new_cyclic(|myself| Self {
            layout,
            bus: Arc::downgrade(bus),
            msi,
            functions: RwLock::new(vec![None; 256]),
            myself: myself.clone(),
        });
        bus.insert(layout.ecam, spec::ECAM_BUS, bridge.clone())?;
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
        if self.functions.read()[usize::from(devfn)].is_some() {
            return Err(PciError::Slot { device, function });
        }
        Ok(Slot { bridge, devfn })
    }

    /// The lowest device number that is free.
    pub fn free_slot(&self) -> Result<Slot, PciError> {
        (0..32).find_map(|device| self.slot_at(device, 0).ok()).ok_or(PciError::Full)
    }

    /// Puts all functions back to power-on. The vCPUs stand still.
    pub fn reset(&self) {
        let all: Vec<_> = self.functions.read().iter().flatten().cloned().collect();
        for function in all {
            function.reset();
        }
    }

    fn function(&self, offset: u64) -> (Option<Arc<Function>>, u16) {
        let devfn = (offset / spec::ECAM_FUNCTION) as usize;
        let function = self.functions.read().get(devfn).cloned().flatten();
        (function, (offset % spec::ECAM_FUNCTION) as u16)
    }
}

impl Slot {
    /// The requester ID: bus, device and function in 16 bits.
    #[must_use]
    pub fn device_id(&self) -> u32 {
        u32::from(self.devfn)
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
        let mut functions = self.bridge.functions.write();
        functions[usize::from(self.devfn)] = Some(function);
        // A guest looks for functions 1 to 7 only where function 0 says that there are some (PCI 3.0, 6.2.1).
        let first = usize::from(self.devfn & !7);
        if let Some(zero) =
            functions[first].clone().filter(|_| functions[first + 1..first + 8].iter().any(Option::is_some))
        {
            zero.set_multifunction();
        }
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
