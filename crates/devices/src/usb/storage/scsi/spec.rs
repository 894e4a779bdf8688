//! Numbers of SCSI: "SCSI Primary Commands - 4" (SPC-4) and "SCSI Block Commands - 3" (SBC-3). No behaviour.

/// Operation codes.
pub mod opcode {
    /// TEST UNIT READY (SPC-4, 6.47).
    pub const TEST_UNIT_READY: u8 = 0x00;
    /// REQUEST SENSE (SPC-4, 6.39).
    pub const REQUEST_SENSE: u8 = 0x03;
    /// INQUIRY (SPC-4, 6.6).
    pub const INQUIRY: u8 = 0x12;
    /// MODE SENSE(6) (SPC-4, 6.13).
    pub const MODE_SENSE_6: u8 = 0x1a;
    /// START STOP UNIT (SBC-3, 5.20).
    pub const START_STOP_UNIT: u8 = 0x1b;
    /// PREVENT ALLOW MEDIUM REMOVAL (SBC-3, 5.11).
    pub const PREVENT_ALLOW: u8 = 0x1e;
    /// READ CAPACITY(10) (SBC-3, 5.15).
    pub const READ_CAPACITY_10: u8 = 0x25;
    /// READ(10) (SBC-3, 5.12).
    pub const READ_10: u8 = 0x28;
    /// WRITE(10) (SBC-3, 5.37).
    pub const WRITE_10: u8 = 0x2a;
    /// VERIFY(10) (SBC-3, 5.30).
    pub const VERIFY_10: u8 = 0x2f;
    /// SYNCHRONIZE CACHE(10) (SBC-3, 5.26).
    pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    /// WRITE SAME(10) (SBC-3, 5.46).
    pub const WRITE_SAME_10: u8 = 0x41;
    /// UNMAP (SBC-3, 5.28).
    pub const UNMAP: u8 = 0x42;
    /// MODE SENSE(10) (SPC-4, 6.14).
    pub const MODE_SENSE_10: u8 = 0x5a;
    /// READ(16) (SBC-3, 5.14).
    pub const READ_16: u8 = 0x88;
    /// WRITE(16) (SBC-3, 5.39).
    pub const WRITE_16: u8 = 0x8a;
    /// VERIFY(16) (SBC-3, 5.32).
    pub const VERIFY_16: u8 = 0x8f;
    /// SYNCHRONIZE CACHE(16) (SBC-3, 5.27).
    pub const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    /// WRITE SAME(16) (SBC-3, 5.47).
    pub const WRITE_SAME_16: u8 = 0x93;
    /// SERVICE ACTION IN(16), of which READ CAPACITY(16) is one (SBC-3, 5.16).
    pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
    /// REPORT LUNS (SPC-4, 6.33).
    pub const REPORT_LUNS: u8 = 0xa0;
    /// READ(12) (SBC-3, 5.13).
    pub const READ_12: u8 = 0xa8;
    /// WRITE(12) (SBC-3, 5.38).
    pub const WRITE_12: u8 = 0xaa;
}

/// Service action of READ CAPACITY(16).
pub const READ_CAPACITY_16: u8 = 0x10;

/// Vital product data pages (SPC-4, 7.8; SBC-3, 6.5).
pub mod vpd {
    /// Which pages there are.
    pub const SUPPORTED: u8 = 0x00;
    /// Serial number.
    pub const SERIAL: u8 = 0x80;
    /// Designators.
    pub const IDENTIFICATION: u8 = 0x83;
    /// Block limits.
    pub const BLOCK_LIMITS: u8 = 0xb0;
    /// Block device characteristics.
    pub const CHARACTERISTICS: u8 = 0xb1;
    /// Logical block provisioning.
    pub const PROVISIONING: u8 = 0xb2;
}

/// Mode page: caching (SBC-3, 6.4.5).
pub const MODE_CACHING: u8 = 0x08;
/// All mode pages.
pub const MODE_ALL: u8 = 0x3f;
/// Device-specific parameter in the header of mode pages: write-protected (SBC-3, 6.4.1).
pub const MODE_WRITE_PROTECT: u8 = 0x80;
/// The same: force unit access is known.
pub const MODE_DPOFUA: u8 = 0x10;

/// Why a command failed: sense key, additional sense code and its qualifier (SPC-4, 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense(pub u8, pub u8, pub u8);

impl Sense {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0, 0, 0);
    /// There is no medium in the drive.
    pub const NO_MEDIUM: Self = Self(2, 0x3a, 0);
    /// The medium cannot be read.
    pub const READ_ERROR: Self = Self(3, 0x11, 0);
    /// It cannot be written.
    pub const WRITE_ERROR: Self = Self(3, 0x0c, 0);
    /// There is no such command.
    pub const INVALID_COMMAND: Self = Self(5, 0x20, 0);
    /// Blocks beyond the end.
    pub const OUT_OF_RANGE: Self = Self(5, 0x21, 0);
    /// A field in the command has a value that it cannot have.
    pub const INVALID_FIELD: Self = Self(5, 0x24, 0);
    /// The same in a parameter list.
    pub const INVALID_PARAMETER: Self = Self(5, 0x26, 0);
    /// A parameter list has the wrong length.
    pub const PARAMETER_LENGTH: Self = Self(5, 0x1a, 0);
    /// The host has forbidden to take the medium out.
    pub const REMOVAL_PREVENTED: Self = Self(5, 0x53, 2);
    /// Another medium may be in the drive.
    pub const MEDIUM_CHANGED: Self = Self(6, 0x28, 0);
    /// The medium has another size.
    pub const CAPACITY_CHANGED: Self = Self(6, 0x2a, 9);
    /// The medium is write-protected.
    pub const WRITE_PROTECTED: Self = Self(7, 0x27, 0);
    /// It has no space left for blocks that have none yet (SBC-3, 4.7.3.6).
    pub const NO_SPACE: Self = Self(7, 0x27, 7);
}
