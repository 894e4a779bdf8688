//! Bit patterns of instructions, parsed at compile time.

/// A named field of an instruction word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The manual's name.
    pub name: &'static str,
    /// Lowest bit.
    pub lo: u8,
    /// Number of bits.
    pub len: u8,
}

/// Most fields that one pattern can have.
const MAX_FIELDS: usize = 12;

/// Which words are this instruction: those with `word & mask == value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// The fixed bits.
    pub mask: u32,
    /// Their values.
    pub value: u32,
    fields: [Field; MAX_FIELDS],
    count: usize,
}

impl Pattern {
    /// Parses `"sf:1 0 0 100010 sh:1 imm12:12 Rn:5 Rd:5"`; a mistake stops the compiler.
    #[must_use]
    pub const fn parse(text: &'static str) -> Self {
        let mut p = Self { mask: 0, value: 0, fields: [Field { name: "", lo: 0, len: 0 }; MAX_FIELDS], count: 0 };
        let mut bit = 32u32;
        let mut at = 0;
        let bytes = text.as_bytes();
        while at < bytes.len() {
            match bytes[at] {
                b' ' => at += 1,
                b'0' | b'1' => {
                    bit -= 1;
                    p.mask |= 1 << bit;
                    p.value |= ((bytes[at] - b'0') as u32) << bit;
                    at += 1;
                }
                _ => {
                    let start = at;
                    while bytes[at] != b':' {
                        at += 1;
                    }
                    let name = text.split_at(at).0.split_at(start).1;
                    let mut len = 0;
                    at += 1;
                    while at < bytes.len() && bytes[at] != b' ' {
                        len = len * 10 + (bytes[at] - b'0') as u32;
                        at += 1;
                    }
                    bit -= len;
                    p.fields[p.count] = Field { name, lo: bit as u8, len: len as u8 };
                    p.count += 1;
                }
            }
        }
        assert!(bit == 0, "a pattern has 32 bits");
        p
    }

    /// The named fields, from the highest bits down.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields[..self.count]
    }

    /// Whether `word` is this instruction.
    #[must_use]
    pub const fn matches(&self, word: u32) -> bool {
        word & self.mask == self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_fixed_bits_and_fields() {
        let p = Pattern::parse("sf:1 0 0 100010 sh:1 imm12:12 Rn:5 Rd:5");
        assert_eq!((p.mask, p.value), (0x7f80_0000, 0x1100_0000));
        assert_eq!(p.fields()[2], Field { name: "imm12", lo: 10, len: 12 });
        assert!(p.matches(0x9100_43ff) && !p.matches(0xd100_43ff));
    }
}
