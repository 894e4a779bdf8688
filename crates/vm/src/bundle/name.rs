//! Names of machines.

use std::fmt;
use std::str::FromStr;

use super::BundleError;

/// Longest name, in bytes.
const MAX: usize = 63;

/// The name of a machine, which is that of its folder, too: letters, digits, `-`, `_` and `.`, not `.` or `-` first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineName(String);

impl MachineName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MachineName {
    type Err = BundleError;

    fn from_str(text: &str) -> Result<Self, BundleError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        match (1..=MAX).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['.', '-']) {
            true => Ok(Self(text.to_owned())),
            false => Err(BundleError::Name(text.escape_debug().take(MAX).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plain_files() {
        for good in ["a", "debian", "sonoma-14.5_b", &"x".repeat(63)] {
            assert_eq!(good.parse::<MachineName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "é", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<MachineName>().is_err(), "{bad:?}");
        }
    }
}
