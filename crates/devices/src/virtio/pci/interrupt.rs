//! Interrupts of a virtio PCI function: MSI-X vectors and the ISR status (virtio 1.3, 4.1.4.5 and 4.1.5.1).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

use super::spec;
use crate::pci::Msix;
use crate::virtio::Interrupt;
use crate::virtio::spec::NO_VECTOR;

/// The vectors which the driver chose, without a lock: devices signal from their own threads.
pub(super) struct Interrupts {
    pub(super) msix: OnceLock<Arc<Msix>>,
    queues: Box<[AtomicU16]>,
    config: AtomicU16,
    isr: AtomicU8,
    needs_reset: AtomicBool,
}

impl Interrupts {
    pub(super) fn new(queues: usize) -> Self {
        Self {
            msix: OnceLock::new(),
            queues: (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect(),
            config: AtomicU16::new(NO_VECTOR),
            isr: AtomicU8::new(0),
            needs_reset: AtomicBool::new(false),
        }
    }

    pub(super) fn set_vectors(&self, config: u16, queues: impl Iterator<Item = u16>) {
        self.config.store(config, Ordering::Release);
        for (slot, vector) in self.queues.iter().zip(queues) {
            slot.store(vector, Ordering::Release);
        }
    }

    pub(super) fn reset(&self) {
        self.set_vectors(NO_VECTOR, self.queues.iter().map(|_| NO_VECTOR));
        self.isr.store(0, Ordering::Release);
        self.needs_reset.store(false, Ordering::Release);
    }

    /// Reads the ISR status, which clears it.
    pub(super) fn take_isr(&self) -> u8 {
        self.isr.swap(0, Ordering::AcqRel)
    }

    pub(super) fn is_reset_needed(&self) -> bool {
        self.needs_reset.load(Ordering::Acquire)
    }

    fn signal(&self, vector: &AtomicU16) {
        if let Some(msix) = self.msix.get() {
            // No vector is a number which MSI-X does not have.
            msix.signal(vector.load(Ordering::Acquire));
        }
    }
}

impl Interrupt for Interrupts {
    fn queue(&self, index: u16) {
        self.isr.fetch_or(spec::ISR_QUEUE, Ordering::AcqRel);
        if let Some(vector) = self.queues.get(usize::from(index)) {
            self.signal(vector);
        }
    }

    fn config(&self) {
        self.isr.fetch_or(spec::ISR_CONFIG, Ordering::AcqRel);
        self.signal(&self.config);
    }

    fn needs_reset(&self) {
        self.needs_reset.store(true, Ordering::Release);
        self.config();
    }
}
