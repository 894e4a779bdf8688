//! Registers as 32-bit words behind accesses of any width.
//!
//! A device states what each aligned word reads and what a write does to it; these functions cut a guest's access of
//! 1, 2, 4 or 8 bytes into words, low word first. A write comes with the byte lanes that it covers, so that a device
//! meets partial writes in one place: `(old & !lanes) | value`, where `value` is zero outside its lanes.

/// Reads `data.len()` bytes at `offset` from words that `word(aligned offset)` gives.
pub fn read(offset: u64, data: &mut [u8], mut word: impl FnMut(u64) -> u32) {
    let mut done = 0;
    while done < data.len() {
        let at = offset.wrapping_add(done as u64);
        let first = (at & 3) as usize;
        let count = (4 - first).min(data.len() - done);
        let bytes = word(at & !3).to_le_bytes();
        data[done..done + count].copy_from_slice(&bytes[first..first + count]);
        done += count;
    }
}

/// Writes `data` at `offset` to words that `word(aligned offset, value, lanes)` takes.
pub fn write(offset: u64, data: &[u8], mut word: impl FnMut(u64, u32, u32)) {
    let mut done = 0;
    while done < data.len() {
        let at = offset.wrapping_add(done as u64);
        let first = (at & 3) as usize;
        let count = (4 - first).min(data.len() - done);
        let (mut value, mut lanes) = ([0; 4], [0; 4]);
        value[first..first + count].copy_from_slice(&data[done..done + count]);
        lanes[first..first + count].fill(0xff);
        word(at & !3, u32::from_le_bytes(value), u32::from_le_bytes(lanes));
        done += count;
    }
}

/// What a word holds after a write to some of its lanes.
#[must_use]
pub fn merge(old: u32, value: u32, lanes: u32) -> u32 {
    (old & !lanes) | (value & lanes)
}

/// Writes one half of a 64-bit register: `high` tells which, by bit 2 of the word's offset.
#[must_use]
pub fn merge64(old: u64, high: bool, value: u32, lanes: u32) -> u64 {
    let shift = if high { 32 } else { 0 };
    let half = merge((old >> shift) as u32, value, lanes);
    (old & !(0xffff_ffff << shift)) | u64::from(half) << shift
}

/// One half of a 64-bit register.
#[must_use]
pub fn half(value: u64, high: bool) -> u32 {
    (if high { value >> 32 } else { value }) as u32
}

/// Size of the window of an Arm PrimeCell.
pub const PRIMECELL_SIZE: u64 = 0x1000;

/// The identification registers of a PrimeCell, the last 32 bytes of its window: `peripheral` is its PeriphID3..0 as
/// one number (part, designer, revision, configuration). Zero elsewhere.
#[must_use]
pub fn primecell_id(offset: u64, peripheral: u32) -> u32 {
    const PERIPH_ID: u64 = 0xfe0;
    const PCELL_ID: u64 = 0xff0;
    let byte = |id: u32, from: u64| u32::from(id.to_le_bytes()[((offset - from) / 4) as usize]);
    match offset {
        PERIPH_ID..PCELL_ID => byte(peripheral, PERIPH_ID),
        PCELL_ID..PRIMECELL_SIZE => byte(0xb105_f00d, PCELL_ID),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_takes_its_bytes_out_of_the_words() {
        let word = |at: u64| 0x0302_0100 + (at as u32) * 0x0101_0101;
        for (offset, len) in [(0, 1), (3, 1), (2, 2), (3, 2), (4, 4), (5, 4), (8, 8), (1, 8)] {
            let mut data = vec![0xee; len];
            read(offset, &mut data, word);
            let want: Vec<u8> = (0..len as u8).map(|i| offset as u8 + i).collect();
            assert_eq!(data, want, "{len} bytes at {offset}");
        }
    }

    #[test]
    fn a_write_names_the_lanes_it_covers() {
        let mut seen = Vec::new();
        write(6, &[1, 2, 3, 4], |at, value, lanes| seen.push((at, value, lanes)));
        assert_eq!(seen, [(4, 0x0201_0000, 0xffff_0000), (8, 0x0403, 0xffff)]);
        assert_eq!(merge(0x1111_1111, 0x0201_0000, 0xffff_0000), 0x0201_1111);
        assert_eq!(merge64(0x1111_1111_2222_2222, true, 0x33, 0xff), 0x1111_1133_2222_2222);
        assert_eq!(half(merge64(1, false, 7, u32::MAX), false), 7);
    }

    #[test]
    fn the_last_byte_of_the_address_space_is_no_special_case() {
        read(u64::MAX, &mut [0; 8], |_| 0);
        write(u64::MAX, &[0; 8], |_, _, _| ());
    }
}
