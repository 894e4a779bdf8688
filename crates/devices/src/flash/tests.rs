//! The commands as UEFI firmware gives them.

use std::sync::Arc;

use block::contract::MemoryDisk;

use super::Flash;
use super::spec::{BLOCK, READY};
use crate::bus::MmioDevice;
use crate::contract;

const SIZE: usize = 3 * BLOCK as usize;

fn flash() -> (Arc<MemoryDisk>, Flash) {
    let disk = Arc::new(MemoryDisk::new(SIZE));
    let flash = Flash::new(disk.clone()).unwrap();
    (disk, flash)
}

fn read(flash: &Flash, offset: u64) -> u32 {
    let mut data = [0; 4];
    flash.read(offset, &mut data);
    u32::from_le_bytes(data)
}

/// The same to both parts.
fn both(flash: &Flash, offset: u64, code: u32) {
    flash.write(offset, &(code | code << 16).to_le_bytes());
}

fn erase(flash: &Flash, offset: u64) {
    both(flash, offset, 0x20);
    both(flash, offset, 0xd0);
    assert_eq!(read(flash, offset), READY);
    both(flash, offset, 0xff);
}

#[test]
fn a_block_is_erased_and_words_are_programmed() {
    let (disk, flash) = flash();
    erase(&flash, BLOCK + 1234 / 4 * 4);
    assert_eq!([0, BLOCK - 4, BLOCK, 2 * BLOCK - 4, 2 * BLOCK].map(|at| read(&flash, at)), [0, 0, !0, !0, 0]);
    for (value, stays) in [(0x1234_5678, 0x1234_5678), (0xffff_0000, 0x1234_0000), (!0, 0x1234_0000)] {
        both(&flash, BLOCK, 0x40);
        flash.write(BLOCK, &u32::to_le_bytes(value));
        assert_eq!(read(&flash, BLOCK), READY);
        both(&flash, 0, 0xff);
        assert_eq!(read(&flash, BLOCK), stays, "bits become 0 only");
    }
    assert_eq!(disk.contents()[BLOCK as usize..][..5], [0, 0, 0x34, 0x12, 0xff]);
    let mut data = [0; 8];
    flash.read(BLOCK, &mut data);
    assert_eq!(data, [0, 0, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn a_buffer_is_programmed_at_once() {
    let (disk, flash) = flash();
    erase(&flash, 0);
    both(&flash, 64, 0xe8);
    assert_eq!(read(&flash, 64), READY);
    both(&flash, 64, 3);
    for n in 0..4u32 {
        flash.write(64 + 4 * u64::from(n), &(0x0101_0101 * (n + 1)).to_le_bytes());
    }
    both(&flash, 64, 0xd0);
    assert_eq!(read(&flash, 64), READY);
    both(&flash, 64, 0xff);
    assert_eq!(
        disk.contents()[60..84],
        *b"\xff\xff\xff\xff\x01\x01\x01\x01\x02\x02\x02\x02\x03\x03\x03\x03\x04\x04\x04\x04\xff\xff\xff\xff"
    );
}

#[test]
fn locks_identities_and_mistakes_are_answered() {
    let (disk, flash) = flash();
    both(&flash, 0, 0x90);
    assert_eq!([0, 4, 8].map(|at| read(&flash, BLOCK + at)), [0x89_0089, 0x18_0018, 0]);
    both(&flash, 0, 0x60);
    both(&flash, 0, 0xd0);
    assert_eq!(read(&flash, 0), READY);
    for (first, second) in [(0x20, 0x40), (0xe8, 0xffff)] {
        both(&flash, 0, first);
        both(&flash, 0, second);
        assert_ne!(read(&flash, 0), READY, "an error");
        both(&flash, 0, 0x50);
        assert_eq!(read(&flash, 0), READY);
    }
    disk.set_failing(true);
    both(&flash, 0, 0x20);
    both(&flash, 0, 0xd0);
    assert_eq!(read(&flash, 0), READY | 0x10_0010, "the disk fails");
    disk.set_failing(false);
    flash.reset();
    assert_eq!(read(&flash, 0), 0, "the array");
    assert_eq!(disk.flushes(), 1);
}

#[test]
fn only_whole_blocks_are_flash() {
    for size in [0, 1, BLOCK as usize - 512, BLOCK as usize + 512] {
        assert!(Flash::new(Arc::new(MemoryDisk::new(size))).is_err(), "{size}");
    }
}

#[test]
fn any_access_is_answered() {
    contract::mmio(&flash().1, SIZE as u64);
}
