//! A serial port: the PrimeCell UART PL011 (Arm DDI 0183G).
//!
//! Fixed: nothing. Characters take no time, so the transmit FIFO is always empty and the receive timeout is due at
//! once.
//!
//! Glue: [`SerialOutput`] takes what the guest sends, [`Pl011::push`] gives it something to receive; one interrupt line.
//!
//! State: the registers and the receive FIFO.

mod fdt;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use parking_lot::Mutex;

use self::spec::*;
use crate::bus::MmioDevice;
use crate::irq::IrqLine;
use crate::regs::{self, PRIMECELL_SIZE, merge, primecell_id};

/// So many looks at an empty receive FIFO in a row are those of a guest that waits for a character.
const LOOKS: u8 = 3;

/// What a serial port is connected to.
///
/// Called on vCPU threads, one call at a time, while no lock of the port's registers is held; it must not block.
pub trait SerialOutput: Send {
    /// Takes characters that the guest sent, often one at a time.
    fn write(&mut self, bytes: &[u8]);

    /// There is room again after [`Pl011::push`] took less than it was offered. May call `push`.
    fn room(&mut self) {}
}

/// The serial port.
pub struct Pl011 {
    output: Mutex<Box<dyn SerialOutput>>,
    irq: IrqLine,
    state: Mutex<State>,
}

/// The registers, by their names in the manual, and the receive FIFO.
#[derive(Debug, Clone)]
struct State {
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    ris: u32,
    rsr: u32,
    dmacr: u32,
    /// Characters with the error bits that UARTDR shows beside them.
    received: VecDeque<u16>,
    /// Somebody has more characters than there was room for.
    waiting: bool,
    /// How often in a row the guest has looked at an empty receive FIFO.
    looks: u8,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: CR_TXE | CR_RXE,
            ifls: IFLS_RESET,
            imsc: 0,
            ris: 0,
            rsr: 0,
            dmacr: 0,
            received: VecDeque::with_capacity(FIFO_DEPTH),
            waiting: false,
            looks: 0,
        }
    }
}

/// What is left to do for the output when the registers' lock is released.
#[derive(Default)]
struct Work {
    send: Option<u8>,
    room: bool,
}

impl Pl011 {
    /// The size of its window in bytes.
    pub const SIZE: u64 = PRIMECELL_SIZE;

    /// A port as it comes out of reset.
    #[must_use]
    pub fn new(output: Box<dyn SerialOutput>, irq: IrqLine) -> Self {
        Self { output: Mutex::new(output), irq, state: Mutex::new(State::default()) }
    }

    /// Offers characters for the guest to receive and tells how many were taken: none while the guest does not listen,
    /// at most 32 otherwise. When it is fewer than offered, [`SerialOutput::room`] is called later.
    pub fn push(&self, bytes: &[u8]) -> usize {
        self.with(|state| {
            let room = if state.listens() { state.depth().saturating_sub(state.received.len()) } else { 0 };
            let taken = bytes.len().min(room);
            bytes[..taken].iter().for_each(|&byte| state.receive(byte.into()));
            state.waiting |= taken < bytes.len();
            taken
        })
    }

    /// Sends the guest a break: the line is low for longer than a character, which a Linux console takes for the
    /// magic SysRq key. `false`: there was no room, or the receiver is off.
    pub fn push_break(&self) -> bool {
        self.with(|state| {
            let room = state.receives() && state.received.len() < state.depth();
            if room {
                state.receive(DR_BE);
                state.ris |= INT_BE;
            }
            room
        })
    }

    /// Puts the port back to its state after reset. Characters that were not read are lost.
    pub fn reset(&self) {
        self.with(|state| *state = State { waiting: state.waiting, ..State::default() });
    }

    /// Changes the state and drives the interrupt line accordingly, once the lock is released.
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let news = self.irq.decide(state.ris & state.imsc != 0);
        drop(state);
        if news {
            self.irq.deliver();
        }
        result
    }

    fn finish(&self, work: Work) {
        if let Some(byte) = work.send {
            self.output.lock().write(&[byte]);
        }
        if work.room {
            self.output.lock().room();
        }
    }
}

impl State {
    fn receives(&self) -> bool {
        self.cr & (CR_UARTEN | CR_RXE) == CR_UARTEN | CR_RXE
    }

