//! The common configuration structure (virtio 1.3, 4.1.4.3): what the driver reads and sets before `DRIVER_OK`.

use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use super::spec::{FIELDS, Field};
use crate::virtio::spec::{NO_VECTOR, feature, status};

/// What the driver has set.
pub(super) struct Common {
    /// Offered feature bits.
    pub(super) offered: u64,
    /// Accepted feature bits.
    pub(super) accepted: u64,
    /// The last value written to feature words that do not exist: must be zero.
    pub(super) accepted_beyond: u32,
    pub(super) status: u8,
    device_feature_select: u32,
    driver_feature_select: u32,
    pub(super) config_vector: u16,
    queue_select: u16,
    pub(super) queues: Vec<QueueSetup>,
    vectors: u16,
}

/// What the driver has set of a queue.
#[derive(Clone)]
pub(super) struct QueueSetup {
    max_size: u16,
    size: u16,
    pub(super) vector: u16,
    pub(super) enabled: bool,
    desc: u64,
    driver: u64,
    device: u64,
}

impl QueueSetup {
    fn new(max_size: u16) -> Self {
        Self { max_size, size: max_size, vector: NO_VECTOR, enabled: false, desc: 0, driver: 0, device: 0 }
    }

    /// The queue for the device; `None` when an address is not aligned (2.7).
    pub(super) fn build(&self, event_index: bool) -> Option<Queue> {
        let mut queue = Queue::new(self.max_size).ok()?;
        queue.try_set_size(self.size).ok()?;
        queue.try_set_desc_table_address(GuestAddress(self.desc)).ok()?;
        queue.try_set_avail_ring_address(GuestAddress(self.driver)).ok()?;
        queue.try_set_used_ring_address(GuestAddress(self.device)).ok()?;
        queue.set_event_idx(event_index);
        queue.set_ready(true);
        Some(queue)
    }
}

/// What a write asks of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The device status was written.
    Status(u8),
    /// A vector was chosen.
    Vectors,
}

impl Common {
    /// As it is after a reset. `vectors`: number of MSI-X vectors.
    pub(super) fn new(offered: u64, queue_sizes: &[u16], vectors: u16) -> Self {
        Self {
            offered,
            accepted: 0,
            accepted_beyond: 0,
            status: 0,
            device_feature_select: 0,
            driver_feature_select: 0,
            config_vector: NO_VECTOR,
            queue_select: 0,
            queues: queue_sizes.iter().map(|&size| QueueSetup::new(size)).collect(),
            vectors,
        }
    }

    pub(super) fn reset(&mut self) {
        let sizes: Vec<_> = self.queues.iter().map(|q| q.max_size).collect();
        *self = Self::new(self.offered, &sizes, self.vectors);
    }

    /// Whether the accepted features are a subset of the offered ones and enough (2.2, 6.1).
    pub(super) fn features_are_right(&self) -> bool {
        self.accepted & !self.offered == 0 && self.accepted_beyond == 0 && self.accepted & feature::VERSION_1 != 0
    }

    /// Reads any bytes of the structure. `status` and `generation` are known to the transport only.
    pub(super) fn read(&self, offset: u64, data: &mut [u8], status: u8, generation: u8) {
        data.fill(0);
        for (at, width, field) in FIELDS {
            let value = match field {
                Field::Status => u64::from(status),
                Field::ConfigGeneration => u64::from(generation),
                _ => self.get(field),
            };
            for i in 0..width {
                let place = (at + i).checked_sub(offset).and_then(|p| data.get_mut(p as usize));
                if let Some(byte) = place {
                    *byte = (value >> (8 * i)) as u8;
                }
            }
        }
    }

