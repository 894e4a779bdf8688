//! The controller's PCI function: its registers on the bus, and its thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::Xhci;
use super::engine::Engine;
use super::registers::Registers;
use super::spec::{self, SLOTS, at};
use crate::GuestMemory;
use crate::bus::MmioDevice;
use crate::pci::{BarKind, FunctionBuilder, FunctionHooks, Identity, Msix, Requester, Slot};
use crate::regs;
use crate::virtio::{Waker, Worker};

/// The BAR with the registers, and the one with the MSI-X table.
const REGISTER_BAR: usize = 0;
const MSIX_BAR: usize = 2;
/// Class code: serial bus controller, USB, xHCI.
const CLASS: u32 = 0x0c_03_30;

/// The function.
///
/// Fixed: 32 device slots, one interrupter. Glue: guest memory, MSI-X, and a thread while there is something to do.
/// State: the registers here; slots, rings and devices with the thread ([`Engine`]).
pub(super) struct Controller {
    home: Arc<Xhci>,
    shared: Arc<Shared>,
    worker: Mutex<Option<Worker<Engine>>>,
}

/// What vCPUs and the controller's thread share.
pub(super) struct Shared {
    pub(super) memory: GuestMemory,
    pub(super) requester: Requester,
    pub(super) registers: Mutex<Registers>,
    /// Rung doorbells: for each slot a bit for each endpoint. Slot 0 is the command ring.
    pub(super) doorbells: [AtomicU32; SLOTS as usize + 1],
    msix: OnceLock<Arc<Msix>>,
    waker: Waker,
}

impl Shared {
    /// Sends the interrupt. No lock is held.
    pub(super) fn interrupt(&self) {
        if let Some(msix) = self.msix.get() {
            msix.signal(0);
        }
    }
}

impl Controller {
    pub(super) fn plug(home: Arc<Xhci>, slot: Slot, memory: GuestMemory) -> Arc<Self> {
        let shared = Shared {
            memory,
            requester: slot.requester(),
            registers: Mutex::new(Registers::new(&home.devices.lock())),
            doorbells: std::array::from_fn(|_| AtomicU32::new(0)),
            msix: OnceLock::new(),
            waker: Waker::new(),
        };
        let controller = Arc::new(Self { home, shared: Arc::new(shared), worker: Mutex::default() });
        // "QEMU XHCI Host Controller" in the registry of PCI IDs: one without quirks.
        let id = Identity {
            vendor: 0x1b36,
            device: 0x000d,
            revision: 1,
            class: CLASS,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        let (function, msix) = FunctionBuilder::new(slot, id)
            .bar(REGISTER_BAR, BarKind::Memory64, spec::BAR_SIZE, controller.clone())
            .msix(1, MSIX_BAR);
        controller.shared.msix.get_or_init(|| msix);
        function.plug(controller.clone());
        controller
    }

    /// Makes the thread look at what there is to do.
    pub(super) fn wake(&self) {
        let mut worker = self.worker.lock();
        if worker.is_none() {
            let devices = std::mem::take(&mut *self.home.devices.lock());
            let engine = Engine::new(self.shared.clone(), self.home.clone(), devices);
            match Worker::spawn("xhci", &self.shared.waker, engine, Engine::turn) {
                Ok(thread) => *worker = Some(thread),
                Err(why) => tracing::error!(%why, "the USB controller has no thread, and its devices are gone"),
            }
        }
        self.shared.waker.wake();
    }

    fn ring_doorbell(&self, offset: u64, value: u32) {
        let (slot, target) = ((offset / 4) as usize, value & 0xff);
        let endpoint = if slot == 0 { target == 0 } else { (1..32).contains(&target) };
        // There are no streams.
        if let Some(rung) = self.shared.doorbells.get(slot).filter(|_| endpoint && value >> 16 == 0) {
            rung.fetch_or(1 << target, Ordering::AcqRel);
            // A thread is there since the controller was told to run.
            self.shared.waker.wake();
        }
    }
}

/// The register BAR.
impl MmioDevice for Controller {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let registers = self.shared.registers.lock();
        regs::read(offset, data, |word| registers.read(word));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        regs::write(offset, data, |word, value, lanes| {
            if let Some(doorbell) = word.checked_sub(at::DOORBELLS) {
                return self.ring_doorbell(doorbell, value);
            }
            let effect = self.shared.registers.lock().write(word, value, lanes);
            if effect.interrupt {
                self.shared.interrupt();
            }
            if effect.wake {
                self.wake();
            }
        });
    }
}

impl FunctionHooks for Controller {
    /// The thread asks for a permit before each of its steps.
    fn master_changed(&self) {
        self.shared.waker.wake();
    }

    /// Waits for the request that a device is busy with. The devices go back to where the next function finds them.
    fn reset(&self) {
        let worker = self.worker.lock().take();
        if let Some(mut engine) = worker.and_then(Worker::stop) {
            engine.reset();
            *self.home.devices.lock() = engine.into_devices();
        }
    }
}
