//! The configuration headers (PCI 3.0, 6.1 and 6.2; type 1: PCI-to-PCI Bridge 1.2, 3.2) and the MSI-X capability
//! (PCI 3.0, 6.8.2). No behaviour.

pub mod express;

/// Vendor ID, 16 bits.
pub const VENDOR_ID: u16 = 0x00;
/// Device ID, 16 bits.
pub const DEVICE_ID: u16 = 0x02;
/// Command register, 16 bits.
pub const COMMAND: u16 = 0x04;
/// Status register, 16 bits.
pub const STATUS: u16 = 0x06;
/// Revision ID, 8 bits; the class code's three bytes follow.
pub const REVISION: u16 = 0x08;
/// Header type, 8 bits.
pub const HEADER_TYPE: u16 = 0x0e;
/// The first of six 32-bit base address registers.
pub const BAR0: u16 = 0x10;
/// How many base address registers there are.
pub const BARS: usize = 6;
/// Subsystem vendor ID, 16 bits.
pub const SUBSYSTEM_VENDOR_ID: u16 = 0x2c;
/// Subsystem ID, 16 bits.
pub const SUBSYSTEM_ID: u16 = 0x2e;
/// Offset of the first capability, 8 bits.
pub const CAPABILITIES: u16 = 0x34;
/// Interrupt line, 8 bits, a note of the firmware to the system.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Bridge: primary, secondary and subordinate bus number, 8 bits each.
pub const PRIMARY_BUS: u16 = 0x18;
/// Bridge: base and limit of the memory window, 16 bits each.
pub const MEMORY_BASE: u16 = 0x20;
/// Bridge: base and limit of the window of prefetchable memory, 16 bits each.
pub const PREFETCHABLE_BASE: u16 = 0x24;
/// Bridge: upper halves of both, 32 bits each.
pub const PREFETCHABLE_UPPER: u16 = 0x28;
/// Bridge: control, 16 bits.
pub const BRIDGE_CONTROL: u16 = 0x3e;
/// Where capabilities may begin.
pub const HEADER_END: u16 = 0x40;

/// Command: the function answers in its memory BARs.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: the function may write memory, which includes messages.
pub const COMMAND_MASTER: u16 = 1 << 2;
/// Command: no legacy interrupt.
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Status: there is a list of capabilities.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Header type: the device has more than one function.
pub const HEADER_MULTIFUNCTION: u8 = 0x80;

/// Header type: a bridge, type 1.
pub const HEADER_BRIDGE: u8 = 1;
/// In the prefetchable base and limit: there are upper halves.
pub const PREFETCHABLE_64: u8 = 1;
/// Bridge control: what is behind the bridge is in reset.
pub const SECONDARY_BUS_RESET: u16 = 1 << 6;

/// BAR: 64 bits wide, with the next BAR as its upper half.
pub const BAR_64: u32 = 0b100;

/// Capability of a vendor.
pub const CAP_VENDOR: u8 = 0x09;
/// PCI Express capability.
pub const CAP_EXPRESS: u8 = 0x10;
/// MSI-X capability.
pub const CAP_MSIX: u8 = 0x11;

/// Message control of MSI-X: enabled.
pub const MSIX_ENABLE: u16 = 1 << 15;
/// Message control of MSI-X: all vectors masked.
pub const MSIX_MASK_ALL: u16 = 1 << 14;
/// Bytes of an entry of the MSI-X table.
pub const MSIX_ENTRY: u64 = 16;
/// Vector control of an entry: masked.
pub const MSIX_ENTRY_MASKED: u32 = 1;

/// Class code of a host bridge.
pub const CLASS_HOST_BRIDGE: u32 = 0x06_00_00;
/// Class code of a bridge between PCI buses.
pub const CLASS_PCI_BRIDGE: u32 = 0x06_04_00;
/// Bytes of configuration space of a function under ECAM.
pub const ECAM_FUNCTION: u64 = 4096;
/// Bytes of ECAM of a bus: 32 devices of 8 functions.
pub const ECAM_BUS: u64 = ECAM_FUNCTION * 256;
