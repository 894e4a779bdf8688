//! The small devices of the board, PL011, PL031 and PL061, under a guest that does anything.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use devices::bus::Bus;
use devices::irq::{IrqLine, IrqSink};
use devices::pl011::{Pl011, SerialOutput};
use devices::pl031::{Clock, Pl031};
use devices::pl061::Pl061;
use libfuzzer_sys::fuzz_target;
use russet_fuzz::Access;

#[derive(Arbitrary, Debug)]
enum Op {
    /// The device is the number's remainder.
    Access(u8, Access),
    Type(Vec<u8>),
    Press(bool),
    Tick,
}

struct Nothing;
impl IrqSink for Nothing {
    fn set_level(&self, _: bool) {}
}
impl SerialOutput for Nothing {
    fn write(&mut self, _: &[u8]) {}
}

/// The host's clock, which no guest sets: some time in the next 30,000 years.
struct Fixed(u64);
impl Clock for Fixed {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0 >> 24)
    }
    fn wake(&self, _: Option<Duration>) {}
}

fuzz_target!(|input: (u64, Vec<Op>)| {
    let (now, ops) = input;
    let line = || IrqLine::new(Arc::new(Nothing));
    let serial = Arc::new(Pl011::new(Box::new(Nothing), line()));
    let clock = Arc::new(Pl031::new(Box::new(Fixed(now)), line()));
    let gpio = Arc::new(Pl061::new(line()));
    let bus = Bus::new();
    bus.insert(0, 0x1000, serial.clone()).unwrap();
    bus.insert(0x1000, 0x1000, clock.clone()).unwrap();
    bus.insert(0x2000, 0x1000, gpio.clone()).unwrap();
    for op in ops {
        match op {
            Op::Access(device, access) => access.make(&bus, u64::from(device % 3) << 12, 0x1000),
            Op::Type(text) => assert!(serial.push(&text) <= text.len()),
            Op::Press(pressed) => drop(gpio.set_power_button(pressed)),
            Op::Tick => clock.tick(),
        }
    }
});
