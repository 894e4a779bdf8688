//! A machine without CPUs: memory, bus and PCI host bridge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use devices::GuestMemory;
use devices::bus::Bus;
use devices::pci::{HostBridge, Layout, Window};
use devices::virtio::VirtioDevice;
use devices::virtio::pci::VirtioPci;
use vm_memory::{Bytes, GuestAddress};

use crate::{Driver, Interrupts};

/// The machine. Clones are the same machine.
#[derive(Clone)]
pub struct Guest {
    memory: GuestMemory,
    bus: Arc<Bus>,
    bridge: Arc<HostBridge>,
    interrupts: Arc<Interrupts>,
    /// The next free byte of memory.
    free: Arc<AtomicU64>,
    /// The next free address for a BAR.
    bars: Arc<AtomicU64>,
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Guest {
    /// Start of memory.
    pub const RAM: u64 = 0x4000_0000;
    /// Bytes of memory.
    pub const RAM_SIZE: u64 = 64 << 20;
    /// Start of the window for 64-bit BARs.
    pub const BARS: u64 = 0x80_0000_0000;
    /// Start of ECAM.
    pub const ECAM: u64 = 0x3f00_0000;

    /// A machine with nothing plugged in.
    #[must_use]
    pub fn new() -> Self {
        let memory = GuestMemory::from_ranges(&[(GuestAddress(Self::RAM), Self::RAM_SIZE as usize)]).unwrap();
        let bus = Arc::new(Bus::new());
        let interrupts = Arc::new(Interrupts::default());
        let layout = Layout {
            ecam: Self::ECAM,
            buses: 16,
            memory32: Window { base: 0x1000_0000, size: 0x1000_0000 },
            memory64: Window { base: Self::BARS, size: 1 << 32 },
            ports: None,
        };
        let bridge = HostBridge::new(layout, &bus, interrupts.clone()).unwrap();
        let (free, bars) = (Arc::new(AtomicU64::new(Self::RAM)), Arc::new(AtomicU64::new(Self::BARS)));
        Self { memory, bus, bridge, interrupts, free, bars }
    }

    /// Puts a virtio device into the next PCI slot and attaches a driver to it, which has not touched the status yet.
    #[must_use]
    pub fn plug(&self, device: Arc<dyn VirtioDevice>) -> Driver {
        let slot = self.bridge.free_slot().unwrap();
        let devfn = slot.device_id();
        let transport = VirtioPci::plug(slot, device, self.memory.clone());
        Driver::attach(self.clone(), devfn, transport)
    }

    /// Memory.
    #[must_use]
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The host bridge.
    #[must_use]
    pub fn bridge(&self) -> &Arc<HostBridge> {
        &self.bridge
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// Where messages arrive.
    #[must_use]
    pub fn interrupts(&self) -> &Arc<Interrupts> {
        &self.interrupts
    }

    /// Memory for the test to use, zeroed; it is never given back.
    #[must_use]
    pub fn alloc(&self, len: u64, align: u64) -> u64 {
        let take = |at: u64| Some(at.next_multiple_of(align) + len);
        let at = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).unwrap().next_multiple_of(align);
        assert!(at + len <= Self::RAM + Self::RAM_SIZE, "the test has used up the guest's memory");
        at
    }

    /// Memory with `data` in it.
    #[must_use]
    pub fn alloc_with(&self, data: &[u8]) -> u64 {
        let at = self.alloc(data.len() as u64, 1);
        self.memory.write_slice(data, GuestAddress(at)).unwrap();
        at
    }

    pub(crate) fn alloc_bar(&self, size: u64) -> u64 {
        let take = |at: u64| Some(at.next_multiple_of(size) + size);
        self.bars.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).unwrap().next_multiple_of(size)
    }

    /// Reads `N` bytes at a guest-physical address, by the bus.
    #[must_use]
    pub fn read<const N: usize>(&self, addr: u64) -> [u8; N] {
        let mut data = [0; N];
        self.bus.read(addr, &mut data);
        data
    }

    /// Reads 32 bits by the bus.
    #[must_use]
    pub fn read32(&self, addr: u64) -> u32 {
        u32::from_le_bytes(self.read(addr))
    }

    /// Writes 32 bits by the bus.
    pub fn write32(&self, addr: u64, value: u32) {
        self.bus.write(addr, &value.to_le_bytes());
    }

    /// The address of a configuration register of a function.
    #[must_use]
    pub fn config(&self, devfn: u32, register: u16) -> u64 {
        Self::ECAM + u64::from(devfn) * 4096 + u64::from(register)
    }
}
