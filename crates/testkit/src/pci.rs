//! What a guest does with every PCI function: finds its capabilities, places its BARs, turns MSI-X on.

use devices::pci::spec;

use crate::{Guest, Interrupts};

/// Places all BARs of the function, which are 64 bits wide, lets it answer there, and gives their addresses.
#[must_use]
pub fn place_bars(guest: &Guest, devfn: u32) -> [u64; spec::BARS] {
    let mut bars = [0; spec::BARS];
    // Every second register is an upper half.
    for (index, bar) in bars.iter_mut().enumerate().step_by(2) {
        *bar = place_bar(guest, guest.config(devfn, spec::BAR0 + 4 * index as u16));
    }
    let command = spec::COMMAND_MEMORY | spec::COMMAND_MASTER;
    guest.bus().write(guest.config(devfn, spec::COMMAND), &command.to_le_bytes());
    bars
}

/// Sizes the 64-bit BAR at `register` and places it; 0 when there is none.
fn place_bar(guest: &Guest, register: u64) -> u64 {
    guest.write32(register, u32::MAX);
    guest.write32(register + 4, u32::MAX);
    let low = guest.read32(register);
    if low == 0 {
        return 0;
    }
    assert_eq!(low & 0xf, spec::BAR_64);
    let mask = u64::from(guest.read32(register + 4)) << 32 | u64::from(low & !0xf);
    let at = guest.alloc_bar(mask.wrapping_neg());
    guest.write32(register, at as u32);
    guest.write32(register + 4, (at >> 32) as u32);
    at
}

/// The offsets of a function's capabilities.
#[must_use]
pub fn capabilities(guest: &Guest, devfn: u32) -> Vec<u16> {
    let byte = |register: u16| guest.read::<1>(guest.config(devfn, register))[0];
    let mut all = Vec::new();
    let mut at = u16::from(byte(spec::CAPABILITIES));
    while at != 0 {
        assert!(all.len() < 48, "the capabilities loop");
        all.push(at);
        at = u16::from(byte(at + 1));
    }
    all
}

/// Turns MSI-X on, whose capability is at `at`: vector n writes n to [`Interrupts::ADDRESS`].
pub fn enable_msix(guest: &Guest, devfn: u32, at: u16, bars: &[u64; spec::BARS]) {
    let config = |register: u16| guest.config(devfn, register);
    let table = guest.read32(config(at + 4));
    let vectors = u32::from(u16::from_le_bytes(guest.read(config(at + 2))) & 0x7ff) + 1;
    for vector in 0..vectors {
        let entry = bars[(table & 7) as usize] + u64::from(table & !7) + 16 * u64::from(vector);
        guest.write32(entry, Interrupts::ADDRESS as u32);
        guest.write32(entry + 4, (Interrupts::ADDRESS >> 32) as u32);
        guest.write32(entry + 8, vector);
        guest.write32(entry + 12, 0);
    }
    guest.bus().write(config(at + 2), &spec::MSIX_ENABLE.to_le_bytes());
}
