//! A reproducible stream of choices.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), seeded by the caller.
pub struct Random(u64);

impl Random {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next_u64().to_le_bytes());
        words.take(len.div_ceil(8)).flatten().take(len).collect()
    }

    /// A range inside `size` bytes and at most `longest` long: often aligned, often at an end, sometimes empty.
    pub fn range(&mut self, size: u64, longest: u64) -> (u64, u64) {
        let unit = [1, 512, 4096, 65536][self.below(4) as usize];
        let longest = longest.min(size);
        let len = (self.below(longest + 1) >> self.below(12)) / unit * unit;
        let offset = match self.below(8) {
            0 => 0,
            1 => size - len,
            _ => self.below(size - len + 1) / unit * unit,
        };
        (offset, len)
    }

    /// The length of the next slice of `rest` bytes, which are not none.
    pub fn piece(&mut self, rest: usize) -> usize {
        match self.below(3) {
            0 => rest,
            1 => 1 + self.below(rest as u64) as usize,
            _ => 1 + self.below(rest.min(700) as u64) as usize,
        }
    }
}
