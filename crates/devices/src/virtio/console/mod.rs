//! The console device (virtio 1.3, 5.3): terminals and other byte streams between guest and host.
//!
//! With one port it is the plain console `hvc0`; with several it offers control queues, by which the guest learns
//! what the ports are.

mod control;
mod port;
mod quiet;
pub mod spec;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

pub use self::port::{PipeEnd, PipePort, PortBackend, pipe};
use self::worker::{Active, Kept, Session};
use super::spec::device_type;
use super::{ActivateError, Activation, VirtioDevice, Virtqueue, Waker, Worker};

/// The most ports that a console can have: the queues of more would not fit the PCI transport's page comfortably.
pub const MAX_PORTS: usize = 32;

/// A port, as it is configured.
pub struct Port {
    /// A terminal (`/dev/hvcN`) rather than a plain stream (`/dev/vportNpN`). Port 0 is always one.
    pub is_console: bool,
    /// The name by which the guest finds it in `/dev/virtio-ports`; may be empty.
    pub name: String,
    /// The host's end.
    pub backend: Arc<dyn PortBackend>,
}

/// The console device.
///
/// Fixed: the ports. Glue: their back ends. State: the terminal's size, and the worker or what it left.
pub struct Console {
    ports: Arc<[Port]>,
    queue_sizes: Vec<u16>,
    size: Arc<Size>,
    waker: Waker,
    life: Mutex<Life>,
}

enum Life {
    Stopped(Kept),
    Active(Worker<Active>),
    /// While it changes.
    Between,
}

/// The size of the first port's terminal: columns in the low half, rows in the high half; zero is unknown.
#[derive(Default)]
struct Size {
    cells: AtomicU32,
    changed: AtomicBool,
}

impl Size {
    fn set(&self, columns: u16, rows: u16) {
        let cells = u32::from(rows) << 16 | u32::from(columns);
        if self.cells.swap(cells, Ordering::AcqRel) != cells {
            self.changed.store(true, Ordering::Release);
        }
    }

    fn get(&self) -> Option<(u16, u16)> {
        let cells = self.cells.load(Ordering::Acquire);
        (cells != 0).then_some((cells as u16, (cells >> 16) as u16))
    }

    fn take_change(&self) -> Option<(u16, u16)> {
        if self.changed.swap(false, Ordering::AcqRel) { self.get() } else { None }
    }
}

impl Console {
    /// A console with `ports`, at least one and at most [`MAX_PORTS`]; the first is the terminal `hvc0`.
    ///
    /// # Panics
    ///
    /// When there are no or too many ports: the configuration is checked before.
    #[must_use]
    pub fn new(mut ports: Vec<Port>) -> Self {
        assert!((1..=MAX_PORTS).contains(&ports.len()), "{} console ports", ports.len());
        ports[0].is_console = true;
        let queues = if ports.len() == 1 { 2 } else { 2 + 2 * ports.len() };
        let kept = Kept { staged: vec![Vec::new(); ports.len()], ..Kept::default() };
        let waker = Waker::new();
        for port in &ports {
            port.backend.set_waker(waker.clone());
        }
        Self {
            ports: ports.into(),
            queue_sizes: vec![128; queues],
            size: Arc::default(),
            waker,
            life: Mutex::new(Life::Stopped(kept)),
        }
    }

    /// A console with one port.
    #[must_use]
    pub fn terminal(backend: Arc<dyn PortBackend>) -> Self {
        Self::new(vec![Port { is_console: true, name: String::new(), backend }])
    }

    /// The terminal of the first port has this size now, in character cells.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.size.set(columns, rows);
        self.waker.wake();
    }

    fn is_multiport(&self) -> bool {
        self.ports.len() > 1
    }
}

impl VirtioDevice for Console {
    fn device_type(&self) -> u16 {
        device_type::CONSOLE
    }

    fn features(&self) -> u64 {
        let multiport = if self.is_multiport() { spec::F_MULTIPORT } else { 0 };
        spec::F_SIZE | spec::F_EMERG_WRITE | multiport
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; 12];
        config[..4].copy_from_slice(&self.size.cells.load(Ordering::Acquire).to_le_bytes());
        config[spec::CONFIG_MAX_PORTS as usize..][..4].copy_from_slice(&(self.ports.len() as u32).to_le_bytes());
        let rest = config.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(data.len());
        data[..n].copy_from_slice(&rest[..n]);
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        if let (spec::CONFIG_EMERG_WRITE, [byte, ..]) = (offset, data) {
            // The one kind of output that may be lost: there is no way to hold a guest in emergency up.
            self.ports[0].backend.write(&[*byte]);
        }
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        let multiport = activation.has(spec::F_MULTIPORT);
        let Activation { queues, interrupt, .. } = activation;
        let mut life = self.life.lock();
        let old = std::mem::replace(&mut *life, Life::Between);
        let mut kept = if let Life::Stopped(kept) = old { kept } else { Kept::default() };
        kept.sessions.resize(self.ports.len(), Session::default());
        kept.staged.resize(self.ports.len(), Vec::new());
        kept.quiet.begin(Instant::now());
        let size = self.size.clone();
        let active = Active { ports: self.ports.clone(), queues, multiport, interrupt, size, kept };
        let worker = Worker::spawn("virtio-console", &self.waker, active, Active::turn)
            .map_err(|source| ActivateError::Host { what: "starting the console thread", source })?;
        *life = Life::Active(worker);
        Ok(())
    }

    fn notify(&self, _index: u16) {
        self.waker.wake();
    }

    fn stop(&self) -> Vec<Option<Virtqueue>> {
        let old = std::mem::replace(&mut *self.life.lock(), Life::Between);
        let (kept, mut queues) = match old {
            Life::Active(worker) => worker.stop().map(|active| (active.kept, active.queues)).unwrap_or_default(),
            Life::Stopped(kept) => (kept, Vec::new()),
            Life::Between => Default::default(),
        };
        *self.life.lock() = Life::Stopped(kept);
        // Nobody knows later that the driver was not interrupted for these.
        queues.iter_mut().flatten().for_each(Virtqueue::signal);
        queues
    }

    fn reset(&self) {
        for port in self.ports.iter() {
            port.backend.set_guest_open(false);
        }
        if let Life::Stopped(kept) = &mut *self.life.lock() {
            *kept = Kept { staged: std::mem::take(&mut kept.staged), ..Kept::default() };
        }
    }
}
