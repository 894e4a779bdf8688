//! The memory-mapped bus: which device answers at a guest-physical address.

use std::sync::Arc;

use parking_lot::RwLock;

/// A device's registers as they appear in an address window.
///
/// Called on vCPU threads, from several at once, with no lock of the bus held. `data` is 1, 2, 4 or 8 bytes,
/// little-endian. The guest chooses offset, length and value: nothing here may panic or loop without bound.
pub trait MmioDevice: Send + Sync {
    /// Reads `data.len()` bytes at `offset` from the window's start. Registers that do not exist read as zero.
    fn read(&self, offset: u64, data: &mut [u8]);
    /// Writes `data` at `offset` from the window's start. Registers that do not exist ignore it.
    fn write(&self, offset: u64, data: &[u8]);
}

/// Why a window could not be put on the bus.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BusError {
    /// Two windows overlap.
    #[error("the window {base:#x}+{size:#x} overlaps the one at {other:#x}")]
    Overlap {
        /// Start of the window that was refused.
        base: u64,
        /// Its size in bytes.
        size: u64,
        /// Start of the window that is there already.
        other: u64,
    },
    /// An empty window or one that wraps around.
    #[error("{base:#x}+{size:#x} is not a window")]
    NotAWindow {
        /// Start of the window.
        base: u64,
        /// Its size in bytes.
        size: u64,
    },
}

struct Window {
    base: u64,
    size: u64,
    device: Arc<dyn MmioDevice>,
}

/// The bus: windows that do not overlap, ordered by address. Windows may come and go while vCPUs run (PCI BARs).
#[derive(Default)]
pub struct Bus {
    windows: RwLock<Vec<Window>>,
}

impl Bus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `device` at `base`, `size` bytes long.
    pub fn insert(&self, base: u64, size: u64, device: Arc<dyn MmioDevice>) -> Result<(), BusError> {
        let end = base.checked_add(size).filter(|_| size > 0).ok_or(BusError::NotAWindow { base, size })?;
        let mut windows = self.windows.write();
        let at = windows.partition_point(|w| w.base < base);
        let clash = windows.get(at).filter(|w| w.base < end);
        let clash = clash.or_else(|| at.checked_sub(1).map(|i| &windows[i]).filter(|w| w.base + w.size > base));
        if let Some(w) = clash {
            return Err(BusError::Overlap { base, size, other: w.base });
        }
        windows.insert(at, Window { base, size, device });
        Ok(())
    }

    /// Takes the window that starts at `base` away; `false` when there is none.
    pub fn remove(&self, base: u64) -> bool {
        let mut windows = self.windows.write();
        let found = windows.iter().position(|w| w.base == base);
        found.map(|i| windows.remove(i)).is_some()
    }

    /// Takes all windows away, at the end of a machine: what is behind them may own the bus.
    pub fn clear(&self) {
        let windows = std::mem::take(&mut *self.windows.write());
        // Devices are dropped with no lock held.
        drop(windows);
    }

    /// Reads at a guest-physical address; zeroes where nothing answers.
    pub fn read(&self, addr: u64, data: &mut [u8]) {
        data.fill(0);
        match self.find(addr, data.len()) {
            Some((device, offset)) => device.read(offset, data),
            None => tracing::debug!(addr, len = data.len(), "read with no device behind it"),
        }
    }

    /// Writes at a guest-physical address; ignored where nothing answers.
    pub fn write(&self, addr: u64, data: &[u8]) {
        match self.find(addr, data.len()) {
            Some((device, offset)) => device.write(offset, data),
            None => tracing::debug!(addr, len = data.len(), "write with no device behind it"),
        }
    }

    fn find(&self, addr: u64, len: usize) -> Option<(Arc<dyn MmioDevice>, u64)> {
        let windows = self.windows.read();
        let w = &windows[windows.partition_point(|w| w.base <= addr).checked_sub(1)?];
        let offset = addr - w.base;
        (offset.checked_add(len as u64)? <= w.size).then(|| (w.device.clone(), offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo(u8);
    impl MmioDevice for Echo {
        fn read(&self, offset: u64, data: &mut [u8]) {
            data.fill(self.0 + offset as u8);
        }
        fn write(&self, _: u64, _: &[u8]) {}
    }

    fn read(bus: &Bus, addr: u64) -> u8 {
        let mut b = [0xee];
        bus.read(addr, &mut b);
        b[0]
    }

    #[test]
    fn an_address_reaches_the_window_that_holds_it() {
        let bus = Bus::new();
        bus.insert(0x2000, 0x10, Arc::new(Echo(0x20))).unwrap();
        bus.insert(0x1000, 0x10, Arc::new(Echo(0x10))).unwrap();
        assert_eq!([0xfff, 0x1000, 0x100f, 0x1010, 0x2003].map(|a| read(&bus, a)), [0, 0x10, 0x1f, 0, 0x23]);
        assert!(bus.remove(0x1000));
        assert!(!bus.remove(0x1000));
        assert_eq!(read(&bus, 0x1000), 0);
    }

    #[test]
    fn an_access_over_the_end_of_a_window_reaches_nothing() {
        let bus = Bus::new();
        bus.insert(0x1000, 0x10, Arc::new(Echo(1))).unwrap();
        let mut b = [0xee; 8];
        bus.read(0x100c, &mut b);
        assert_eq!(b, [0; 8]);
        bus.read(u64::MAX, &mut b[..1]);
    }

    #[test]
    fn windows_never_overlap() {
        let bus = Bus::new();
        bus.insert(0x1000, 0x1000, Arc::new(Echo(1))).unwrap();
        for (base, size) in [(0x1000, 1), (0xfff, 2), (0x1fff, 1), (0, 0x3000)] {
            let got = bus.insert(base, size, Arc::new(Echo(2)));
            assert_eq!(got, Err(BusError::Overlap { base, size, other: 0x1000 }));
        }
        assert!(bus.insert(0x2000, 0, Arc::new(Echo(2))).is_err());
        assert!(bus.insert(u64::MAX, 2, Arc::new(Echo(2))).is_err());
        bus.insert(0x2000, 1, Arc::new(Echo(2))).unwrap();
    }
}
