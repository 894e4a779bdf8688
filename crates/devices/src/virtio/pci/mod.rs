//! Virtio over PCI, without the legacy interface (virtio 1.3, 4.1): a device class becomes a PCI function.

mod common;
mod interrupt;
pub mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use virtio_queue::QueueT;

use self::common::{Common, Effect};
use self::interrupt::Interrupts;
use super::spec::{device_type, feature, status};
use super::{Activation, VirtioDevice, Virtqueue};
use crate::GuestMemory;
use crate::bus::MmioDevice;
use crate::pci::spec::CAP_VENDOR;
use crate::pci::{BarKind, FunctionBuilder, FunctionHooks, Identity, PciDevice, Requester, Slot};

/// A virtio device in a PCI slot.
///
/// Fixed: the device class, guest memory, the features that are offered.
/// Glue: interrupts, and whether guest memory may be reached.
/// State: what the driver has set, and where in its life the device is.
pub struct VirtioPci {
    device: Arc<dyn VirtioDevice>,
    memory: GuestMemory,
    requester: Requester,
    interrupts: Arc<Interrupts>,
    state: Mutex<State>,
    /// A reset has come to its end.
    was_reset: Condvar,
    /// The queues that the device has. Notifications look here and take no lock.
    handed: Box<[AtomicBool]>,
    /// How often the device could not be activated.
    failures: AtomicU64,
}

struct State {
    common: Common,
    phase: Phase,
    /// The machine is paused, or ends.
    held: bool,
}

/// Where in its life the device is. `activate` and `stop` are called without the lock, by the one thread that has
/// made the change to `Starting` or `Stopping`; what comes meanwhile is left to that thread, which looks after it.
enum Phase {
    Stopped,
    Starting { reset_wanted: bool },
    Active,
    Stopping { reset_wanted: bool },
    Paused(Vec<Option<Virtqueue>>),
}

impl Phase {
    /// A reset is left to the thread that starts or stops the device.
    fn wants_reset(&self) -> bool {
        matches!(self, Self::Starting { reset_wanted: true } | Self::Stopping { reset_wanted: true })
    }
}

impl VirtioPci {
    /// Puts `device` into `slot`: the guest sees it from now on.
    ///
    /// # Panics
    ///
    /// When the device has more than [`spec::MAX_QUEUES`] queues or a queue size that is none: a mistake in the device.
    pub fn plug(slot: Slot, device: Arc<dyn VirtioDevice>, memory: GuestMemory) -> Arc<Self> {
        let sizes = device.queue_sizes();
        let right = |size: &u16| size.is_power_of_two() && *size <= 32768;
        assert!(sizes.len() <= spec::MAX_QUEUES && sizes.iter().all(right), "queue sizes {sizes:?}");
        let vectors = sizes.len() as u16 + 1;
        let offered = device.features() & feature::DEVICE_CLASS | feature::COMMON;
        let interrupts = Arc::new(Interrupts::new(sizes.len()));
        let transport = Arc::new(Self {
            memory,
            requester: slot.requester(),
            interrupts: interrupts.clone(),
            state: Mutex::new(State {
                common: Common::new(offered, sizes, vectors),
                phase: Phase::Stopped,
                held: false,
            }),
            was_reset: Condvar::new(),
            handed: sizes.iter().map(|_| AtomicBool::new(false)).collect(),
            failures: AtomicU64::new(0),
            device,
        });

        let kind = transport.device.device_type();
        let id = Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE_BASE + kind,
            revision: spec::REVISION,
            class: class_code(kind),
            subsystem_vendor: spec::VENDOR,
            subsystem: spec::DEVICE_BASE + kind,
        };
        let mut notify = capability(spec::cap::NOTIFY, spec::NOTIFY_AT, spec::PAGE, 4);
        notify.extend(spec::NOTIFY_MULTIPLIER.to_le_bytes());
        let mut access = capability(spec::cap::PCI, 0, 0, 4);
        access.extend([0; 4]);
        // The driver writes bar, offset, length and data (4.1.4.9).
        let writable = [0, 0, 0xff, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        let (function, msix) = FunctionBuilder::new(slot, id)
            .bar(spec::REGISTER_BAR, BarKind::Memory64, spec::REGISTER_SIZE, transport.clone())
            .capability(CAP_VENDOR, &capability(spec::cap::COMMON, spec::COMMON_AT, spec::COMMON_SIZE, 0), &[])
            .capability(CAP_VENDOR, &capability(spec::cap::ISR, spec::ISR_AT, 1, 0), &[])
            .capability(CAP_VENDOR, &capability(spec::cap::DEVICE, spec::DEVICE_AT, spec::PAGE, 0), &[])
            .capability(CAP_VENDOR, &notify, &[])
            .live(CAP_VENDOR, &access, &writable, 16..20)
            .msix(vectors, spec::MSIX_BAR);
        interrupts.msix.get_or_init(|| msix);
        function.plug(transport.clone());
        transport
    }

