//! A driver for a virtio device in a PCI slot: negotiation, queues, requests.

use std::sync::Arc;
use std::time::Duration;

use devices::pci::spec as pci;
use devices::virtio::pci::{VirtioPci, spec};
use devices::virtio::spec::{feature, status};

use crate::pci::{capabilities, enable_msix, place_bars};
use crate::{Buffer, Guest, PATIENCE, Ring, Used};

/// The device did not take the features: `FEATURES_OK` did not stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// A driver bound to a device.
pub struct Driver {
    guest: Guest,
    devfn: u32,
    transport: Arc<VirtioPci>,
    common: u64,
    notify: u64,
    multiplier: u32,
    isr: u64,
    device: u64,
    features: u64,
    rings: Vec<Option<Ring>>,
}

impl Driver {
    /// Finds the device's structures by its capabilities, places its BARs and turns MSI-X on: vector n of queue n,
    /// and the one after the last for the configuration.
    pub(crate) fn attach(guest: Guest, devfn: u32, transport: Arc<VirtioPci>) -> Self {
        let config = |register: u16| guest.config(devfn, register);
        assert_eq!(guest.read32(config(pci::VENDOR_ID)) & 0xffff, u32::from(spec::VENDOR));
        let bars = place_bars(&guest, devfn);

        let mut driver = Self {
            devfn,
            transport,
            common: 0,
            notify: 0,
            multiplier: 0,
            isr: 0,
            device: 0,
            features: 0,
            rings: Vec::new(),
            guest: guest.clone(),
        };
        for at in capabilities(&guest, devfn) {
            let [id, _, _, kind] = guest.read(config(at));
            let [bar] = guest.read::<1>(config(at + 4));
            let place = || bars[usize::from(bar)] + u64::from(guest.read32(config(at + 8)));
            match (id, kind) {
                (pci::CAP_VENDOR, spec::cap::COMMON) => driver.common = place(),
                (pci::CAP_VENDOR, spec::cap::ISR) => driver.isr = place(),
                (pci::CAP_VENDOR, spec::cap::DEVICE) => driver.device = place(),
                (pci::CAP_VENDOR, spec::cap::NOTIFY) => {
                    driver.notify = place();
                    driver.multiplier = guest.read32(config(at + 16));
                }
                (pci::CAP_MSIX, _) => enable_msix(&guest, devfn, at, &bars),
                _ => {}
            }
        }
        assert!([driver.common, driver.isr, driver.device, driver.notify].iter().all(|&at| at != 0));
        driver.rings.resize_with(usize::from(driver.read16(0x12)), || None);
        driver
    }

    /// The machine.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The device's transport, for the host's side of a test: pause and resume.
    #[must_use]
    pub fn transport(&self) -> &Arc<VirtioPci> {
        &self.transport
    }

    /// Device and function number.
    #[must_use]
    pub fn devfn(&self) -> u32 {
        self.devfn
    }

