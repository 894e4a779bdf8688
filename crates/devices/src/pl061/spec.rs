//! Registers of the PL061 (Arm DDI 0190B, "PrimeCell General Purpose Input/Output", chapter 3).

/// `GPIODATA`: 256 words; bits 9:2 of the address say which pins an access is about (3.3.1).
pub(super) const DATA: u64 = 0x000;
/// Behind the last word of `GPIODATA`.
pub(super) const DATA_END: u64 = 0x400;
/// `GPIODIR`: set for outputs.
pub(super) const DIR: u64 = 0x400;
/// `GPIOIS`: set for pins whose level interrupts, clear for edges.
pub(super) const IS: u64 = 0x404;
/// `GPIOIBE`: both edges.
pub(super) const IBE: u64 = 0x408;
/// `GPIOIEV`: rising edge or high level.
pub(super) const IEV: u64 = 0x40c;
/// `GPIOIE`: interrupt enable.
pub(super) const IE: u64 = 0x410;
/// `GPIORIS`: raw interrupt status.
pub(super) const RIS: u64 = 0x414;
/// `GPIOMIS`: masked interrupt status.
pub(super) const MIS: u64 = 0x418;
/// `GPIOIC`: interrupt clear.
pub(super) const IC: u64 = 0x41c;
/// `GPIOAFSEL`: hardware control.
pub(super) const AFSEL: u64 = 0x420;
/// `GPIOPeriphID0-3` and `GPIOPCellID0-3` (3.3.11 and 3.3.12).
pub(super) const ID: u64 = 0xfe0;
/// Their values, one word each.
pub(super) const ID_VALUES: [u8; 8] = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
