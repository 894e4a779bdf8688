//! Numbers of Intel's command set for flash (Intel StrataFlash P30 datasheet, order number 306666, chapters 9 to 12).
//! No behaviour.

/// Bytes of a block of the two parts together.
pub const BLOCK: u64 = 256 << 10;
/// Words of 32 bits that both parts' write buffers hold.
pub const BUFFER: u32 = 512;

/// Commands, as both parts get them in a word's halves.
pub mod command {
    /// Program a word; the other form is 0x10.
    pub const PROGRAM: u32 = 0x40;
    /// The same.
    pub const PROGRAM_ALTERNATE: u32 = 0x10;
    /// Erase a block, with [`CONFIRM`].
    pub const ERASE: u32 = 0x20;
    /// Clear the status register's errors.
    pub const CLEAR_STATUS: u32 = 0x50;
    /// Lock or unlock a block; nothing is ever locked here.
    pub const LOCK: u32 = 0x60;
    /// Read the status register.
    pub const READ_STATUS: u32 = 0x70;
    /// Read who the parts are, and which blocks are locked.
    pub const READ_IDENTITY: u32 = 0x90;
    /// Confirms.
    pub const CONFIRM: u32 = 0xd0;
    /// Program by the write buffer.
    pub const BUFFERED_PROGRAM: u32 = 0xe8;
    /// Read the array.
    pub const READ_ARRAY: u32 = 0xff;
}

/// Status register, of both parts: ready.
pub const READY: u32 = 0x80 | 0x80 << 16;
/// Both parts: commands came in a wrong order.
pub const SEQUENCE_ERROR: u32 = 0x30 | 0x30 << 16;
/// Both parts: programming failed.
pub const PROGRAM_ERROR: u32 = 0x10 | 0x10 << 16;
/// Manufacturer and device of both parts.
pub const IDENTITY: [u32; 2] = [0x89 | 0x89 << 16, 0x18 | 0x18 << 16];