    /// The features that were negotiated.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.features
    }

    /// Reads 16 bits of the common configuration.
    #[must_use]
    pub fn read16(&self, offset: u64) -> u16 {
        u16::from_le_bytes(self.guest.read(self.common + offset))
    }

    /// Writes 16 bits of the common configuration.
    pub fn write16(&self, offset: u64, value: u16) {
        self.guest.bus().write(self.common + offset, &value.to_le_bytes());
    }

    /// The address of the common configuration.
    #[must_use]
    pub fn common(&self) -> u64 {
        self.common
    }

    /// The address of the device configuration.
    #[must_use]
    pub fn device_config(&self) -> u64 {
        self.device
    }

    /// Reads `N` bytes of the device configuration.
    #[must_use]
    pub fn read_config<const N: usize>(&self, offset: u64) -> [u8; N] {
        self.guest.read(self.device + offset)
    }

    /// Writes the device configuration.
    pub fn write_config(&self, offset: u64, data: &[u8]) {
        self.guest.bus().write(self.device + offset, data);
    }

    /// The device status.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.guest.read::<1>(self.common + 0x14)[0]
    }

    /// Writes the device status.
    pub fn set_status(&self, value: u8) {
        self.guest.bus().write(self.common + 0x14, &[value]);
    }

    /// Reads the ISR status, which clears it.
    #[must_use]
    pub fn isr(&self) -> u8 {
        self.guest.read::<1>(self.isr)[0]
    }

    /// The feature bits that the device offers.
    #[must_use]
    pub fn offered(&self) -> u64 {
        let word = |select: u32| {
            self.guest.write32(self.common, select);
            u64::from(self.guest.read32(self.common + 4))
        };
        word(1) << 32 | word(0)
    }

    /// Writes the feature bits that the driver accepts, whatever they are.
    pub fn accept(&self, features: u64) {
        for select in 0..2 {
            self.guest.write32(self.common + 8, select);
            self.guest.write32(self.common + 12, (features >> (32 * select)) as u32);
        }
    }

    /// Resets the device and negotiates exactly `features`.
    pub fn negotiate(&mut self, features: u64) -> Result<(), Refused> {
        self.reset();
        self.set_status(status::ACKNOWLEDGE);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER);
        self.accept(features);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK);
        if self.status() & status::FEATURES_OK == 0 {
            return Err(Refused);
        }
        self.features = features;
        Ok(())
    }

    /// Sets queue `index` up with `size` descriptors; 0 stands for the device's maximum.
    pub fn enable_queue(&mut self, index: u16, size: u16) {
        self.set_queue_up(index, size, |_| None);
    }

    /// Like [`enable_queue`](Self::enable_queue), with other addresses where `other` has one for the register (0x20
    /// descriptor table, 0x28 available ring, 0x30 used ring).
    pub fn enable_queue_with(&mut self, index: u16, other: impl Fn(u64) -> Option<u64>) {
        self.set_queue_up(index, 0, other);
    }

    fn set_queue_up(&mut self, index: u16, size: u16, other: impl Fn(u64) -> Option<u64>) {
        self.write16(0x16, index);
        let size = if size == 0 { self.read16(0x18) } else { size };
        self.write16(0x18, size);
        assert_eq!(self.read16(0x18), size, "queue size refused");
        self.write16(0x1a, index);
        assert_eq!(self.read16(0x1a), index, "vector refused");
        let mut ring = Ring::new(&self.guest, size);
        ring.indirect = self.features & feature::RING_INDIRECT_DESC != 0;
        ring.event_index = self.features & feature::RING_EVENT_IDX != 0;
        for (register, at) in [(0x20, ring.desc), (0x28, ring.avail), (0x30, ring.used)] {
            let at = other(register).unwrap_or(at);
            self.guest.write32(self.common + register, at as u32);
            self.guest.write32(self.common + register + 4, (at >> 32) as u32);
        }
        self.write16(0x1c, 1);
        assert_eq!(self.read16(0x1c), 1, "queue not enabled");
        self.rings[usize::from(index)] = Some(ring);
    }

    /// Tells the device that the driver is ready.
    pub fn start(&mut self) {
        self.write16(0x10, self.config_vector() as u16);
        self.set_status(self.status() | status::DRIVER_OK);
    }

    /// All at once: negotiates `VERSION_1` and `features`, sets up all queues in their maximum size, starts.
    ///
    /// # Panics
    ///
    /// When the device refuses.
    pub fn init(&mut self, features: u64) {
        self.init_sized(features, 0);
    }

    /// Like [`init`](Self::init), with queues of `size` descriptors.
    pub fn init_sized(&mut self, features: u64, size: u16) {
        self.negotiate(features | feature::VERSION_1).expect("features refused");
        for index in 0..self.rings.len() {
            self.enable_queue(index as u16, size);
        }
        self.start();
        assert_ne!(self.status() & status::DRIVER_OK, 0);
    }

    /// Resets the device and waits for it, as 2.4 wants it.
    pub fn reset(&mut self) {
        self.set_status(0);
        let end = std::time::Instant::now() + PATIENCE;
        while self.status() != 0 {
            assert!(std::time::Instant::now() < end, "the reset does not end");
            std::thread::yield_now();
        }
        self.rings.iter_mut().for_each(|ring| *ring = None);
    }

    /// The ring of queue `index`.
    ///
    /// # Panics
    ///
    /// When it was not set up.
    pub fn ring(&mut self, index: u16) -> &mut Ring {
        self.rings[usize::from(index)].as_mut().expect("the queue is not set up")
    }

    /// How many queues the device has.
    #[must_use]
    pub fn queues(&self) -> u16 {
        self.rings.len() as u16
    }

    /// Puts a request into queue `index`: `read` for the device to read, then room of `write` bytes each.
    ///
    /// # Panics
    ///
    /// When the ring is full.
    pub fn add(&mut self, index: u16, read: &[&[u8]], write: &[u32]) -> u16 {
        let read = read.iter().map(|data| Buffer::Read(data.to_vec()));
        let buffers: Vec<_> = read.chain(write.iter().map(|&len| Buffer::Write(len))).collect();
        self.ring(index).add(&buffers).expect("the ring is full")
    }

    /// Kicks queue `index`, without asking whether the device wants it.
    pub fn kick(&self, index: u16) {
        let at = self.notify + u64::from(self.multiplier) * u64::from(index);
        self.guest.bus().write(at, &index.to_le_bytes());
    }

    /// Waits for the next used request of queue `index`, by its interrupt.
    ///
    /// # Panics
    ///
    /// When it does not come in time, or comes without an interrupt.
    pub fn wait(&mut self, index: u16) -> Used {
        self.try_wait(index, PATIENCE)
            .unwrap_or_else(|| panic!("queue {index}: no request came back with an interrupt"))
    }

    /// Like [`wait`](Self::wait) with a time of one's own; `None` when nothing comes.
    pub fn try_wait(&mut self, index: u16, patience: Duration) -> Option<Used> {
        loop {
            let seen = self.interrupt_count(index.into());
            let ring = self.ring(index);
            if ring.event_index {
                ring.set_used_event(ring.taken());
            }
            if let Some(used) = ring.take() {
                return Some(used);
            }
            if !self.guest.interrupts().wait_past(self.devfn, index.into(), seen, patience) {
                return None;
            }
        }
    }

    /// Puts a request into queue `index`, kicks and waits for it.
    pub fn request(&mut self, index: u16, read: &[&[u8]], write: &[u32]) -> Used {
        let head = self.add(index, read, write);
        self.kick(index);
        let used = self.wait(index);
        assert_eq!(used.head, head, "another request came back");
        used
    }

    /// How many interrupts vector `vector` has raised.
    #[must_use]
    pub fn interrupt_count(&self, vector: u32) -> u64 {
        self.guest.interrupts().count(self.devfn, vector)
    }

    /// The vector of configuration changes.
    #[must_use]
    pub fn config_vector(&self) -> u32 {
        self.rings.len() as u32
    }

    /// Waits until more than `seen` configuration changes were announced.
    ///
    /// # Panics
    ///
    /// When there is none in time.
    pub fn wait_config(&self, seen: u64) {
        let came = self.guest.interrupts().wait_past(self.devfn, self.config_vector(), seen, PATIENCE);
        assert!(came, "no configuration interrupt");
    }

    /// Whether the device says within `patience` that it needs a reset.
    #[must_use]
    pub fn needs_reset(&self, patience: Duration) -> bool {
        let end = std::time::Instant::now() + patience;
        loop {
            if self.status() & status::DEVICE_NEEDS_RESET != 0 {
                return true;
            }
            if std::time::Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
