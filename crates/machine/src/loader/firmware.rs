//! Firmware: plain code, copied to where the CPU begins.

use std::fs::File;
use std::io::Read;

use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::{LoadError, Section};
use crate::layout::FIRMWARE;

/// Bytes that are copied at once.
const CHUNK: usize = 64 << 10;

/// Copies the firmware in `file` to its place in `memory`.
///
/// # Errors
/// When the file cannot be read, is empty or is longer than its place.
pub fn load_firmware(file: &File, memory: &GuestMemory) -> Result<(), LoadError> {
    let what = "firmware";
    let read = |source| LoadError::Read { what, source };
    let len = file.metadata().map_err(read)?.len();
    if len == 0 || len > FIRMWARE.size {
        return Err(LoadError::NotFirmware { len, most: FIRMWARE.size >> 20 });
    }
    let mut section = Section { file, at: 0, end: len };
    let mut chunk = vec![0; CHUNK];
    let mut at = FIRMWARE.base;
    loop {
        let got = section.read(&mut chunk).map_err(read)?;
        if got == 0 {
            return Ok(());
        }
        // Images are padded with zeroes to the size of a flash part: memory has them already.
        if chunk[..got].iter().any(|byte| *byte != 0) {
            memory
                .write_slice(&chunk[..got], GuestAddress(at))
                .map_err(|_| LoadError::NotFirmware { len, most: FIRMWARE.size >> 20 })?;
        }
        at += got as u64;
    }
}
