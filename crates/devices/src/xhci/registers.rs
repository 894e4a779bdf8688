//! The controller's registers (xHCI 1.2, chapter 5): what vCPUs read and write, and what they leave for the
//! controller's thread to do.

use std::time::Instant;

use super::Devices;
use super::interrupter::Interrupter;
use super::port::Port;
use super::spec::{CONNECTORS, PORTS, at, capability, crcr, op, usbcmd, usbsts};
use crate::regs::{half, merge, merge64};

/// The registers.
pub(super) struct Registers {
    pub(super) usbcmd: u32,
    pub(super) usbsts: u32,
    dnctrl: u32,
    /// Where the command ring begins, or goes on; bits as in [`crcr`].
    pub(super) crcr: u64,
    pub(super) dcbaap: u64,
    pub(super) config: u32,
    pub(super) ports: [Port; PORTS as usize],
    pub(super) interrupter: Interrupter,
    /// The driver has asked for the command ring to stop.
    pub(super) command_stop: bool,
    /// Ports that the driver wants reset, a bit each.
    pub(super) port_resets: u32,
    since: Instant,
}

/// What follows from a write.
#[derive(Default)]
pub(super) struct Effect {
    /// The controller's thread has something to do.
    pub(super) wake: bool,
    /// An interrupt is to be sent.
    pub(super) interrupt: bool,
}

impl Registers {
    /// As after power-on, with these devices plugged in.
    pub(super) fn new(devices: &Devices) -> Self {
        let port = |index: usize| {
            let mut port = Port::new(index >= usize::from(CONNECTORS));
            if devices[index].is_some() {
                port.connect();
            }
            port
        };
        Self {
            usbcmd: 0,
            usbsts: usbsts::HALTED,
            dnctrl: 0,
            crcr: 0,
            dcbaap: 0,
            config: 0,
            ports: std::array::from_fn(port),
            interrupter: Interrupter::default(),
            command_stop: false,
            port_resets: 0,
            since: Instant::now(),
        }
    }

    /// Whether the controller may touch memory.
    pub(super) fn is_running(&self) -> bool {
        self.usbcmd & usbcmd::RUN != 0 && self.usbsts & usbsts::SYSTEM_ERROR == 0
    }

    /// Whether interrupts leave the controller.
    pub(super) fn may_interrupt(&self) -> bool {
        self.usbcmd & usbcmd::INTE != 0
    }

    /// Reads the word at an offset from the beginning of the BAR.
    pub(super) fn read(&self, offset: u64) -> u32 {
        let word = |words: &[u32], at: u64| words.get((at / 4) as usize).copied().unwrap_or(0);
        match offset {
            0..at::OPERATIONAL => word(&capability::REGISTERS, offset),
            at::OPERATIONAL..at::EXTENDED => self.read_operational(offset - at::OPERATIONAL),
            at::EXTENDED..at::RUNTIME => word(&capability::EXTENDED, offset - at::EXTENDED),
            at::RUNTIME..at::DOORBELLS => match offset - at::RUNTIME {
                // The frame counter: 125 microseconds each, 14 bits (5.5.1).
                0 => (self.since.elapsed().as_micros() / 125) as u32 & 0x3fff,
                register => self.interrupter.read(register),
            },
            _ => 0,
        }
    }

    fn read_operational(&self, offset: u64) -> u32 {
        let high = offset & 4 != 0;
        match offset {
            op::USBCMD => self.usbcmd,
            op::USBSTS => self.usbsts,
            // 4 KiB.
            op::PAGESIZE => 1,
            op::DNCTRL => self.dnctrl,
            // The rest reads as zero.
            op::CRCR => (self.crcr & crcr::RUNNING) as u32,
            op::DCBAAP | 0x34 => half(self.dcbaap, high),
            op::CONFIG => self.config,
            _ => match port(offset) {
                Some((index, 0)) => self.ports[index].read(),
                _ => 0,
            },
        }
    }

    /// Writes the word at an offset from the beginning of the BAR, doorbells excepted.
    pub(super) fn write(&mut self, offset: u64, value: u32, lanes: u32) -> Effect {
        let mut effect = Effect::default();
        match offset {
            at::OPERATIONAL..at::EXTENDED => {
                effect.wake = self.write_operational(offset - at::OPERATIONAL, value, lanes);
            }
            at::RUNTIME..at::DOORBELLS => {
                self.interrupter.write(offset - at::RUNTIME, value, lanes);
                effect.wake = self.interrupter.was_full();
            }
            _ => {}
        }
        let enabled = self.may_interrupt();
        if self.interrupter.interrupt(enabled) {
            self.usbsts |= usbsts::EVENT_INTERRUPT;
            effect.interrupt = true;
        }
        effect
    }

    /// `true`: the thread has something to do.
    fn write_operational(&mut self, offset: u64, value: u32, lanes: u32) -> bool {
        let high = offset & 4 != 0;
        match offset {
            op::USBCMD => {
                let kept = usbcmd::RUN | usbcmd::INTE | usbcmd::HSEE | usbcmd::EWE;
                let reset = self.usbcmd & usbcmd::RESET | value & usbcmd::RESET;
                self.usbcmd = merge(self.usbcmd, value, lanes) & kept | reset;
                if self.is_running() && reset == 0 {
                    self.usbsts &= !usbsts::HALTED;
                }
                true
            }
            op::USBSTS => {
                self.usbsts &= !(value & usbsts::CLEARED_BY_ONE);
                false
            }
            op::DNCTRL => {
                self.dnctrl = merge(self.dnctrl, value, lanes) & 0xffff;
                false
            }
            op::CRCR | 0x1c if self.crcr & crcr::RUNNING != 0 => {
                self.command_stop |= !high && u64::from(value) & (crcr::STOP | crcr::ABORT) != 0;
                self.command_stop
            }
            op::CRCR => {
                self.crcr = merge64(self.crcr, false, value, lanes) & (crcr::POINTER | crcr::CYCLE);
                false
            }
            // May belong to a write which has just stopped the ring: where it stopped is kept.
            0x1c => {
                self.crcr = merge64(self.crcr, true, value, lanes);
                false
            }
            op::DCBAAP | 0x34 => {
                self.dcbaap = merge64(self.dcbaap, high, value, lanes) & !0x3f;
                false
            }
            op::CONFIG => {
                self.config = merge(self.config, value, lanes) & 0x3ff;
                false
            }
            _ => match port(offset) {
                Some((index, 0)) => {
                    if self.ports[index].write(value, lanes) {
                        self.port_resets |= 1 << index;
                    }
                    true
                }
                _ => false,
            },
        }
    }
}

/// The port whose register is at an offset from the operational registers, and which one it is.
fn port(offset: u64) -> Option<(usize, u64)> {
    let at = offset.checked_sub(op::PORTS)?;
    let index = at / op::PORT_SIZE;
    (index < u64::from(PORTS)).then_some((index as usize, at % op::PORT_SIZE))
}
