//! VMDK images from any bytes: sparse and compressed ones that `qemu-img` might have made with bytes changed, and
//! descriptors; opened and read in bounded time and memory.
#![no_main]

use std::io::IoSliceMut;
use std::sync::Arc;

use block::contract::MemoryDisk;
use block::vmdk::{DESCRIPTOR, MAGIC, Vmdk};
use block::{Disk, Error};
use libfuzzer_sys::fuzz_target;

/// A sparse extent of 64 grains of 4 KiB with a directory at sector 2, one table at sector 3 and two grains. With
/// `packed` its grains are compressed.
fn image(packed: bool) -> Vec<u8> {
    let mut file = vec![0; 32 * 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(4, &1u32.to_le_bytes());
    put(8, &(if packed { 0x3_0000u32 } else { 0 }).to_le_bytes());
    put(12, &512u64.to_le_bytes());
    put(20, &8u64.to_le_bytes());
    put(44, &64u32.to_le_bytes());
    put(56, &2u64.to_le_bytes());
    put(77, &[u8::from(packed)]);
    put(2 * 512, &3u32.to_le_bytes());
    put(3 * 512, &8u32.to_le_bytes());
    put(3 * 512 + 20, &16u32.to_le_bytes());
    // The marker of grain 5: its sector, and so many bytes.
    put(16 * 512, &40u64.to_le_bytes());
    put(16 * 512 + 8, &1000u32.to_le_bytes());
    file
}

// One byte says which image, one how many changes to it; changes of an offset and four bytes; requests.
fuzz_target!(|data: &[u8]| {
    let Some((&[kind, changes], mut rest)) = data.split_first_chunk() else { return };
    let file = if kind % 3 == 2 {
        [DESCRIPTOR, b"\n", rest].concat()
    } else {
        let mut file = image(kind % 3 == 1);
        for _ in 0..changes {
            let Some((change, more)) = rest.split_first_chunk::<6>() else { break };
            rest = more;
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (file.len() - 4);
            file[at..at + 4].copy_from_slice(&change[2..]);
        }
        file
    };
    let mut open =
        |_: &str| -> Result<Arc<dyn Disk>, Error> { Ok(Arc::new(MemoryDisk::holding(image(kind & 8 == 0)))) };
    let Ok(disk) = Vmdk::open(Arc::new(MemoryDisk::holding(file)), &mut open) else { return };
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