    /// The device class.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn VirtioDevice> {
        &self.device
    }

    /// Stops the device for a pause: its threads end, its queues are kept here. The vCPUs stand still.
    pub fn stop(&self) {
        self.state.lock().held = true;
        self.settle();
    }

    /// Goes on after [`stop`](Self::stop). The vCPUs stand still yet.
    pub fn start(&self) {
        self.state.lock().held = false;
        self.settle();
    }

    /// Lets a device that has queues run when it may: nothing holds it and it may reach guest memory. Stops it else.
    fn settle(&self) {
        // What it goes by may change meanwhile, as often as the guest likes.
        while self.start_or_stop() {}
    }

    /// Starts or stops the device; `false` when it is as it should be, or was reset.
    fn start_or_stop(&self) -> bool {
        let queues = {
            let State { phase, held, .. } = &mut *self.state.lock();
            let may_run = !*held && self.requester.is_master();
            match std::mem::replace(phase, Phase::Stopped) {
                Phase::Paused(queues) if may_run => {
                    *phase = Phase::Starting { reset_wanted: false };
                    Some(queues)
                }
                Phase::Active if !may_run => {
                    *phase = Phase::Stopping { reset_wanted: false };
                    None
                }
                as_it_is => {
                    *phase = as_it_is;
                    return false;
                }
            }
        };
        let after = match queues {
            Some(queues) => self.activate(queues),
            None => Phase::Paused(self.device.stop()),
        };
        let reset_wanted = {
            let State { phase, .. } = &mut *self.state.lock();
            let wanted = phase.wants_reset();
            *phase = if wanted { Phase::Stopping { reset_wanted: true } } else { after };
            wanted
        };
        if reset_wanted {
            self.finish_reset();
        }
        !reset_wanted
    }

    fn write_status(&self, value: u8) {
        if value == 0 {
            return self.driver_reset();
        }
        let (old, accepted) = {
            let mut state = self.state.lock();
            let common = &mut state.common;
            let old = common.status;
            // The driver may not clear bits (2.1.1); the two that have conditions come below.
            common.status |= value & !(status::FEATURES_OK | status::DRIVER_OK | status::DEVICE_NEEDS_RESET);
            (old, common.features_are_right().then_some(common.accepted))
        };
        let set = value & !old;
        if set & status::FEATURES_OK != 0 && accepted.is_some_and(|features| self.device.accepts(features)) {
            self.state.lock().common.status |= status::FEATURES_OK;
        }
        if set & status::DRIVER_OK != 0 {
            self.driver_ok();
        }
    }

    fn driver_ok(&self) {
        let ready = {
            let State { common, phase, .. } = &mut *self.state.lock();
            let queues = if matches!(phase, Phase::Stopped) && common.status & status::FEATURES_OK != 0 {
                common.status |= status::DRIVER_OK;
                self.build_queues(common)
            } else {
                None
            };
            queues.map(|queues| *phase = Phase::Paused(queues)).is_some()
        };
        if ready {
            self.settle();
        } else {
            super::Interrupt::needs_reset(&*self.interrupts);
        }
    }

    /// The enabled queues; `None` when one of them is not in guest memory as it should be.
    fn build_queues(&self, common: &Common) -> Option<Vec<Option<Virtqueue>>> {
        let event_index = common.accepted & feature::RING_EVENT_IDX != 0;
        let indirect = common.accepted & feature::RING_INDIRECT_DESC != 0;
        let build = |(index, setup): (usize, &common::QueueSetup)| {
            if !setup.enabled {
                return Some(None);
            }
            let queue = setup.build(event_index).filter(|q| q.is_valid(&self.memory))?;
            let (memory, interrupts) = (self.memory.clone(), self.interrupts.clone());
            Some(Some(Virtqueue::new(queue, index as u16, indirect, memory, interrupts)))
        };
        common.queues.iter().enumerate().map(build).collect()
    }

    /// Hands the queues to the device. The phase is `Starting`, and ours: what it becomes.
    fn activate(&self, queues: Vec<Option<Virtqueue>>) -> Phase {
        for (handed, queue) in self.handed.iter().zip(&queues) {
            handed.store(queue.is_some(), Ordering::Release);
        }
        let features = self.state.lock().common.accepted;
        let (memory, interrupt) = (self.memory.clone(), self.interrupts.clone());
        let activation = Activation { features, memory, queues, interrupt };
        let Err(why) = self.device.activate(activation) else { return Phase::Active };
        // The first, second, fourth... time: the guest can try again without end.
        let count = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::error!(device = self.device.device_type(), %why, count, "virtio device not activated");
        }
        self.take_back();
        super::Interrupt::needs_reset(&*self.interrupts);
        Phase::Stopped
    }

    fn take_back(&self) {
        for handed in &self.handed {
            handed.store(false, Ordering::Release);
        }
    }

    /// The driver wrote zero to the status, or the machine is reset (2.4). It comes later when another thread is just
    /// starting or stopping the device.
    fn driver_reset(&self) {
        {
            let mut state = self.state.lock();
            match &mut state.phase {
                Phase::Stopping { reset_wanted } | Phase::Starting { reset_wanted } => {
                    *reset_wanted = true;
                    return;
                }
                Phase::Stopped | Phase::Active | Phase::Paused(_) => {
                    state.phase = Phase::Stopping { reset_wanted: false };
                }
            }
        }
        self.finish_reset();
    }

    /// Resets the device. The phase is `Stopping`, and ours.
    fn finish_reset(&self) {
        self.take_back();
        drop(self.device.stop());
        self.device.reset();
        self.interrupts.reset();
        let mut state = self.state.lock();
        state.common.reset();
        state.phase = Phase::Stopped;
        self.was_reset.notify_all();
    }

    fn read_common(&self, offset: u64, data: &mut [u8]) {
        let generation = self.device.config_generation();
        let state = self.state.lock();
        let mut status = state.common.status;
        if self.interrupts.is_reset_needed() {
            status |= status::DEVICE_NEEDS_RESET;
        }
        state.common.read(offset, data, status, generation);
    }

    fn write_common(&self, offset: u64, data: &[u8]) {
        let effect = {
            let mut state = self.state.lock();
            let effect = state.common.write(offset, data);
            if effect.is_some() {
                let common = &state.common;
                self.interrupts.set_vectors(common.config_vector, common.queues.iter().map(|q| q.vector));
            }
            effect
        };
        if let Some(Effect::Status(value)) = effect {
            self.write_status(value);
        }
    }

    fn notify(&self, offset: u64) {
        let index = offset / u64::from(spec::NOTIFY_MULTIPLIER);
        if self.handed.get(index as usize).is_some_and(|handed| handed.load(Ordering::Acquire)) {
            self.device.notify(index as u16);
        }
    }
}

