//! VHDX images from any bytes: one that `qemu-img` might have made with bytes changed and its checksums made right, opened
//! and read in bounded time and memory.
#![no_main]

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, LazyLock};

use block::Disk;
use block::contract::MemoryDisk;
use block::vhdx::{MAGIC, Vhdx, checksum};
use libfuzzer_sys::fuzz_target;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Where the structures are: one header, one region table, the block allocation table, the metadata and its items.
const HEADER: usize = 64 * KIB;
const TABLE: usize = 192 * KIB;
const BAT: usize = MIB;
const METADATA: usize = 2 * MIB;
const ITEMS: usize = METADATA + 64 * KIB;
/// What is changed, and how much from there on.
const CHANGED: [usize; 5] = [HEADER, TABLE, BAT, METADATA, ITEMS];
const REACH: usize = 256 + 4;

/// The image as it is at first, and one that inputs change: it is too large to be made for each.
static IMAGE: LazyLock<(Vec<u8>, Arc<MemoryDisk>)> =
    LazyLock::new(|| (image(), Arc::new(MemoryDisk::holding(image()))));

/// A disk of 8 blocks of 1 MiB, of which the third is in the file.
fn image() -> Vec<u8> {
    let mut file = vec![0; 4 * MIB];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    let u32 = |value: usize| (value as u32).to_le_bytes();
    put(0, &MAGIC);
    put(HEADER, b"head");
    put(HEADER + 66, &[1]);
    put(TABLE, b"regi");
    put(TABLE + 8, &u32(2));
    let regions = [
        (BAT, *b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08"),
        (METADATA, *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"),
    ];
    for (number, (at, guid)) in regions.into_iter().enumerate() {
        let entry = TABLE + 16 + number * 32;
        put(entry, &guid);
        put(entry + 16, &u32(at));
        put(entry + 24, &u32(MIB));
        put(entry + 28, &u32(1));
    }
    put(METADATA, b"metadata");
    let items = [
        (MIB, *b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b"),
        (8 * MIB, *b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8"),
        (512, *b"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f"),
        (4096, *b"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56"),
    ];
    put(METADATA + 10, &[items.len() as u8]);
    for (number, (value, guid)) in items.into_iter().enumerate() {
        let entry = METADATA + 32 + number * 32;
        put(entry, &guid);
        put(entry + 16, &u32(64 * KIB + number * 16));
        put(entry + 20, &u32(8));
        put(entry + 24, &u32(4));
        put(ITEMS + number * 16, &u32(value));
    }
    put(BAT + 16, &u32((3 * MIB) | 6));
    file
}

// One byte says how many changes; changes of a place, an offset there and four bytes; requests.
fuzz_target!(|data: &[u8]| {
    let Some((&changes, mut rest)) = data.split_first() else { return };
    let (clean, file) = &*IMAGE;
    let put = |at: usize, bytes: &[u8]| file.write(at as u64, &[IoSlice::new(bytes)]).expect("it is in memory");
    CHANGED.iter().for_each(|at| put(*at, &clean[*at..at + REACH]));
    for _ in 0..changes {
        let Some((change, more)) = rest.split_first_chunk::<6>() else { break };
        rest = more;
        put(CHANGED[usize::from(change[0]) % CHANGED.len()] + usize::from(change[1]), &change[2..]);
    }
    for (at, len) in [(HEADER, 4 * KIB), (TABLE, 64 * KIB)] {
        let mut bytes = vec![0; len];
        file.read(at as u64, &mut [IoSliceMut::new(&mut bytes)]).expect("it is in memory");
        put(at + 4, &checksum(&bytes).to_le_bytes());
    }
    let Ok(disk) = Vhdx::open(file.clone()) else { return };
    for request in rest.chunks_exact(8).take(64) {
        let number = u64::from_le_bytes(request.try_into().expect("eight bytes"));
        let offset = number % disk.size().max(1);
        let len = (number >> 40) % 100_000 % (disk.size() - offset.min(disk.size()) + 1);
        let _ = disk.read(offset, &mut [IoSliceMut::new(&mut vec![0; len as usize])]);
        if let Ok(extent) = disk.extent(offset, len.max(1)) {
            assert!(extent.len >= 1 && extent.len <= len.max(1));
        }
    }
});