    /// Writes any bytes of the structure; a partial write of a field keeps its other bytes. Each field that is
    /// touched is set once, in the order of the structure.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Option<Effect> {
        let mut effect = None;
        for (at, width, field) in FIELDS {
            let mut value = self.get(field);
            let mut touched = false;
            for i in 0..width {
                let byte = (at + i).checked_sub(offset).and_then(|p| data.get(p as usize));
                if let Some(&byte) = byte {
                    value = value & !(0xff << (8 * i)) | u64::from(byte) << (8 * i);
                    touched = true;
                }
            }
            if touched {
                effect = self.set(field, value).or(effect);
            }
        }
        effect
    }

    fn queue(&self) -> Option<&QueueSetup> {
        self.queues.get(usize::from(self.queue_select))
    }

    fn get(&self, field: Field) -> u64 {
        let queue = self.queue();
        match field {
            Field::DeviceFeatureSelect => self.device_feature_select.into(),
            Field::DeviceFeature => word(self.offered, self.device_feature_select),
            Field::DriverFeatureSelect => self.driver_feature_select.into(),
            Field::DriverFeature => word(self.accepted, self.driver_feature_select),
            Field::ConfigVector => self.config_vector.into(),
            Field::NumQueues => self.queues.len() as u64,
            Field::Status => self.status.into(),
            Field::ConfigGeneration => 0,
            Field::QueueSelect => self.queue_select.into(),
            Field::QueueSize => queue.map_or(0, |q| q.size.into()),
            Field::QueueVector => queue.map_or(NO_VECTOR, |q| q.vector).into(),
            Field::QueueEnable => queue.is_some_and(|q| q.enabled).into(),
            Field::QueueNotifyOff => queue.map_or(0, |_| self.queue_select).into(),
            Field::QueueDesc => queue.map_or(0, |q| q.desc),
            Field::QueueDriver => queue.map_or(0, |q| q.driver),
            Field::QueueDevice => queue.map_or(0, |q| q.device),
        }
    }

    fn set(&mut self, field: Field, value: u64) -> Option<Effect> {
        let vector = |v: u64| if v < u64::from(self.vectors) { v as u16 } else { NO_VECTOR };
        // Features are settled at FEATURES_OK, queues at DRIVER_OK (3.1.1) or, one by one, when they are enabled.
        let negotiating = self.status & status::FEATURES_OK == 0;
        let configuring = self.status & status::DRIVER_OK == 0;
        let queue = self.queues.get_mut(usize::from(self.queue_select));
        match (field, queue) {
            (Field::DeviceFeatureSelect, _) => self.device_feature_select = value as u32,
            (Field::DriverFeatureSelect, _) => self.driver_feature_select = value as u32,
            (Field::DriverFeature, _) if negotiating => match self.driver_feature_select {
                0 => self.accepted = self.accepted & !0xffff_ffff | value,
                1 => self.accepted = self.accepted & 0xffff_ffff | value << 32,
                _ => self.accepted_beyond = value as u32,
            },
            (Field::ConfigVector, _) => {
                self.config_vector = vector(value);
                return Some(Effect::Vectors);
            }
            (Field::Status, _) => return Some(Effect::Status(value as u8)),
            (Field::QueueSelect, _) => self.queue_select = value as u16,
            (Field::QueueVector, Some(queue)) => {
                queue.vector = vector(value);
                return Some(Effect::Vectors);
            }
            (field, Some(queue)) if configuring && !queue.enabled => match field {
                Field::QueueSize => {
                    let size = value as u16;
                    // Another value is the driver's fault (4.1.4.3.2): it finds the old one when it reads it back.
                    if size.is_power_of_two() && size <= queue.max_size {
                        queue.size = size;
                    }
                }
                Field::QueueEnable => queue.enabled = value == 1,
                Field::QueueDesc => queue.desc = value,
                Field::QueueDriver => queue.driver = value,
                Field::QueueDevice => queue.device = value,
                _ => {}
            },
            _ => {}
        }
        None
    }
}

/// One of the 32-bit words of feature bits.
fn word(features: u64, select: u32) -> u64 {
    match select {
        0 => features & 0xffff_ffff,
        1 => features >> 32,
        _ => 0,
    }
}
