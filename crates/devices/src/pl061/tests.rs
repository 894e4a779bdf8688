//! What Linux' `gpio-pl061` does, and the corners that it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_fdt::FdtWriter;

use super::*;
use crate::irq::IrqSink;

#[derive(Default)]
struct Input(AtomicBool);

impl IrqSink for Input {
    fn set_level(&self, level: bool) {
        self.0.store(level, Ordering::SeqCst);
    }
}

fn device() -> (Pl061, Arc<Input>) {
    let input = Arc::new(Input::default());
    (Pl061::new(IrqLine::new(input.clone())), input)
}

fn read(device: &Pl061, offset: u64) -> u8 {
    let mut data = [0xee; 4];
    device.read(offset, &mut data);
    assert_eq!(data[1..], [0; 3]);
    data[0]
}

const BUTTON: u8 = 1 << POWER_BUTTON_PIN;

#[test]
fn the_driver_finds_it_by_its_id() {
    let (device, _) = device();
    let id: Vec<u8> = (0..8).map(|i| read(&device, 0xfe0 + 4 * i)).collect();
    assert_eq!(id, [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
}

#[test]
fn a_press_makes_an_interrupt_on_both_edges() {
    let (device, input) = device();
    assert!(!device.set_power_button(true), "nobody listens yet");
    device.set_power_button(false);
    device.write(0x41c, &[0xff]);
    device.write(0x408, &[BUTTON]);
    device.write(0x410, &[BUTTON, 0, 0, 0]);
    for pressed in [true, false] {
        assert!(device.set_power_button(pressed));
        assert!(input.0.load(Ordering::SeqCst));
        assert_eq!((read(&device, 0x414), read(&device, 0x418)), (BUTTON, BUTTON));
        assert_eq!(read(&device, 0x3fc) & BUTTON != 0, pressed);
        device.write(0x41c, &[BUTTON]);
        assert!(!input.0.load(Ordering::SeqCst));
    }
}

#[test]
fn one_edge_or_a_level_can_be_asked_for() {
    let (device, input) = device();
    device.write(0x410, &[0xff]);
    device.write(0x40c, &[0xff]); // rising
    device.set_power_button(true);
    assert!(input.0.load(Ordering::SeqCst));
    device.write(0x41c, &[0xff]);
    device.set_power_button(false);
    assert!(!input.0.load(Ordering::SeqCst));
    device.write(0x404, &[BUTTON]); // level, high
    device.set_power_button(true);
    device.write(0x41c, &[0xff]);
    assert!(input.0.load(Ordering::SeqCst), "a level cannot be cleared");
    device.set_power_button(false);
    assert!(!input.0.load(Ordering::SeqCst));
}

#[test]
fn data_is_masked_by_the_address_and_only_outputs_are_written() {
    let (device, _) = device();
    device.write(0x400, &[0x0f]);
    device.write(0x3fc, &[0xff]);
    assert_eq!(read(&device, 0x3fc), 0x0f);
    assert_eq!(read(&device, 0x0c << 2), 0x0c);
    device.write(0x01 << 2, &[0x00]);
    assert_eq!(read(&device, 0x3fc), 0x0e);
    // The second byte of a register is not there.
    device.write(0x401, &[0xff]);
    assert_eq!(read(&device, 0x400), 0x0f);
}

#[test]
fn no_access_is_too_strange() {
    let (device, _) = device();
    for offset in (0..0x1000).chain([u64::MAX - 7, u64::MAX]) {
        for len in [1, 2, 4, 8] {
            device.write(offset, &[0xff; 8][..len]);
            device.read(offset, &mut [0; 8][..len]);
        }
    }
    device.reset();
    assert_eq!(read(&device, 0x410), 0);
}

#[test]
fn the_device_tree_has_the_button() {
    let (device, _) = device();
    let mut w = FdtWriter::new().unwrap();
    let root = w.begin_node("").unwrap();
    device.fdt(&mut w, fdt::Place { window: (0x903_0000, 0x1000), spi: 7, clock: 1, phandle: 2 }).unwrap();
    w.end_node(root).unwrap();
    let blob = w.finish().unwrap();
    assert!(blob.windows(9).any(|w| w == b"gpio-keys"));
}
