//! Interrupts as a device has them: a line without a number, and messages (MSI) without a bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The far end of an interrupt line, which the board connects to an input of the interrupt controller.
///
/// Called from any thread. The caller holds none of its own locks.
pub trait IrqSink: Send + Sync {
    /// The level of the input, kept until it is changed.
    fn set_level(&self, level: bool);
}

/// A device's interrupt line. The device knows no number; setting the level that the line has already does nothing.
#[derive(Clone)]
pub struct IrqLine(Arc<Line>);

struct Line {
    level: AtomicBool,
    sink: Arc<dyn IrqSink>,
}

impl IrqLine {
    /// A line, low, that ends in `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn IrqSink>) -> Self {
        Self(Arc::new(Line { level: AtomicBool::new(false), sink }))
    }

    /// Drives the line.
    pub fn set_level(&self, level: bool) {
        if self.0.level.swap(level, Ordering::AcqRel) != level {
            self.0.sink.set_level(level);
        }
    }

    /// The level that the line was driven to last.
    #[must_use]
    pub fn level(&self) -> bool {
        self.0.level.load(Ordering::Acquire)
    }
}

/// A message-signalled interrupt: a 32-bit write that a PCI function makes (PCI Local Bus 3.0, section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msi {
    /// Where the function writes: for a GICv3 `GITS_TRANSLATER` or `GICD_SETSPI_NSR`.
    pub address: u64,
    /// What it writes.
    pub data: u32,
    /// The function's requester ID (bus:8 device:5 function:3), which an ITS takes as DeviceID.
    pub device_id: u32,
}

/// Takes messages from PCI functions to the interrupt controller. Called from any thread, never blocks; the caller
/// holds none of its own locks.
pub trait MsiSink: Send + Sync {
    /// Performs the write.
    fn signal(&self, msi: Msi);
}
