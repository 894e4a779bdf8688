//! The network device's numbers (virtio 1.3, 5.1). No behaviour.

/// Feature bits (5.1.3).
pub mod feature {
    /// The driver may send packets with a partial checksum.
    pub const CSUM: u64 = 1 << 0;
    /// The driver takes packets with a partial checksum.
    pub const GUEST_CSUM: u64 = 1 << 1;
    /// `mtu` is there.
    pub const MTU: u64 = 1 << 3;
    /// `mac` is there.
    pub const MAC: u64 = 1 << 5;
    /// A received packet may fill several buffers.
    pub const MRG_RXBUF: u64 = 1 << 15;
    /// `status` is there.
    pub const STATUS: u64 = 1 << 16;
}

/// Offsets in the configuration space (5.1.4).
pub mod config {
    /// The Ethernet address, 6 bytes.
    pub const MAC: usize = 0;
    /// Link status, 16 bits.
    pub const STATUS: usize = 6;
    /// The largest packet without the Ethernet header, 16 bits.
    pub const MTU: usize = 10;
    /// Bytes up to and with the fields of the features that we offer.
    pub const SIZE: usize = 12;
}

/// Queues (5.1.2).
pub mod queue {
    /// Packets to the driver.
    pub const RX: u16 = 0;
    /// Packets from the driver.
    pub const TX: u16 = 1;
}

/// In `status`: the link is up.
pub const STATUS_LINK_UP: u16 = 1;

/// The header before every packet, `struct virtio_net_hdr` (5.1.6).
pub mod header {
    /// Flags, 8 bits.
    pub const FLAGS: usize = 0;
    /// Segmentation, 8 bits.
    pub const GSO_TYPE: usize = 1;
    /// Where summing begins, 16 bits.
    pub const CSUM_START: usize = 6;
    /// Where the checksum is, from `csum_start`, 16 bits.
    pub const CSUM_OFFSET: usize = 8;
    /// How many buffers the packet fills, 16 bits.
    pub const NUM_BUFFERS: usize = 10;
    /// Its bytes; `num_buffers` is always there since version 1 of the standard.
    pub const SIZE: usize = 12;

    /// In the flags: the checksum is partial.
    pub const F_NEEDS_CSUM: u8 = 1;
    /// In `gso_type`: an ordinary packet.
    pub const GSO_NONE: u8 = 0;
}
