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
    /// The driver takes TCP over IPv4 that is yet to be cut.
    pub const GUEST_TSO4: u64 = 1 << 7;
    /// The driver takes TCP over IPv6 that is yet to be cut.
    pub const GUEST_TSO6: u64 = 1 << 8;
    /// The driver may send TCP over IPv4 that is yet to be cut.
    pub const HOST_TSO4: u64 = 1 << 11;
    /// The driver may send TCP over IPv6 that is yet to be cut.
    pub const HOST_TSO6: u64 = 1 << 12;
    /// A received packet may fill several buffers.
    pub const MRG_RXBUF: u64 = 1 << 15;
    /// `status` is there.
    pub const STATUS: u64 = 1 << 16;
    /// There is a control queue.
    pub const CTRL_VQ: u64 = 1 << 17;
    /// The control queue takes receive modes and address tables.
    pub const CTRL_RX: u64 = 1 << 18;
    /// The control queue takes the further receive modes.
    pub const CTRL_RX_EXTRA: u64 = 1 << 20;
    /// The driver announces itself when it is asked to.
    pub const GUEST_ANNOUNCE: u64 = 1 << 21;
    /// There may be several pairs of queues.
    pub const MQ: u64 = 1 << 22;
    /// The control queue takes a new address of the card.
    pub const CTRL_MAC_ADDR: u64 = 1 << 23;
    /// The driver takes UDP over IPv4 that is yet to be cut.
    pub const GUEST_USO4: u64 = 1 << 54;
    /// The driver takes UDP over IPv6 that is yet to be cut.
    pub const GUEST_USO6: u64 = 1 << 55;
    /// The driver may send UDP that is yet to be cut.
    pub const HOST_USO: u64 = 1 << 56;
}

/// Offsets in the configuration space (5.1.4).
pub mod config {
    /// The Ethernet address, 6 bytes.
    pub const MAC: usize = 0;
    /// Link status, 16 bits.
    pub const STATUS: usize = 6;
    /// How many pairs of queues there are, 16 bits.
    pub const MAX_PAIRS: usize = 8;
    /// The largest packet without the Ethernet header, 16 bits.
    pub const MTU: usize = 10;
    /// Bytes up to and with the fields of the features that we offer.
    pub const SIZE: usize = 12;
}

/// Queues (5.1.2). Those of further pairs follow.
pub mod queue {
    /// Packets to the driver.
    pub const RX: u16 = 0;
    /// Packets from the driver.
    pub const TX: u16 = 1;
    /// The control queue where several pairs were not negotiated. Otherwise it comes after all pairs that there are.
    pub const CONTROL: u16 = 2;
}

/// In `status`: the link is up.
pub const STATUS_LINK_UP: u16 = 1;
/// In `status`: the driver shall announce itself.
pub const STATUS_ANNOUNCE: u16 = 2;

/// The header before every packet, `struct virtio_net_hdr` (5.1.6).
pub mod header {
    /// Flags, 8 bits.
    pub const FLAGS: usize = 0;
    /// Segmentation, 8 bits.
    pub const GSO_TYPE: usize = 1;
    /// Bytes of the headers of a packet that is to be cut, 16 bits.
    pub const HDR_LEN: usize = 2;
    /// Payload in each segment, 16 bits.
    pub const GSO_SIZE: usize = 4;
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
    /// In the flags: the checksum was verified.
    pub const F_DATA_VALID: u8 = 2;
    /// In `gso_type`: an ordinary packet.
    pub const GSO_NONE: u8 = 0;
    /// In `gso_type`: TCP over IPv4.
    pub const GSO_TCPV4: u8 = 1;
    /// In `gso_type`: TCP over IPv6.
    pub const GSO_TCPV6: u8 = 4;
    /// In `gso_type`: UDP, cut into datagrams.
    pub const GSO_UDP_L4: u8 = 5;
}

/// Requests on the control queue (5.1.6.5): class, command, data, and an answer of one byte.
pub mod control {
    /// The answer: done.
    pub const OK: u8 = 0;
    /// The answer: not done.
    pub const ERR: u8 = 1;

    /// Receive modes (5.1.6.5.1), one byte each.
    pub const RX: u8 = 0;
    /// The commands of [`RX`]: promiscuous, all multicast, all unicast, no multicast, no unicast, no broadcast.
    pub const RX_COMMANDS: u8 = 6;

    /// Addresses (5.1.6.5.2).
    pub const MAC: u8 = 1;
    /// The tables of unicast and multicast addresses, each a count of 32 bits and so many addresses.
    pub const MAC_TABLE_SET: u8 = 0;
    /// The card's address.
    pub const MAC_ADDR_SET: u8 = 1;

    /// Announcing (5.1.6.5.4).
    pub const ANNOUNCE: u8 = 3;
    /// The driver has announced itself.
    pub const ANNOUNCE_ACK: u8 = 0;

    /// Pairs of queues (5.1.6.5.5).
    pub const MQ: u8 = 4;
    /// How many are used, 16 bits.
    pub const MQ_PAIRS_SET: u8 = 0;
}
