//! The balloon under a driver that does anything.
#![no_main]

use std::sync::Arc;

use devices::virtio::balloon::{Balloon, MemoryReclaim};
use libfuzzer_sys::fuzz_target;
use russet_fuzz::{Op, drive};

struct Nowhere;
impl MemoryReclaim for Nowhere {
    fn release(&self, addr: u64, len: u64) {
        assert!(addr.checked_add(len).is_some(), "a range that wraps around");
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let balloon = Arc::new(Balloon::new(Arc::new(Nowhere)));
    drive(balloon.clone(), ops, |what, _| match what % 3 {
        0 => balloon.set_target(u64::from(what) << 12),
        1 => balloon.request_stats(),
        _ => drop((balloon.stats(), balloon.actual(), balloon.target())),
    });
});
