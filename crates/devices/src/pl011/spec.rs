//! Registers of the PrimeCell UART PL011, named after its Technical Reference Manual (DDI 0183G, chapter 3).

/// UARTDR, data (3.3.1).
pub(super) const DR: u64 = 0x000;
/// UARTDR.BE, the character is a break.
pub(super) const DR_BE: u16 = 1 << 10;
/// UARTRSR and UARTECR, receive status and error clear (3.3.2).
pub(super) const RSR: u64 = 0x004;
/// UARTFR, flags (3.3.3).
pub(super) const FR: u64 = 0x018;
/// UARTILPR, IrDA low-power counter (3.3.4).
pub(super) const ILPR: u64 = 0x020;
/// UARTIBRD, integer baud rate (3.3.5).
pub(super) const IBRD: u64 = 0x024;
/// UARTFBRD, fractional baud rate (3.3.6).
pub(super) const FBRD: u64 = 0x028;
/// UARTLCR_H, line control (3.3.7).
pub(super) const LCR_H: u64 = 0x02c;
/// UARTCR, control (3.3.8).
pub(super) const CR: u64 = 0x030;
/// UARTIFLS, FIFO levels (3.3.9).
pub(super) const IFLS: u64 = 0x034;
/// UARTIMSC, interrupt mask (3.3.10).
pub(super) const IMSC: u64 = 0x038;
/// UARTRIS, raw interrupt status (3.3.11).
pub(super) const RIS: u64 = 0x03c;
/// UARTMIS, masked interrupt status (3.3.12).
pub(super) const MIS: u64 = 0x040;
/// UARTICR, interrupt clear (3.3.13).
pub(super) const ICR: u64 = 0x044;
/// UARTDMACR, DMA control (3.3.14); there is no DMA.
pub(super) const DMACR: u64 = 0x048;

/// PeriphID3..0: part 0x011 by Arm, r1p5, whose FIFOs hold 32 characters (3.3.15).
pub(super) const PERIPHERAL: u32 = 0x0034_1011;
/// Depth of the FIFOs.
pub(super) const FIFO_DEPTH: usize = 32;

/// UARTRSR.OE, overrun.
pub(super) const RSR_OE: u32 = 1 << 3;
/// UARTFR: clear to send, data set ready and carrier detect, always there.
pub(super) const FR_MODEM: u32 = 0b111;
/// UARTFR.RXFE, nothing received.
pub(super) const FR_RXFE: u32 = 1 << 4;
/// UARTFR.RXFF, receive FIFO full.
pub(super) const FR_RXFF: u32 = 1 << 6;
/// UARTFR.TXFE, all sent.
pub(super) const FR_TXFE: u32 = 1 << 7;
/// UARTLCR_H.FEN, FIFOs enabled.
pub(super) const LCR_FEN: u32 = 1 << 4;
/// UARTCR.UARTEN.
pub(super) const CR_UARTEN: u32 = 1 << 0;
/// UARTCR.LBE, loop back.
pub(super) const CR_LBE: u32 = 1 << 7;
/// UARTCR.TXE.
pub(super) const CR_TXE: u32 = 1 << 8;
/// UARTCR.RXE.
pub(super) const CR_RXE: u32 = 1 << 9;
/// Receive interrupt, in UARTIMSC, UARTRIS, UARTMIS and UARTICR.
pub(super) const INT_RX: u32 = 1 << 4;
/// Transmit interrupt.
pub(super) const INT_TX: u32 = 1 << 5;
/// Receive timeout interrupt.
pub(super) const INT_RT: u32 = 1 << 6;
/// Overrun interrupt.
pub(super) const INT_OE: u32 = 1 << 10;
/// Break.
pub(super) const INT_BE: u32 = 1 << 9;
/// All interrupts.
pub(super) const INT_ALL: u32 = 0x7ff;
/// UARTIFLS after reset: both FIFOs at one half.
pub(super) const IFLS_RESET: u32 = 0x12;
