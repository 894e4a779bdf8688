//! Numbers of the virtio standard which every device class shares. No behaviour.

/// Device types (virtio 1.3, section 5).
pub mod device_type {
    /// Network card (5.1).
    pub const NET: u16 = 1;
    /// Block device (5.2).
    pub const BLOCK: u16 = 2;
    /// Console (5.3).
    pub const CONSOLE: u16 = 3;
    /// Entropy source (5.4).
    pub const ENTROPY: u16 = 4;
    /// Traditional memory balloon (5.5).
    pub const BALLOON: u16 = 5;
}

/// Device status bits (2.1).
pub mod status {
    /// The driver has seen the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The driver knows how to drive it.
    pub const DRIVER: u8 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u8 = 4;
    /// Feature negotiation is over.
    pub const FEATURES_OK: u8 = 8;
    /// The device cannot go on without a reset.
    pub const DEVICE_NEEDS_RESET: u8 = 64;
    /// The driver has given up.
    pub const FAILED: u8 = 128;
}

/// Feature bits that belong to no device class (6).
pub mod feature {
    /// Indirect descriptor tables (2.7.5.3).
    pub const RING_INDIRECT_DESC: u64 = 1 << 28;
    /// `used_event` and `avail_event` (2.7.7, 2.7.10).
    pub const RING_EVENT_IDX: u64 = 1 << 29;
    /// The standard since version 1.
    pub const VERSION_1: u64 = 1 << 32;
    /// What every device of ours offers beside the bits of its class.
    pub const COMMON: u64 = RING_INDIRECT_DESC | RING_EVENT_IDX | VERSION_1;
    /// The bits that are a device class's own to use: 0 to 23 and 50 to 127 (6), of which we need the first 64.
    pub const DEVICE_CLASS: u64 = 0xff_ffff | !((1 << 50) - 1);
}

/// Descriptor flags (2.7.5).
pub mod descriptor {
    /// The chain goes on at `next`.
    pub const NEXT: u16 = 1;
    /// The device writes the buffer; without it the device reads it.
    pub const WRITE: u16 = 2;
    /// The buffer is a table of descriptors.
    pub const INDIRECT: u16 = 4;
    /// Bytes of a descriptor.
    pub const SIZE: u32 = 16;
}

/// `flags` of the available ring: the driver wants no interrupt (2.7.6).
pub const AVAIL_F_NO_INTERRUPT: u16 = 1;

/// The vector number that stands for "no vector" (4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;
