//! The block device under a driver that does anything, over a disk in memory.
#![no_main]

use std::sync::Arc;

use block::contract::MemoryDisk;
use devices::virtio::block::Block;
use libfuzzer_sys::fuzz_target;
use russet_fuzz::{Op, drive};

fuzz_target!(|input: (bool, Vec<Op>)| {
    let (read_only, ops) = input;
    let disk = MemoryDisk::new(1 << 16);
    let disk = Arc::new(if read_only { disk.read_only() } else { disk });
    let device = Arc::new(Block::new(disk.clone(), 2, None));
    drive(device, ops, |what, _| match what % 3 {
        0 => disk.lose_power(),
        failing => disk.set_failing(failing == 1),
    });
});
