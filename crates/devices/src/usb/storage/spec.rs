//! Numbers of "Universal Serial Bus Mass Storage Class, Bulk-Only Transport", revision 1.0. No behaviour.

/// The endpoint from the device.
pub const BULK_IN: u8 = 0x81;
/// The endpoint to the device.
pub const BULK_OUT: u8 = 0x02;

/// Interface class: mass storage.
pub const CLASS: u8 = 0x08;
/// Interface subclass: SCSI transparent command set.
pub const SUBCLASS_SCSI: u8 = 0x06;
/// Interface protocol: bulk-only transport.
pub const PROTOCOL_BULK_ONLY: u8 = 0x50;

/// Class request: back to the beginning of a command (3.1).
pub const REQUEST_RESET: u8 = 0xff;
/// Class request: the highest logical unit (3.2).
pub const REQUEST_GET_MAX_LUN: u8 = 0xfe;

/// Bytes of a command block wrapper (5.1).
pub const CBW_SIZE: usize = 31;
/// What it begins with: `USBC`.
pub const CBW_SIGNATURE: u32 = 0x4342_5355;
/// `bmCBWFlags`: data comes from the device.
pub const CBW_IN: u8 = 0x80;

/// Bytes of a command status wrapper (5.2).
pub const CSW_SIZE: usize = 13;
/// What it begins with: `USBS`.
pub const CSW_SIGNATURE: u32 = 0x5342_5355;

/// How a command ended (5.2, table 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Passed = 0,
    /// Failed; the sense data says why.
    Failed = 1,
    /// Host and device disagree on the data; the host resets the device.
    PhaseError = 2,
}