/// The register BAR.
impl MmioDevice for VirtioPci {
    fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let at = offset % spec::PAGE;
        match offset - at {
            spec::COMMON_AT => self.read_common(at, data),
            spec::ISR_AT if at == 0 => data[0] = self.interrupts.take_isr(),
            spec::DEVICE_AT => self.device.read_config(at, data),
            _ => {}
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let at = offset % spec::PAGE;
        match offset - at {
            spec::COMMON_AT => self.write_common(at, data),
            spec::DEVICE_AT => self.device.write_config(at, data),
            spec::NOTIFY_AT => self.notify(at),
            _ => {}
        }
    }
}

/// Every virtio device can be in a PCI slot.
impl<D: VirtioDevice + 'static> PciDevice for D {
    fn plug(self: Arc<Self>, slot: Slot, memory: GuestMemory) {
        VirtioPci::plug(slot, self, memory);
    }
}

impl FunctionHooks for VirtioPci {
    fn read_live(&self, capability: &[u8], _: u16, data: &mut [u8]) {
        if let Some((offset, length)) = access_window(capability) {
            let mut word = [0; 4];
            MmioDevice::read(self, offset, &mut word[..length]);
            let length = length.min(data.len());
            data[..length].copy_from_slice(&word[..length]);
        }
    }

    fn write_live(&self, capability: &[u8], _: u16, data: &[u8]) {
        if let Some((offset, length)) = access_window(capability) {
            MmioDevice::write(self, offset, &data[..length.min(data.len())]);
        }
    }

    /// Waits for the requests that the device is busy with.
    fn master_changed(&self) {
        self.settle();
    }

    fn reset(&self) {
        self.driver_reset();
        let mut state = self.state.lock();
        while state.phase.wants_reset() {
            self.was_reset.wait(&mut state);
        }
    }
}

/// The register which the PCI configuration access capability points to (4.1.4.9), if it is one.
fn access_window(capability: &[u8]) -> Option<(u64, usize)> {
    let word = |at: usize| capability.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (bar, offset, length) = (*capability.get(4)?, word(8)?, word(12)?);
    let right = usize::from(bar) == spec::REGISTER_BAR
        && matches!(length, 1 | 2 | 4)
        && offset.is_multiple_of(length)
        && u64::from(offset) < spec::REGISTER_SIZE;
    right.then_some((u64::from(offset), length as usize))
}

/// The body of a virtio capability (4.1.4) for a structure in the register BAR, `more` bytes longer than usual.
fn capability(kind: u8, at: u64, size: u64, more: u8) -> Vec<u8> {
    let mut body = vec![16 + more, kind, spec::REGISTER_BAR as u8, 0, 0, 0];
    body.extend((at as u32).to_le_bytes());
    body.extend((size as u32).to_le_bytes());
    body
}

/// What firmware and people take the function for.
fn class_code(kind: u16) -> u32 {
    match kind {
        device_type::NET => 0x02_00_00,
        device_type::BLOCK => 0x01_80_00,
        device_type::CONSOLE => 0x07_80_00,
        _ => 0x00_ff_00,
    }
}
