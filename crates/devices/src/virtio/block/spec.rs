//! The block device's numbers (virtio 1.3, 5.2). No behaviour.

/// Unit of all sector numbers and counts, whatever the block size is (5.2.4).
pub const SECTOR: u64 = 512;

/// Feature bits (5.2.3).
pub mod feature {
    /// `seg_max` is there.
    pub const SEG_MAX: u64 = 1 << 2;
    /// The disk is read-only.
    pub const RO: u64 = 1 << 5;
    /// `blk_size` is there.
    pub const BLK_SIZE: u64 = 1 << 6;
    /// The flush request is there, and so the cache is volatile.
    pub const FLUSH: u64 = 1 << 9;
    /// `topology` is there.
    pub const TOPOLOGY: u64 = 1 << 10;
    /// The driver may switch between write-back and write-through by `writeback`.
    pub const CONFIG_WCE: u64 = 1 << 11;
    /// Several queues.
    pub const MQ: u64 = 1 << 12;
    /// The discard request is there.
    pub const DISCARD: u64 = 1 << 13;
    /// The write-zeroes request is there.
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// Offsets in the configuration space (5.2.4).
pub mod config {
    /// Size in sectors, 64 bits.
    pub const CAPACITY: usize = 0;
    /// Most data buffers of a request, 32 bits.
    pub const SEG_MAX: usize = 12;
    /// Block size in bytes, 32 bits.
    pub const BLK_SIZE: usize = 20;
    /// Logarithm of logical blocks per physical block, 8 bits.
    pub const PHYSICAL_BLOCK_EXP: usize = 24;
    /// Smallest I/O that is no read-modify-write, in logical blocks, 16 bits.
    pub const MIN_IO_SIZE: usize = 26;
    /// 1: write-back, 0: write-through, 8 bits; the driver may write it.
    pub const WRITEBACK: usize = 32;
    /// Number of queues, 16 bits.
    pub const NUM_QUEUES: usize = 34;
    /// Most sectors of a discard segment, 32 bits.
    pub const MAX_DISCARD_SECTORS: usize = 36;
    /// Most segments of a discard request, 32 bits.
    pub const MAX_DISCARD_SEG: usize = 40;
    /// Alignment of discards in sectors, 32 bits.
    pub const DISCARD_SECTOR_ALIGNMENT: usize = 44;
    /// Most sectors of a write-zeroes segment, 32 bits.
    pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
    /// Most segments of a write-zeroes request, 32 bits.
    pub const MAX_WRITE_ZEROES_SEG: usize = 52;
    /// Whether write-zeroes may give space back, 8 bits.
    pub const WRITE_ZEROES_MAY_UNMAP: usize = 56;
    /// Bytes up to and with the fields of the features that we offer.
    pub const SIZE: usize = 60;
}

/// Request types (5.2.6).
pub mod request {
    /// Read.
    pub const IN: u32 = 0;
    /// Write.
    pub const OUT: u32 = 1;
    /// Make durable what was completed.
    pub const FLUSH: u32 = 4;
    /// Read the serial number.
    pub const GET_ID: u32 = 8;
    /// The contents of segments are not needed.
    pub const DISCARD: u32 = 11;
    /// Make segments read as zeroes.
    pub const WRITE_ZEROES: u32 = 13;
}

/// Bytes of a request's header: type, reserved (32 bits each), sector (64 bits).
pub const HEADER: usize = 16;

/// Bytes of a serial number.
pub const ID: usize = 20;

/// Bytes of a segment of a discard or write-zeroes request: sector (64 bits), count, flags (32 bits each).
pub const SEGMENT: usize = 16;

/// The flag in a write-zeroes segment that lets the device give the space back.
pub const SEGMENT_UNMAP: u32 = 1;

/// The status that ends a request (5.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Failed.
    IoErr = 1,
    /// The device has no such request.
    Unsupp = 2,
}
