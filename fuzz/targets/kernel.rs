//! The loader, given any file for a kernel and an initial RAM disk.
#![no_main]

use std::io::{Seek, Write};

use libfuzzer_sys::fuzz_target;
use machine::loader::{load_initrd, load_kernel};

fuzz_target!(|file: &[u8]| {
    let memory = machine::memory::map(machine::memory::RAM_MIN, false).unwrap();
    let mut on_disk = tempfile::tempfile().unwrap();
    on_disk.write_all(file).unwrap();
    on_disk.rewind().unwrap();
    let end = machine::layout::RAM_BASE + machine::memory::RAM_MIN;
    if let Ok(kernel) = load_kernel(&on_disk, &memory) {
        assert!(kernel.entry < kernel.end && kernel.end <= end);
    }
    on_disk.rewind().unwrap();
    if let Ok(initrd) = load_initrd(&on_disk, &memory, end - 0x10_0000) {
        assert!(initrd.start <= initrd.end && initrd.end <= end);
    }
});
