//! The drive's commands, and that it keeps what is written.

use std::sync::Arc;

use block::Disk;
use block::contract::{FaultyDisk, MemoryDisk};
use devices::usb::Speed;
use testkit::xhci::{Drive, Driver};

use super::{Bench, SIZE, pattern};

fn bench() -> (Bench, Drive) {
    let mut bench = Bench::new();
    let drive = bench.drive();
    (bench, drive)
}

/// A command with a block address and a count, in its 10, 12 or 16-byte form.
fn command(opcode: u8, first: u64, count: u32) -> Vec<u8> {
    let (high, low) = ((first as u32).to_be_bytes(), count.to_be_bytes());
    match opcode >> 5 {
        4 => [&[opcode, 0][..], &first.to_be_bytes(), &low, &[0, 0]].concat(),
        5 => [&[opcode, 0][..], &high, &low, &[0, 0]].concat(),
        _ => [&[opcode, 0][..], &high, &[0], &low[2..], &[0]].concat(),
    }
}

fn ok(drive: &mut Drive, driver: &mut Driver, cdb: &[u8], data: &[u8]) {
    let csw = drive.write(driver, cdb, data);
    assert_eq!((csw.status, csw.residue), (0, 0), "{cdb:x?}");
}

fn fails(drive: &mut Drive, driver: &mut Driver, cdb: &[u8], data: &[u8]) -> (u8, u8, u8) {
    assert_eq!(drive.write(driver, cdb, data).status, 1, "{cdb:x?}");
    drive.sense(driver)
}

fn get(drive: &mut Drive, driver: &mut Driver, cdb: &[u8], length: u32) -> Vec<u8> {
    let csw = drive.read(driver, cdb, length);
    assert_eq!(csw.status, 0, "{cdb:x?}");
    csw.data
}

