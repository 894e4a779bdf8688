//! Tiny arm64 kernels, assembled by hand, for tests of the command that need no Linux.

use std::path::{Path, PathBuf};

/// Where the board has its PL011.
const UART: u32 = 0x0900_0000;

/// `b .`
pub const LOOP: &[u32] = &[0x1400_0000];
/// PSCI SYSTEM_OFF: `movz x0, #8; movk x0, #0x8400, lsl #16; hvc #0`
pub const POWER_OFF: &[u32] = &[0xd280_0100, 0xf2b0_8000, 0xd400_0002];
/// PSCI SYSTEM_RESET: `movz x0, #9; movk x0, #0x8400, lsl #16; hvc #0`
pub const RESET: &[u32] = &[0xd280_0120, 0xf2b0_8000, 0xd400_0002];

/// Code that writes `text` to the PL011.
pub fn print(text: &str) -> Vec<u32> {
    // movz x1, #(UART >> 16), lsl #16
    let mut code = vec![0xd2a0_0001 | (UART >> 16) << 5];
    for byte in text.bytes() {
        code.push(0x5280_0002 | u32::from(byte) << 5); // movz w2, #byte
        code.push(0xb900_0022); // str w2, [x1]
    }
    code
}

/// Code that writes 131072 bytes to the PL011, more than a pipe holds.
pub fn print_much() -> Vec<u32> {
    // mov w3, #0x20000; 1: str w2, [x1]; subs w3, w3, #1; b.ne 1b
    [print("x"), vec![0x52a0_0043, 0xb900_0022, 0x7100_0463, 0x54ff_ffc1]].concat()
}

/// Code that writes to the PL011 for ever, without haste.
pub fn tick() -> Vec<u32> {
    // 1: str w2, [x1]; mov w3, #0xffff; 2: subs w3, w3, #1; b.ne 2b; b 1b
    [print("x"), vec![0xb900_0022, 0x529f_ffe3, 0x7100_0463, 0x54ff_ffe1, 0x17ff_fffc]].concat()
}

/// Writes a kernel of `code` (Linux `Documentation/arch/arm64/booting.rst`, the header of 64 bytes) into `folder`.
pub fn kernel(folder: &Path, code: &[u32]) -> PathBuf {
    let mut image = vec![0u8; 64];
    image[0..4].copy_from_slice(&0x1400_0010_u32.to_le_bytes()); // b .+64
    image[16..24].copy_from_slice(&0x1_0000_u64.to_le_bytes()); // image_size
    image[24..32].copy_from_slice(&0xa_u64.to_le_bytes()); // flags: 4 KiB pages, anywhere in memory
    image[56..60].copy_from_slice(b"ARM\x64");
    image.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    image.resize(0x1_0000, 0);
    let path = folder.join("Image");
    std::fs::write(&path, image).unwrap();
    path
}
