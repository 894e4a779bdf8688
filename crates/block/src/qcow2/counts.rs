//! The refcounts in a refcount block: 1 to 64 bits each (`qcow2.txt`, "Host cluster management").

/// The count at `index` of a block with counts of `1 << order` bits.
pub(super) fn get(block: &[u8], order: u32, index: usize) -> u64 {
    if order < 3 {
        let (bits, mask, at) = sub_byte(order, index);
        return u64::from(block[at] >> bits & mask);
    }
    let bytes = 1 << (order - 3);
    block[index * bytes..][..bytes].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Sets it; `count` fits, or is cut to what fits.
pub(super) fn set(block: &mut [u8], order: u32, index: usize, count: u64) {
    if order < 3 {
        let (bits, mask, at) = sub_byte(order, index);
        block[at] = block[at] & !(mask << bits) | (count as u8 & mask) << bits;
        return;
    }
    let bytes = 1 << (order - 3);
    block[index * bytes..][..bytes].copy_from_slice(&count.to_be_bytes()[8 - bytes..]);
}

/// The largest count of `1 << order` bits.
pub(super) fn most(order: u32) -> u64 {
    u64::MAX >> (64 - (1 << order))
}

/// Shift, mask and byte of a count that is smaller than a byte: the first is in the lowest bits.
fn sub_byte(order: u32, index: usize) -> (u32, u8, usize) {
    let per_byte = 8 >> order;
    let width = 1 << order;
    ((index % per_byte) as u32 * width, ((1u16 << width) - 1) as u8, index / per_byte)
}

/// Where in the block the count at `index` is.
pub(super) fn byte(order: u32, index: usize) -> usize {
    (index << order) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width_keep_apart() {
        for order in 0..=6 {
            let mut block = vec![0; 64];
            let counts = (64 * 8) >> order;
            let most = most(order);
            for i in 0..counts {
                set(&mut block, order, i, (i as u64 * 7 + 1) & most);
            }
            for i in 0..counts {
                assert_eq!(get(&block, order, i), (i as u64 * 7 + 1) & most, "order {order} index {i}");
            }
        }
        let mut block = [0; 2];
        set(&mut block, 4, 0, 0x102);
        assert_eq!(block, [1, 2]);
    }
}
