//! Registers of the PrimeCell Real Time Clock PL031, named after its Technical Reference Manual (DDI 0224C, chapter 3).

/// RTCDR, data: seconds, read-only (3.3.1).
pub(super) const DR: u64 = 0x000;
/// RTCMR, match (3.3.2).
pub(super) const MR: u64 = 0x004;
/// RTCLR, load (3.3.3).
pub(super) const LR: u64 = 0x008;
/// RTCCR, control: bit 0 reads as one once started (3.3.4).
pub(super) const CR: u64 = 0x00c;
/// RTCIMSC, interrupt mask (3.3.5).
pub(super) const IMSC: u64 = 0x010;
/// RTCRIS, raw interrupt status (3.3.6).
pub(super) const RIS: u64 = 0x014;
/// RTCMIS, masked interrupt status (3.3.7).
pub(super) const MIS: u64 = 0x018;
/// RTCICR, interrupt clear (3.3.8).
pub(super) const ICR: u64 = 0x01c;

/// PeriphID3..0: part 0x031 by Arm (3.3.9).
pub(super) const PERIPHERAL: u32 = 0x0004_1031;
