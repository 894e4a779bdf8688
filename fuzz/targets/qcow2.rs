//! qcow2 images from any bytes: opened, checked, read, written, resized and flushed, in bounded time and memory.
#![no_main]

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::Disk;
use block::contract::MemoryDisk;
use block::qcow2::{self, BackingName, CreateOptions, Qcow2};
use libfuzzer_sys::fuzz_target;

/// Bytes of a request at most.
const LONGEST: u64 = 100_000;
/// The image whose bytes are changed: so that the fuzzer need not find the header by itself.
fn image(bits: u32, backing: bool) -> Vec<u8> {
    let store = MemoryDisk::new(0);
    let backing = backing.then(|| BackingName { name: "below".into(), format: Some("raw".into()) });
    let options = CreateOptions { cluster_bits: 9 + bits % 8, backing, ..CreateOptions::new(1 << 20) };
    qcow2::create(&store, &options).expect("an image in memory");
    store.contents()
}

// One byte says which image; how many changes to it; changes of an offset and eight bytes; requests.
fuzz_target!(|data: &[u8]| {
    let Some((&[kind, changes], mut rest)) = data.split_first_chunk() else { return };
    let mut file = image(kind.into(), kind & 0x80 != 0);
    for _ in 0..changes {
        let Some((change, more)) = rest.split_first_chunk::<11>() else { break };
        rest = more;
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        let len = usize::from(change[2] % 8 + 1).min(file.len() - at);
        file[at..at + len].copy_from_slice(&change[3..3 + len]);
    }
    let store: Arc<MemoryDisk> = Arc::new(MemoryDisk::holding(file));
    let _ = qcow2::check(&*store);
    let backing = || -> Option<Arc<dyn Disk>> { Some(Arc::new(MemoryDisk::new(700_000).read_only())) };
    let opened = Qcow2::open(store.clone(), None).or_else(|_| Qcow2::open(store, backing()));
    let Ok(disk) = opened else { return };
    for request in rest.chunks_exact(8).take(64) {
        let number = u64::from_le_bytes(request.try_into().expect("eight bytes"));
        let offset = (number >> 3) % disk.size().max(1);
        let len = (number >> 40) % (LONGEST.min(disk.size() - offset.min(disk.size())) + 1);
        let mut buf = vec![7; len as usize];
        let _ = match number % 8 {
            0 | 1 => disk.read(offset, &mut [IoSliceMut::new(&mut buf)]),
            2 | 3 => disk.write(offset, &[IoSlice::new(&buf)]),
            4 => disk.discard(offset, len),
            5 => disk.write_zeroes(offset, len, number >> 39 & 1 == 0),
            6 if number >> 56 == 0 => disk.resize((number >> 3) % (64 << 20)),
            _ => disk.flush(),
        };
        if let Ok(extent) = disk.extent(offset, len.max(1)) {
            assert!(extent.len >= 1 && extent.len <= len.max(1));
        }
    }
});
