//! The contract between a virtio device class and the transport that carries it.

use std::sync::Arc;

use super::Virtqueue;
use crate::GuestMemory;

/// A virtio device class (block, net, console...), independent of the transport.
///
/// # Life
///
/// A device is made *stopped*. The transport calls [`activate`](Self::activate) when the driver sets `DRIVER_OK`, and
/// hands over the queues: from then on the device **owns** them, and the transport touches them no more. The
/// transport calls [`stop`](Self::stop) when the driver resets the device, and when the machine is paused, saved or
/// ends; the device **gives the queues back** and is stopped again. After a reset the transport drops them and calls
/// [`reset`](Self::reset); after a pause it calls `activate` with the very same queues and the device goes on where
/// it was. `activate` and `stop` strictly alternate and never run at the same time as each other, but any other
/// method may be running on another thread.
///
/// # Threads
///
/// All methods take `&self` and are called from any thread, mostly vCPU threads, with no lock of the transport held.
/// `notify` and the configuration accesses are on the guest's critical path and must be quick: a device whose work
/// can block (a disk, a socket, a terminal) moves its queues into a [`Worker`](super::Worker) in `activate` (one for
/// the device or one for each queue), wakes it from `notify`, and joins it in `stop`. [`Virtqueue::signal`] and
/// [`Interrupt`] are called with no lock held, so a device whose work is short has a worker as well: it owns its queues
/// and needs no lock.
///
/// # Hostile guests
///
/// Everything in guest memory and everything written to registers is chosen by the guest. A chain which is malformed
/// by the standard never reaches the device: [`Virtqueue::pop`] breaks the queue and sets `DEVICE_NEEDS_RESET`. A
/// request that is malformed by the device class's own rules is answered with the class's error status, or, where it
/// has none, completed with nothing written or handed to [`Virtqueue::fail`]. No panic, no allocation in proportion
/// to a number that the guest chose without a bound, no loop that the guest can keep going.
pub trait VirtioDevice: Send + Sync {
    /// The device type, [`spec::device_type`](super::spec::device_type). Constant.
    fn device_type(&self) -> u16;

    /// The feature bits of the class which the device offers (bits 0 to 23 and 50 to 63). Constant while a driver is
    /// bound. The bits of the ring and of the transport are the transport's to add.
    fn features(&self) -> u64;

    /// Whether the device can work with this subset of the offered bits; `false` makes the transport refuse
    /// `FEATURES_OK` (3.1.1). Called with a subset of what was offered, `VERSION_1` among them.
    fn accepts(&self, features: u64) -> bool {
        let _ = features;
        true
    }

    /// The maximum size of each queue, a power of two of at most 32768 (2.7). The length is the number of queues.
    /// Constant.
    fn queue_sizes(&self) -> &[u16];

    /// Reads `data.len()` bytes of the device configuration space from `offset`, little-endian. `data` comes zeroed:
    /// leave it so beyond the end. May be called in every state.
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// Writes the device configuration space. Read-only fields and what is beyond the end ignore it.
    fn write_config(&self, offset: u64, data: &[u8]) {
        let _ = (offset, data);
    }

    /// Changes whenever the device changes its configuration space by itself, together with it: by this the driver
    /// sees that it read half an old and half a new value (2.5.1). A space without multi-field values stays at 0.
    fn config_generation(&self) -> u8 {
        0
    }

    /// The driver is ready (or the machine goes on): take the queues and begin. A device looks at its queues at once,
    /// since buffers may be waiting in them for which no kick will come any more.
    ///
    /// On an error the transport sets `DEVICE_NEEDS_RESET`; the device stays stopped.
    fn activate(&self, activation: Activation) -> Result<(), ActivateError>;

    /// The driver has put buffers into queue `index`. Called only for queues that were handed to `activate`, but it
    /// may come late, when `stop` has returned already: ignore it then. Never blocks.
    fn notify(&self, index: u16);

    /// Stops: workers end, requests that are on their way are completed or put back, and the queues are returned, in
    /// the order and the number in which `activate` got them. Afterwards the device touches neither guest memory nor
    /// interrupts. May wait for a request that cannot be cancelled, but not without bound. A device that is not
    /// active returns nothing.
    fn stop(&self) -> Vec<Option<Virtqueue>>;

    /// Forgets what the driver had set, after [`stop`](Self::stop): the device is as it was made, as far as the
    /// driver can see.
    fn reset(&self) {}
}

/// What a device gets when it is activated.
pub struct Activation {
    /// The negotiated feature bits, those of the ring and of the transport among them.
    pub features: u64,
    /// The guest's memory.
    pub memory: GuestMemory,
    /// The queues by index, as many as [`VirtioDevice::queue_sizes`] has; `None` where the driver enabled none.
    pub queues: Vec<Option<Virtqueue>>,
    /// How the device reports a change of its configuration space, and that it is broken. The queues have their own
    /// handle for buffers.
    pub interrupt: Arc<dyn Interrupt>,
}

impl Activation {
    /// Whether all of these feature bits were negotiated.
    #[must_use]
    pub fn has(&self, features: u64) -> bool {
        self.features & features == features
    }
}

/// The device's way to the driver, which the transport implements. Any thread may call it; it never blocks. The
/// caller holds no lock that a `notify` of another device may want.
pub trait Interrupt: Send + Sync {
    /// Used buffers are in queue `index`. [`Virtqueue::signal`] calls it when the driver wants it.
    fn queue(&self, index: u16);
    /// The configuration space has changed.
    fn config(&self);
    /// The device is in error: sets `DEVICE_NEEDS_RESET` (2.1.2) and tells the driver.
    fn needs_reset(&self);
}

/// Why a device could not begin to work. The text is logged on the host; the guest sees `DEVICE_NEEDS_RESET`.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The driver left out a queue that the device cannot do without.
    #[error("the driver did not enable queue {0}")]
    MissingQueue(u16),
    /// The host refused a resource.
    #[error("{what}: {source}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}
