//! Sizes as people write them.

/// Reads `10G`, `512M`, `4096`: bytes, with K, M, G, T for powers of 1024.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: give bytes, or a number with K, M, G or T, such as 20G");
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches("IB").trim_end_matches('B');
    let (number, shift) = match digits.char_indices().last() {
        Some((at, 'K')) => (&digits[..at], 10),
        Some((at, 'M')) => (&digits[..at], 20),
        Some((at, 'G')) => (&digits[..at], 30),
        Some((at, 'T')) => (&digits[..at], 40),
        _ => (digits, 0),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// The same in words: `20 GiB`.
pub(crate) fn words(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A new size, or by how much an old one changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewSize {
    Exactly(u64),
    More(u64),
    Less(u64),
}

impl NewSize {
    /// Reads `20G`, `+5G`, `-5G`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(more), _) => parse(more).map(Self::More),
            (_, Some(less)) => parse(less).map(Self::Less),
            _ => parse(text).map(Self::Exactly),
        }
    }

    /// The size that a disk of `old` bytes is to get.
    pub(super) fn of(self, old: u64) -> Option<u64> {
        match self {
            Self::Exactly(size) => Some(size),
            Self::More(more) => old.checked_add(more),
            Self::Less(less) => old.checked_sub(less),
        }
    }
}

/// log2 of a cluster size, as `--cluster-size` takes it.
pub(super) fn cluster_bits(text: &str) -> Result<u32, String> {
    match parse(text)? {
        size if size.is_power_of_two() && (512..=2 << 20).contains(&size) => Ok(size.ilog2()),
        _ => Err("a cluster has 512 bytes to 2M, a power of two".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_people() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("10k", 10240), ("20G", 20 << 30), ("1TiB", 1 << 40), ("5MB", 5 << 20)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1.5G", "-1", "99999999T", "ten"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(NewSize::parse("+1G").unwrap().of(1 << 30), Some(2 << 30));
        assert_eq!(NewSize::parse("-2G").unwrap().of(1 << 30), None);
        assert_eq!(cluster_bits("64k"), Ok(16));
        assert!(cluster_bits("63k").is_err() && cluster_bits("4M").is_err());
    }
}