    /// Whether somebody is there for characters: by an interrupt, or by looking again and again.
    ///
    /// Linux's driver (drivers/tty/serial/amba-pl011.c) turns the receiver on for its console's output already, and throws
    /// away what is in the FIFO before it unmasks the interrupts. It looks at the flags for its output, but not so often
    /// without a write.
    fn listens(&self) -> bool {
        self.receives() && (self.imsc & (INT_RX | INT_RT) != 0 || self.looks >= LOOKS)
    }

    /// How many characters the FIFOs hold; with the FIFOs off there is one holding register.
    fn depth(&self) -> usize {
        if self.lcr_h & LCR_FEN != 0 { FIFO_DEPTH } else { 1 }
    }

    /// The fill at which the receive interrupt is raised (UARTIFLS.RXIFLSEL).
    fn trigger(&self) -> usize {
        let eighths = [1, 2, 4, 6, 7];
        let level = eighths.get((self.ifls >> 3 & 7) as usize).unwrap_or(&4);
        (self.depth() * level / 8).max(1)
    }

    fn receive(&mut self, byte: u16) {
        if self.received.len() >= self.depth() {
            self.rsr |= RSR_OE;
            self.ris |= INT_OE;
            return;
        }
        self.received.push_back(byte);
        self.ris |= INT_RT;
        if self.received.len() >= self.trigger() {
            self.ris |= INT_RX;
        }
    }

    fn take(&mut self) -> u16 {
        let byte = self.received.pop_front().unwrap_or(0);
        if self.received.len() < self.trigger() {
            self.ris &= !INT_RX;
        }
        if self.received.is_empty() {
            self.ris &= !INT_RT;
        }
        byte
    }

    /// Somebody waits for room, and there is some now. Told when everything was read, not for each character.
    fn has_room(&mut self) -> bool {
        self.waiting && self.listens() && self.received.is_empty() && std::mem::take(&mut self.waiting)
    }

    fn flags(&mut self) -> u32 {
        self.looks = if self.received.is_empty() { self.looks.saturating_add(1) } else { LOOKS };
        let empty = if self.received.is_empty() { FR_RXFE } else { 0 };
        let full = if self.received.len() >= self.depth() { FR_RXFF } else { 0 };
        FR_MODEM | FR_TXFE | empty | full
    }

    fn read(&mut self, offset: u64) -> u32 {
        match offset {
            DR => self.take().into(),
            RSR => self.rsr,
            FR => self.flags(),
            ILPR => self.ilpr,
            IBRD => self.ibrd,
            FBRD => self.fbrd,
            LCR_H => self.lcr_h,
            CR => self.cr,
            IFLS => self.ifls,
            IMSC => self.imsc,
            RIS => self.ris,
            MIS => self.ris & self.imsc,
            DMACR => self.dmacr,
            _ => primecell_id(offset, PERIPHERAL),
        }
    }

    fn write(&mut self, offset: u64, value: u32, lanes: u32, work: &mut Work) {
        self.looks = 0;
        let set = |register: &mut u32, bits: u32| *register = merge(*register, value, lanes) & bits;
        match offset {
            DR if lanes & 0xff == 0 => (),
            DR => {
                // A guest that sends before it has enabled the transmitter (an early console) is heard all the same.
                if self.cr & CR_LBE != 0 {
                    self.receive(u16::from(value as u8));
                } else {
                    work.send = Some(value as u8);
                }
                // The FIFO went through its trigger level, downwards, as soon as it was filled.
                self.ris |= INT_TX;
            }
            RSR => self.rsr = 0,
            ILPR => set(&mut self.ilpr, 0xff),
            IBRD => set(&mut self.ibrd, 0xffff),
            FBRD => set(&mut self.fbrd, 0x3f),
            LCR_H => set(&mut self.lcr_h, 0xff),
            CR => set(&mut self.cr, 0xff87),
            IFLS => set(&mut self.ifls, 0x3f),
            IMSC => set(&mut self.imsc, INT_ALL),
            ICR => self.ris &= !value,
            DMACR => set(&mut self.dmacr, 7),
            _ => (),
        }
    }
}

impl MmioDevice for Pl011 {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let room = self.with(|state| {
            regs::read(offset, data, |at| state.read(at));
            state.has_room()
        });
        self.finish(Work { room, ..Work::default() });
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut work = Work::default();
        work.room = self.with(|state| {
            regs::write(offset, data, |at, value, lanes| state.write(at, value, lanes, &mut work));
            state.has_room()
        });
        self.finish(work);
    }
}