#[test]
fn it_says_who_it_is() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let inquiry = get(&mut drive, driver, &[0x12, 0, 0, 0, 96, 0], 96);
    assert_eq!((inquiry.len(), inquiry[0], inquiry[1], inquiry[3], inquiry[4]), (36, 0, 0x80, 2, 31));
    assert_eq!(&inquiry[8..32], b"RUSSET  USB DISK        ");
    let mut page = |code| get(&mut drive, driver, &[0x12, 1, code, 0, 255, 0], 255);
    assert_eq!(page(0)[4..], [0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    assert_eq!(page(0x80)[4..], *b"S1");
    assert_eq!(page(0x83)[4..], *b"\x02\x01\0\x0aRUSSET  S1");
    assert_eq!(page(0xb0).len(), 64);
    assert_eq!(page(0xb1)[..6], [0, 0xb1, 0, 60, 0, 1], "does not rotate");
    assert_eq!(page(0xb2)[4..], [0, 0xe0, 2, 0], "gives space back");
    for cdb in [[0x12, 1, 0x99, 0, 255, 0], [0x12, 0, 0x80, 0, 255, 0]] {
        assert_eq!(drive.read(driver, &cdb, 255).status, 1);
        assert_eq!(drive.sense(driver), (5, 0x24, 0));
    }
    assert_eq!(get(&mut drive, driver, &[0x12, 0, 0, 0, 5, 0], 5), inquiry[..5]);
    assert_eq!(
        get(&mut drive, driver, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16),
        [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(fails(&mut drive, driver, &[0xc1, 0, 0, 0, 0, 0], &[]), (5, 0x20, 0));
}

#[test]
fn it_says_how_large_it_is() {
    let geometry = block::Geometry { logical_block: 4096, physical_block: 16384, discard_granularity: 65536 };
    let mut bench = Bench::with(MemoryDisk::new(SIZE).with_geometry(geometry), Speed::Super);
    let mut drive = bench.drive();
    let driver = &mut bench.driver;
    let last = (SIZE / 4096 - 1) as u32;
    let capacity = [last.to_be_bytes(), 4096u32.to_be_bytes()].concat();
    assert_eq!(get(&mut drive, driver, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8), capacity);
    let long = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let data = get(&mut drive, driver, &long, 32);
    assert_eq!((data.len(), &data[..4], &data[4..12]), (32, &[0; 4][..], &capacity[..]));
    assert_eq!((data[13], data[14]), (2, 0x80), "4 blocks are one of the medium; space can be given back");
    let limits = get(&mut drive, driver, &[0x12, 1, 0xb0, 0, 64, 0], 64);
    assert_eq!(limits[28..32], [0, 0, 0, 16], "blocks of a discard");
    ok(&mut drive, driver, &command(0x2a, 3, 1), &pattern(9, 4096));
    assert!(bench.disk.contents()[3 * 4096..4 * 4096] == pattern(9, 4096));
}

#[test]
fn its_modes_say_write_through_and_whether_it_is_protected() {
    for protected in [false, true] {
        let disk = MemoryDisk::new(SIZE);
        let mut bench = Bench::with(if protected { disk.read_only() } else { disk }, Speed::Super);
        let mut drive = bench.drive();
        let driver = &mut bench.driver;
        let specific = if protected { 0x90 } else { 0x10 };
        let six = get(&mut drive, driver, &[0x1a, 0, 0x3f, 0, 192, 0], 192);
        assert_eq!(six[..12], [31, 0, specific, 8, 0, 0, 0x20, 0, 0, 0, 2, 0]);
        assert_eq!(six[12..15], [8, 18, 0], "caching: no write-back");
        let ten = get(&mut drive, driver, &[0x5a, 8, 8, 0, 0, 0, 0, 0, 255, 0], 255);
        assert_eq!((ten.len(), &ten[..10]), (28, &[0, 26, 0, specific, 0, 0, 0, 0, 8, 18][..]));
        assert_eq!(drive.read(driver, &[0x1a, 0, 0x1c, 0, 192, 0], 192).status, 1);
        assert_eq!(drive.sense(driver), (5, 0x24, 0));
        let write = drive.write(driver, &command(0x2a, 0, 1), &[1; 512]);
        assert_eq!(write.status, u8::from(protected));
        if protected {
            assert_eq!(drive.sense(driver), (7, 0x27, 0));
            let same = [&command(0x41, 0, 1)[..]].concat();
            assert_eq!(fails(&mut drive, driver, &same, &[0; 512]), (7, 0x27, 0));
        }
    }
}

#[test]
fn a_write_that_has_completed_survives_the_loss_of_power() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    for (round, opcode) in (0..).zip([0x2a, 0xaa, 0x8a]) {
        let data = pattern(round, 64 << 10);
        ok(&mut drive, driver, &command(opcode, round * 128, 128), &data);
        bench.disk.lose_power();
        let read = opcode - 2;
        assert!(get(&mut drive, driver, &command(read, round * 128, 128), 64 << 10) == data, "{opcode:x}");
    }
    let flushes = bench.disk.flushes();
    ok(&mut drive, driver, &command(0x35, 0, 0), &[]);
    ok(&mut drive, driver, &command(0x91, 0, 0), &[]);
    assert_eq!(bench.disk.flushes(), flushes + 2);
}

#[test]
fn a_full_host_is_no_fault_of_the_medium() {
    let memory = Arc::new(MemoryDisk::new(SIZE));
    let disk = Arc::new(FaultyDisk::new(memory.clone(), 1));
    let mut bench = Bench::of(disk.clone(), memory, Speed::Super);
    let mut drive = bench.drive();
    let driver = &mut bench.driver;
    let (write, data) = (command(0x2a, 0, 8), pattern(1, 4096));
    disk.leave_space(Some(0));
    assert_eq!(fails(&mut drive, driver, &write, &data), (7, 0x27, 7));
    disk.leave_space(None);
    ok(&mut drive, driver, &write, &data);
    disk.fail_flushes(true);
    assert_eq!(fails(&mut drive, driver, &command(0x35, 0, 0), &[]), (3, 0x0c, 0));
    assert_eq!(fails(&mut drive, driver, &write, &data), (3, 0x0c, 0), "it would not be durable");
}

#[test]
fn blocks_beyond_the_end_are_refused() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let blocks = (SIZE / 512) as u64;
    for (opcode, first, count) in
        [(0x28, blocks, 1), (0x28, blocks - 1, 2), (0x88, u64::MAX, 1), (0x88, u64::MAX, u32::MAX), (0xa8, 0, u32::MAX)]
    {
        assert_eq!(drive.read(driver, &command(opcode, first, count), 512).status, 1);
        assert_eq!(drive.sense(driver), (5, 0x21, 0));
    }
    assert_eq!(fails(&mut drive, driver, &command(0x8a, blocks, 1), &[0; 512]), (5, 0x21, 0));
    for opcode in [0x2f, 0x8f] {
        ok(&mut drive, driver, &command(opcode, blocks - 1, 1), &[]);
        assert_eq!(fails(&mut drive, driver, &command(opcode, blocks, 1), &[]), (5, 0x21, 0));
    }
    assert_eq!(fails(&mut drive, driver, &[0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0], &[]), (5, 0x24, 0), "no comparison");
    ok(&mut drive, driver, &command(0x28, blocks, 0), &[]);
}

#[test]
fn space_is_given_back() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    ok(&mut drive, driver, &command(0x2a, 0, 64), &[0x11; 64 * 512]);
    let range = |first: u64, count: u32| [&first.to_be_bytes()[..], &count.to_be_bytes(), &[0; 4]].concat();
    let list = |ranges: &[Vec<u8>]| {
        let body = ranges.concat();
        [&(body.len() as u16 + 6).to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &[0; 4], &body].concat()
    };
    let unmap = |list: &[u8]| [&[0x42, 0, 0, 0, 0, 0, 0][..], &(list.len() as u16).to_be_bytes(), &[0]].concat();
    let good = list(&[range(1, 2), range(8, 1)]);
    ok(&mut drive, driver, &unmap(&good), &good);
    let discarded = |block: usize| bench.disk.contents()[block * 512] == 0xdb;
    assert_eq!([0, 1, 2, 3, 8, 9].map(discarded), [false, true, true, false, true, false]);
    let bad = list(&[range(20, 1), range(SIZE as u64, 1)]);
    assert_eq!(fails(&mut drive, driver, &unmap(&bad), &bad), (5, 0x21, 0));
    assert!(!discarded(20), "all or nothing");
    assert_eq!(fails(&mut drive, driver, &unmap(&[0; 7]), &[0; 7]), (5, 0x1a, 0));
    ok(&mut drive, driver, &unmap(&[]), &[]);
}

