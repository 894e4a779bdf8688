//! What a part of a file is a part of.

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// Is beside a part, and says what it is a part of and how much of it has reached the disk for sure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// Where it comes from, without the user's name and password.
    pub(crate) url: String,
    /// By which the server knows this version of the file again (RFC 9110, section 8.8): a strong entity tag, else a
    /// date. Without one there is no telling whether the rest belongs to what is here.
    pub(crate) validator: Option<String>,
    /// Bytes of the whole file, where the server said.
    pub(crate) length: Option<u64>,
    /// The whole file's checksum, where the server said.
    pub(crate) sum: Option<Sha256>,
    /// Bytes that were made durable. After a loss of power what is behind them may be anything.
    pub(crate) durable: u64,
}

impl Note {
    /// Whether `other` is of the same version of the same file, as far as both say.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.url == other.url && self.validator == other.validator && self.length == other.length
    }
}
