//! The PL061, a GPIO controller of eight pins, with the machine's power button on pin 3.
//!
//! Fixed: nothing. Glue: one interrupt line. State: the registers and the levels of the input pins.
//!
//! The button is what a guest is asked with to power off: Linux' `gpio-keys` makes `KEY_POWER` of it.

mod fdt;
mod spec;
#[cfg(test)]
mod tests;

pub use self::fdt::Place;
use parking_lot::Mutex;

use crate::bus::MmioDevice;
use crate::irq::IrqLine;
use crate::regs;

/// The pin of the power button, high while it is pressed.
pub const POWER_BUTTON_PIN: u8 = 3;

/// A PL061.
pub struct Pl061 {
    irq: IrqLine,
    state: Mutex<State>,
}

/// Registers, a bit for each pin.
#[derive(Default)]
struct State {
    /// Levels at the pins that are inputs.
    inputs: u8,
    /// Levels that the guest drives the others to.
    outputs: u8,
    direction: u8,
    level_sensitive: u8,
    both_edges: u8,
    rising: u8,
    enabled: u8,
    /// Edges that were seen and not cleared.
    latched: u8,
    alternate: u8,
}

impl State {
    fn pins(&self) -> u8 {
        (self.inputs & !self.direction) | (self.outputs & self.direction)
    }

    /// `GPIORIS`.
    fn raw(&self) -> u8 {
        let at_level = !(self.pins() ^ self.rising);
        (self.level_sensitive & at_level) | (!self.level_sensitive & self.latched)
    }

    /// Makes a change and latches the edges that it makes at the pins.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.pins();
        change(self);
        let now = self.pins();
        let wanted = self.both_edges | !(now ^ self.rising);
        self.latched |= (before ^ now) & wanted & !self.level_sensitive;
    }

    fn read(&self, offset: u64) -> u8 {
        match offset {
            spec::DATA..spec::DATA_END => self.pins() & (offset >> 2) as u8,
            spec::DIR => self.direction,
            spec::IS => self.level_sensitive,
            spec::IBE => self.both_edges,
            spec::IEV => self.rising,
            spec::IE => self.enabled,
            spec::RIS => self.raw(),
            spec::MIS => self.raw() & self.enabled,
            spec::AFSEL => self.alternate,
            spec::ID.. => spec::ID_VALUES.get(((offset - spec::ID) / 4) as usize).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, value: u8) {
        match offset {
            spec::DATA..spec::DATA_END => {
                let mask = (offset >> 2) as u8 & self.direction;
                self.change(|s| s.outputs = (s.outputs & !mask) | (value & mask));
            }
            spec::DIR => self.change(|s| s.direction = value),
            spec::IS => self.level_sensitive = value,
            spec::IBE => self.both_edges = value,
            spec::IEV => self.rising = value,
            spec::IE => self.enabled = value,
            spec::IC => self.latched &= !value,
            spec::AFSEL => self.alternate = value,
            _ => {}
        }
    }
}

impl Pl061 {
    /// A PL061 with all inputs low, whose combined interrupt is `irq`.
    #[must_use]
    pub fn new(irq: IrqLine) -> Self {
        Self { irq, state: Mutex::new(State::default()) }
    }

    /// Presses the power button (`true`) or lets it go. `false` when no driver listens to the pin, so that the guest
    /// does not see it. Any thread.
    pub fn set_power_button(&self, pressed: bool) -> bool {
        let bit = 1 << POWER_BUTTON_PIN;
        self.with(|state| {
            state.change(|s| s.inputs = if pressed { s.inputs | bit } else { s.inputs & !bit });
            state.enabled & bit != 0
        })
    }

    /// Puts the registers back to their state after reset; the inputs keep their levels.
    pub fn reset(&self) {
        self.with(|state| *state = State { inputs: state.inputs, ..State::default() });
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let tell = self.irq.decide(state.raw() & state.enabled != 0);
        drop(state);
        if tell {
            self.irq.deliver();
        }
        result
    }
}

impl MmioDevice for Pl061 {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let state = self.state.lock();
        regs::read(offset, data, |at| u32::from(state.read(at)));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.with(|state| {
            regs::write(offset, data, |at, value, lanes| {
                // Registers are eight bits: what does not touch the lowest byte changes nothing.
                if lanes & 0xff != 0 {
                    state.write(at, value as u8);
                }
            });
        });
    }
}