#[test]
fn a_block_is_repeated() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let block = pattern(5, 512);
    ok(&mut drive, driver, &command(0x41, 2, 300), &block);
    let contents = bench.disk.contents();
    assert!(contents[..1024].iter().all(|b| *b == 0) && contents[302 * 512] == 0);
    assert!(contents[1024..302 * 512].chunks(512).all(|chunk| chunk == block));
    let mut unmap = command(0x93, 2, 100);
    unmap[1] = 8;
    ok(&mut drive, driver, &unmap, &[0; 512]);
    unmap[1] = 1;
    unmap[9] = 110;
    ok(&mut drive, driver, &unmap, &[]);
    let contents = bench.disk.contents();
    assert!(
        contents[1024..102 * 512].iter().all(|b| *b == 0) && contents[110 * 512..210 * 512].iter().all(|b| *b == 0)
    );
    assert!(contents[102 * 512..103 * 512] == block);
    assert_eq!(fails(&mut drive, driver, &command(0x93, 0, 0), &[0; 512]), (5, 0x24, 0));
}

#[test]
fn the_medium_is_ejected_and_put_in_by_both_sides() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    let no_medium = (2, 0x3a, 0);
    ok(&mut drive, driver, &[0x1e, 0, 0, 0, 1, 0], &[]);
    assert_eq!(fails(&mut drive, driver, &[0x1b, 0, 0, 0, 2, 0], &[]), (5, 0x53, 2), "removal is prevented");
    ok(&mut drive, driver, &[0x1e, 0, 0, 0, 0, 0], &[]);
    ok(&mut drive, driver, &[0x1b, 0, 0, 0, 0, 0], &[]);
    ok(&mut drive, driver, &[0x1b, 0, 0, 0, 2, 0], &[]);
    assert!(!bench.medium.is_loaded());
    assert_eq!(fails(&mut drive, driver, &[0; 6], &[]), no_medium);
    assert_eq!(drive.read(driver, &command(0x28, 0, 1), 512).status, 1);
    assert_eq!(drive.sense(driver), no_medium);
    assert_eq!(get(&mut drive, driver, &[0x12, 0, 0, 0, 36, 0], 36).len(), 36, "who it is can be asked at any time");
    ok(&mut drive, driver, &[0x1b, 0, 0, 0, 3, 0], &[]);
    assert_eq!(fails(&mut drive, driver, &[0; 6], &[]), (6, 0x28, 0), "it may be another");
    ok(&mut drive, driver, &[0; 6], &[]);
    bench.medium.eject();
    assert_eq!(fails(&mut drive, driver, &[0; 6], &[]), no_medium);
    bench.medium.insert();
    assert_eq!(fails(&mut drive, driver, &[0; 6], &[]), (6, 0x28, 0));
    ok(&mut drive, driver, &[0; 6], &[]);
}

#[test]
fn a_new_size_is_told_once() {
    let (mut bench, mut drive) = bench();
    let driver = &mut bench.driver;
    bench.disk.resize(2 * SIZE as u64).unwrap();
    assert_eq!(fails(&mut drive, driver, &[0; 6], &[]), (6, 0x2a, 9));
    ok(&mut drive, driver, &[0; 6], &[]);
    let last = (2 * SIZE / 512 - 1) as u32;
    assert_eq!(get(&mut drive, driver, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8)[..4], last.to_be_bytes());
}

#[test]
fn random_requests_leave_what_a_model_has() {
    let (mut bench, mut drive) = bench();
    let mut model = vec![0u8; SIZE];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) % below
    };
    for round in 0..150 {
        let driver = &mut bench.driver;
        let first = random(SIZE as u64 / 512 - 128);
        let count = 1 + random(127);
        let range = first as usize * 512..(first + count) as usize * 512;
        let read = [0x28, 0x88, 0xa8][random(3) as usize];
        match random(3) {
            0 => {
                let got = get(&mut drive, driver, &command(read, first, count as u32), count as u32 * 512);
                assert!(got == model[range], "round {round}");
            }
            1 => {
                let data = pattern(round, range.len());
                ok(&mut drive, driver, &command(0x2a, first, count as u32), &data);
                model[range].copy_from_slice(&data);
            }
            _ => {
                let block = pattern(round, 512);
                ok(&mut drive, driver, &command(0x93, first, count as u32), &block);
                model[range].chunks_mut(512).for_each(|chunk| chunk.copy_from_slice(&block));
            }
        }
    }
    assert!(bench.disk.contents() == model);
    assert_eq!(bench.disk.size(), SIZE as u64);
}
