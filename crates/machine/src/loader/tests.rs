//! Files of every kind that is known, and damaged ones.

use std::fs::File;
use std::io::Write;

use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::layout::RAM_BASE;
use crate::memory;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// An Image of `len` bytes that says it needs `image_size`.
fn image(len: usize, text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut image: Vec<u8> = (0..len).map(|i| ((i * 7) >> 3) as u8).collect();
    image[8..16].copy_from_slice(&text_offset.to_le_bytes());
    image[16..24].copy_from_slice(&image_size.to_le_bytes());
    image[24..32].copy_from_slice(&flags.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zboot(method: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 0x1000];
    out[..8].copy_from_slice(b"MZ\0\0zimg");
    out[8..12].copy_from_slice(&0x1000u32.to_le_bytes());
    out[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out[24..24 + method.len()].copy_from_slice(method.as_bytes());
    out.extend(payload);
    out.extend([0xaa; 100]);
    out
}

fn memory() -> GuestMemory {
    memory::map(memory::RAM_MIN, false).unwrap()
}

fn load(bytes: &[u8]) -> Result<Kernel, LoadError> {
    load_kernel(&file(bytes), &memory())
}

#[test]
fn an_image_arrives_unchanged_however_it_is_packed() {
    let plain = image(300_001, 0, 400_000, 0xa);
    let mut trailing = gzip(&plain);
    trailing.extend([1, 2, 3, 4]);
    for (name, bytes) in [
        ("plain", plain.clone()),
        ("gzip", gzip(&plain)),
        ("gzip with a tail", trailing),
        ("zstd", zstd(&plain)),
        ("zboot gzip", zboot("gzip", &gzip(&plain))),
        ("zboot zstd", zboot("zstd22", &zstd(&plain))),
    ] {
        let memory = memory();
        let file = file(&bytes);
        // The second time is a reset of the machine.
        for _ in 0..2 {
            let kernel = load_kernel(&file, &memory).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(kernel, Kernel { entry: RAM_BASE, end: RAM_BASE + 400_000 }, "{name}");
            let mut got = vec![0; plain.len()];
            memory.read_slice(&mut got, GuestAddress(RAM_BASE)).unwrap();
            assert!(got == plain, "{name}");
        }
    }
}

#[test]
fn the_header_decides_where_a_kernel_goes() {
    let kernel = load(&image(5000, 0x8_0000, 6000, 0)).unwrap();
    assert_eq!(kernel, Kernel { entry: RAM_BASE + 0x8_0000, end: RAM_BASE + 0x8_0000 + 6000 });
    // An old kernel says nothing of its size.
    let kernel = load(&image(5000, 0, 0, 0)).unwrap();
    assert_eq!(kernel, Kernel { entry: RAM_BASE + 0x8_0000, end: RAM_BASE + 0x8_0000 + 5000 });
    for bad in [image(5000, 2 << 20, 6000, 0), image(5000, 12, 6000, 0), image(5000, 0, 6000, 1)] {
        assert!(matches!(load(&bad), Err(LoadError::Header(_))));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let ram = memory::RAM_MIN;
    for size in [ram + 1, u64::MAX, u64::MAX - RAM_BASE] {
        assert!(matches!(load(&image(5000, 0, size, 0)), Err(LoadError::TooBig { .. })), "{size:#x}");
    }
    assert!(load(&image(5000, 0, ram, 0)).is_ok());
    let long = image(ram as usize + 1, 0, 5000, 0);
    assert!(matches!(load(&long), Err(LoadError::TooBig { .. })));
    // A small file that unpacks to a big one.
    assert!(matches!(load(&gzip(&long)), Err(LoadError::TooBig { .. })));
}

#[test]
fn what_is_no_kernel_is_named() {
    let mut x86 = vec![0; 0x400];
    x86[0x202..0x206].copy_from_slice(b"HdrS");
    for (bytes, part) in [
        (vec![], "an empty file"),
        (x86, "one for x86"),
        (b"\x7fELF".to_vec(), "vmlinux"),
        (b"MZ".to_vec(), "an EFI program"),
        (b"hello, this is a text".to_vec(), "not in a format"),
        (gzip(&[0; 100]), "no arm64 Image in it"),
        (b"\xfd7zXZ".to_vec(), "xz"),
        (zboot("lz4", b"..."), "lz4"),
    ] {
        let error = load(&bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn damaged_files_are_errors() {
    let plain = image(100_000, 0, 100_000, 0);
    let gz = gzip(&plain);
    assert!(matches!(load(&gz[..gz.len() / 2]), Err(LoadError::Read { .. })));
    let mut wrong_sum = gz.clone();
    let at = gz.len() - 8;
    wrong_sum[at] ^= 1;
    assert!(matches!(load(&wrong_sum), Err(LoadError::Read { .. })));
    let zst = zstd(&plain);
    assert!(load(&zst[..zst.len() / 2]).is_err());
    assert!(load(&zst[..5]).is_err());
    for (offset, size) in [(0u32, 10u32), (0x1000, 0), (0x1000, u32::MAX), (u32::MAX, 1)] {
        let mut z = zboot("gzip", &gz);
        z[8..12].copy_from_slice(&offset.to_le_bytes());
        z[12..16].copy_from_slice(&size.to_le_bytes());
        assert!(matches!(load(&z), Err(LoadError::Header(_))), "{offset:#x} {size:#x}");
    }
    for len in 0..64 {
        assert!(load(&plain[..len]).is_err());
    }
}

#[test]
fn an_initial_ram_disk_lies_where_it_is_told() {
    let memory = memory();
    let at = RAM_BASE + 0x20_0000;
    let got = load_initrd(&file(&[7; 5000]), &memory, at).unwrap();
    assert_eq!(got, at..at + 5000);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(at + 4999)).unwrap(), 7);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(at + 5000)).unwrap(), 0);
    let end = RAM_BASE + memory::RAM_MIN;
    assert!(load_initrd(&file(&[7; 5000]), &memory, end - 5000).is_ok());
    assert!(matches!(load_initrd(&file(&[7; 5000]), &memory, end - 4999), Err(LoadError::TooBig { .. })));
    assert!(matches!(load_initrd(&file(&[7; 5000]), &memory, end + 4096), Err(LoadError::TooBig { .. })));
    assert!(matches!(load_initrd(&file(&[]), &memory, at), Err(LoadError::Read { .. })));
}
