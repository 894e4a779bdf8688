//! An NVM Express controller with one namespace: a [`Disk`] for a guest that has NVMe drivers, as firmware has.
//!
//! The standard is "NVM Express, Base Specification, Revision 1.4"; section numbers in this folder are of that document.
//! A doorbell does a bounded bit of work on the CPU's thread. One thread manages the controller: enabling, disabling,
//! shutdown, admin commands and events follow each other there and need no locks against each other. The pool's threads
//! do I/O, several commands of a queue at the same time. A command is fetched only when there is a place for its
//! completion, so that nobody waits for the guest.

mod admin;
mod command;
mod core;
mod data;
mod events;
mod io;
mod manage;
mod namespace;
mod pool;
mod queue;
mod registers;
pub mod spec;
mod status;

use std::sync::{Arc, Weak};

use block::{Disk, SizeWatcher};
use parking_lot::Mutex;

use self::core::Core;
use self::events::Event;
use self::namespace::Namespace;
use self::pool::Threads;
use self::spec::{feature, register};
pub use self::status::Status;
use crate::GuestMemory;
use crate::bus::MmioDevice;
use crate::pci::{BarKind, FunctionBuilder, FunctionHooks, Identity, PciDevice, Slot};
use crate::regs;
use crate::virtio::Worker;

/// The BAR of the registers, and that of MSI-X.
const REGISTER_BAR: usize = 0;
const MSIX_BAR: usize = 2;

/// An NVMe disk, which outlives boards: each has a [`Controller`] for it.
pub struct Nvme {
    namespace: Arc<Namespace>,
    queues: u16,
}

impl Nvme {
    /// A disk of which a guest may have `queues` pairs of I/O queues (2 to [`spec::MAX_IO_QUEUES`]: the driver of EDK II
    /// makes two, and gives up without). `serial` is what it reads as serial number, cut to 20 bytes; `None` takes the
    /// disk's own.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, queues: u16, serial: Option<&str>) -> Self {
        let serial = serial.unwrap_or(disk.id()).to_owned();
        let queues = queues.clamp(2, spec::MAX_IO_QUEUES);
        Self { namespace: Arc::new(Namespace::new(disk, &serial)), queues }
    }

    /// Puts a controller for the disk into `slot`. It is at most in one slot at a time.
    pub fn controller(&self, slot: Slot, memory: GuestMemory) -> Arc<Controller> {
        let core = Arc::new(Core::new(self.namespace.clone(), memory, slot.requester(), self.queues));
        let watcher: Arc<dyn SizeWatcher> = core.clone();
        self.namespace.disk.watch_size(Arc::downgrade(&watcher));
        let controller = Arc::new(Controller { core: core.clone(), threads: Mutex::default() });
        let id = Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE,
            revision: 1,
            class: spec::CLASS,
            subsystem_vendor: spec::VENDOR,
            subsystem: spec::DEVICE,
        };
        let (function, msix) = FunctionBuilder::new(slot, id)
            .bar(REGISTER_BAR, BarKind::Memory64, register::SIZE, controller.clone())
            .msix(self.queues + 1, MSIX_BAR);
        core.msix.get_or_init(|| msix);
        function.plug(controller.clone());
        controller
    }
}

impl PciDevice for Nvme {
    fn plug(self: Arc<Self>, slot: Slot, memory: GuestMemory) {
        self.controller(slot, memory);
    }
}

/// The controller in its slot, which gives its threads a life: from when the guest enables it, with breaks in pauses,
/// until it is reset.
pub struct Controller {
    core: Arc<Core>,
    threads: Mutex<Life>,
}

#[derive(Default)]
enum Life {
    /// The guest has not enabled it yet.
    #[default]
    Off,
    /// First the manager, which may wait for the others.
    Running(Worker<Weak<Core>>, Threads),
    /// They are stopped for a pause.
    Paused,
}

impl Controller {
    /// Stops the threads for a pause or the end of the machine, with what they are doing done; what the guest has put
    /// into queues stays there. The vCPUs stand still.
    pub fn stop(&self) {
        let mut threads = self.threads.lock();
        if matches!(*threads, Life::Running(..)) {
            let running = std::mem::replace(&mut *threads, Life::Paused);
            drop(threads);
            end(running);
        }
    }

    /// Goes on after [`stop`](Self::stop). The vCPUs stand still yet.
    pub fn start(&self) {
        let mut threads = self.threads.lock();
        if matches!(*threads, Life::Paused) {
            *threads = self.spawn();
        }
    }

    /// The guest wants something of the manager, which is there from the first time on.
    fn manage(&self) {
        let mut threads = self.threads.lock();
        if matches!(*threads, Life::Off) {
            *threads = self.spawn();
        }
        drop(threads);
        self.core.manager.wake();
    }

    fn spawn(&self) -> Life {
        let io = Threads::start(&self.core);
        let turn = |core: &mut Weak<Core>, waker: &_| {
            if let Some(core) = core.upgrade() {
                core.turn(waker);
            }
        };
        let manager = Worker::spawn("nvme", &self.core.manager, Arc::downgrade(&self.core), turn);
        match (manager, io) {
            (Ok(manager), Ok(io)) => Life::Running(manager, io),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "no thread for an NVMe controller");
                self.core.registers.lock().csts |= spec::csts::CFS;
                Life::Off
            }
        }
    }
}

/// Ends the threads: the manager, while the others still finish what it may be waiting for.
fn end(life: Life) {
    if let Life::Running(manager, io) = life {
        manager.stop();
        drop(io);
    }
}

/// BAR 0.
impl MmioDevice for Controller {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let registers = self.core.registers.lock();
        // Doorbells read as zero.
        regs::read(offset, data, |offset| registers.read(offset));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let Some(doorbell) = offset.checked_sub(register::DOORBELLS) {
            // Accesses are of 32 bits (3.1.25); what is not is ignored.
            if let (true, Ok(value)) = (doorbell.is_multiple_of(4), data.try_into()) {
                self.core.ring(doorbell / 4, u32::from_le_bytes(value));
            }
            return;
        }
        let mut wanted = false;
        {
            let mut registers = self.core.registers.lock();
            regs::write(offset, data, |offset, value, lanes| wanted |= registers.write(offset, value, lanes));
        }
        if wanted {
            self.manage();
        }
    }
}

impl FunctionHooks for Controller {
    /// The threads ask for a permit for each command. The guest can disable and shut down a controller that reaches no
    /// memory.
    fn master_changed(&self) {
        self.core.manager.wake();
        self.core.io.ring();
    }

    fn reset(&self) {
        let running = std::mem::take(&mut *self.threads.lock());
        end(running);
        self.core.forget();
    }
}

impl SizeWatcher for Core {
    fn size_changed(&self, _: u64) {
        self.changed.store(true, std::sync::atomic::Ordering::Release);
        if self.settings.lock().wants(feature::NAMESPACE_NOTICES) {
            self.raise(Event::NamespaceChanged);
        }
    }
}
