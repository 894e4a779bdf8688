//! Virtio over PCI: the layout of section 4.1, and the places that our functions choose in it. No behaviour.

/// Vendor ID of virtio devices (4.1.2).
pub const VENDOR: u16 = 0x1af4;
/// A device's ID is this and its device type (4.1.2).
pub const DEVICE_BASE: u16 = 0x1040;
/// Revision of a device without the legacy interface is 1 or more (4.1.2.1).
pub const REVISION: u8 = 1;

/// `cfg_type` of a capability (4.1.4).
pub mod cap {
    /// Common configuration.
    pub const COMMON: u8 = 1;
    /// Notifications.
    pub const NOTIFY: u8 = 2;
    /// ISR status.
    pub const ISR: u8 = 3;
    /// Device configuration.
    pub const DEVICE: u8 = 4;
    /// Access to the others through configuration space.
    pub const PCI: u8 = 5;
}

/// The BAR of the registers.
pub const REGISTER_BAR: usize = 0;
/// The BAR of the MSI-X table.
pub const MSIX_BAR: usize = 2;

/// Each structure has a page of the register BAR.
pub const PAGE: u64 = 0x1000;
/// Common configuration.
pub const COMMON_AT: u64 = 0;
/// ISR status.
pub const ISR_AT: u64 = PAGE;
/// Device configuration.
pub const DEVICE_AT: u64 = 2 * PAGE;
/// Notifications: the queue's index times [`NOTIFY_MULTIPLIER`].
pub const NOTIFY_AT: u64 = 3 * PAGE;
/// Bytes between two queues' places for notifications: an address for each queue.
pub const NOTIFY_MULTIPLIER: u32 = 4;
/// Size of the register BAR.
pub const REGISTER_SIZE: u64 = 4 * PAGE;
/// Bytes of the common configuration structure.
pub const COMMON_SIZE: u64 = 0x40;
/// The most queues which a device can have in this layout.
pub const MAX_QUEUES: usize = (PAGE / NOTIFY_MULTIPLIER as u64) as usize;

/// ISR: used buffers (4.1.4.5).
pub const ISR_QUEUE: u8 = 1;
/// ISR: the configuration space has changed.
pub const ISR_CONFIG: u8 = 2;

/// The fields of the common configuration structure (4.1.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Which 32 feature bits `DeviceFeature` shows.
    DeviceFeatureSelect,
    /// Offered feature bits.
    DeviceFeature,
    /// Which 32 feature bits `DriverFeature` shows.
    DriverFeatureSelect,
    /// Accepted feature bits.
    DriverFeature,
    /// Vector of configuration changes.
    ConfigVector,
    /// Number of queues.
    NumQueues,
    /// Device status.
    Status,
    /// Configuration generation.
    ConfigGeneration,
    /// Which queue the fields below are of.
    QueueSelect,
    /// Queue size.
    QueueSize,
    /// Vector of the queue.
    QueueVector,
    /// Whether the queue is enabled.
    QueueEnable,
    /// Place of the queue's notifications.
    QueueNotifyOff,
    /// Descriptor table.
    QueueDesc,
    /// Available ring.
    QueueDriver,
    /// Used ring.
    QueueDevice,
}

/// Offset and width in bytes of each field, in order. What is not here reads as zero.
pub const FIELDS: [(u64, u64, Field); 16] = [
    (0x00, 4, Field::DeviceFeatureSelect),
    (0x04, 4, Field::DeviceFeature),
    (0x08, 4, Field::DriverFeatureSelect),
    (0x0c, 4, Field::DriverFeature),
    (0x10, 2, Field::ConfigVector),
    (0x12, 2, Field::NumQueues),
    (0x14, 1, Field::Status),
    (0x15, 1, Field::ConfigGeneration),
    (0x16, 2, Field::QueueSelect),
    (0x18, 2, Field::QueueSize),
    (0x1a, 2, Field::QueueVector),
    (0x1c, 2, Field::QueueEnable),
    (0x1e, 2, Field::QueueNotifyOff),
    (0x20, 8, Field::QueueDesc),
    (0x28, 8, Field::QueueDriver),
    (0x30, 8, Field::QueueDevice),
];
