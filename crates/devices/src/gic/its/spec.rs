//! Registers and commands of the ITS (IHI 0069, 5.3 and 12.18). Offsets are from the start of its two frames.

/// GITS_CTLR; GITS_IIDR is the word after it.
pub(in crate::gic) const GITS_CTLR: u64 = 0x0000;
/// GITS_TYPER.
pub(in crate::gic) const GITS_TYPER: u64 = 0x0008;
/// GITS_CBASER: the command queue.
pub(in crate::gic) const GITS_CBASER: u64 = 0x0080;
/// GITS_CWRITER.
pub(in crate::gic) const GITS_CWRITER: u64 = 0x0088;
/// GITS_CREADR.
pub(in crate::gic) const GITS_CREADR: u64 = 0x0090;
/// GITS_BASER0 and 1: the device table and the collection table.
pub(in crate::gic) const GITS_BASER: u64 = 0x0100;
/// End of the GITS_BASERn that are implemented.
pub(in crate::gic) const GITS_BASER_END: u64 = 0x0110;
/// GITS_TRANSLATER, in the second frame: where devices write their EventID.
pub(in crate::gic) const GITS_TRANSLATER: u64 = 0x1_0040;

/// GITS_CTLR.Enabled.
pub(super) const CTLR_ENABLED: u32 = 1 << 0;
/// GITS_CTLR.Quiescent.
pub(super) const CTLR_QUIESCENT: u32 = 1 << 31;
/// GITS_TYPER: physical LPIs, 8-byte ITT entries, 16-bit EventIDs and DeviceIDs, targets by processor number,
/// collections in memory with 16-bit IDs.
pub(super) const TYPER_VALUE: u64 = 1 | 7 << 4 | 15 << 8 | 15 << 13;
/// EventID and DeviceID bits, as in `GITS_TYPER`.
pub(super) const ID_BITS: u32 = 16;

/// Valid, in GITS_CBASER, GITS_BASERn and in commands.
pub(super) const VALID: u64 = 1 << 63;
/// Writable bits of GITS_CBASER.
pub(super) const CBASER_MASK: u64 = 0xb8ef_ffff_ffff_fcff;
/// GITS_CBASER.Physical_Address.
pub(super) const CBASER_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// GITS_CWRITER.Offset and GITS_CREADR.Offset.
pub(super) const QUEUE_OFFSET: u64 = 0xf_ffe0;
/// Writable bits of GITS_BASERn.
pub(super) const BASER_MASK: u64 = 0xf8e0_ffff_ffff_ffff;
/// The fixed bits of GITS_BASER0 and 1: Type 1 (devices) or 4 (collections), 8-byte entries.
pub(super) const BASER_FIXED: [u64; 2] = [1 << 56 | 7 << 48, 4 << 56 | 7 << 48];

/// Size of a command.
pub(super) const COMMAND_SIZE: u64 = 32;
/// The commands, by their first byte (5.3).
pub(in crate::gic) const MOVI: u8 = 0x01;
/// Make an interrupt pending.
pub(in crate::gic) const INT: u8 = 0x03;
/// Make an interrupt not pending.
pub(in crate::gic) const CLEAR: u8 = 0x04;
/// Wait for what went before; nothing is left to wait for here.
pub(in crate::gic) const SYNC: u8 = 0x05;
/// Map a device to its table of events.
pub(in crate::gic) const MAPD: u8 = 0x08;
/// Map a collection to a CPU.
pub(in crate::gic) const MAPC: u8 = 0x09;
/// Map an event to an LPI.
pub(in crate::gic) const MAPTI: u8 = 0x0a;
/// Map an event to the LPI of the same number.
pub(in crate::gic) const MAPI: u8 = 0x0b;
/// Read an LPI's configuration again.
pub(in crate::gic) const INV: u8 = 0x0c;
/// Read the configuration of a collection's LPIs again.
pub(in crate::gic) const INVALL: u8 = 0x0d;
/// Move what is pending from one CPU to another.
pub(in crate::gic) const MOVALL: u8 = 0x0e;
/// Undo MAPTI.
pub(in crate::gic) const DISCARD: u8 = 0x0f;
