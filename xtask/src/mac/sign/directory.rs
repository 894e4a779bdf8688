//! The code directory: a hash of each page, and of each other part of the signature (`CS_CodeDirectory` in `cs_blobs.h`).

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::blobs::{Special, blob, number};

/// `CSMAGIC_CODEDIRECTORY`.
const MAGIC: u32 = 0xfade_0c02;
/// `CS_SUPPORTSEXECSEG`: the first version that says which segment is executable.
const VERSION: u32 = 0x2_0400;
/// `CS_ADHOC`.
const AD_HOC: u32 = 0x2;
/// `CS_HASHTYPE_SHA256`.
const SHA256: u8 = 2;
/// Of a hash, in bytes.
const HASH: usize = 32;
/// Pages are of 4 KiB, as a power of two.
const PAGE_BITS: u8 = 12;
/// The fixed part with its magic number and length, in bytes.
const HEADER: usize = 88;
/// The slots below the pages, of which the last is that of the DER entitlements.
const SPECIAL_SLOTS: u32 = 7;
/// `CS_EXECSEG_MAIN_BINARY`.
const MAIN_BINARY: u64 = 1;

/// What a code directory says.
pub(super) struct Directory<'a> {
    pub(super) identifier: &'a str,
    /// Where the signature begins: all before it is hashed.
    pub(super) code_limit: u64,
    /// Offset and size of the segment `__TEXT` in the file.
    pub(super) text: (u64, u64),
}

impl Directory<'_> {
    /// How long it is, in bytes.
    pub(super) fn size(&self) -> usize {
        self.hashes() + self.pages() * HASH
    }

    fn pages(&self) -> usize {
        usize::try_from(self.code_limit.div_ceil(1 << PAGE_BITS)).unwrap_or(usize::MAX)
    }

    /// Where the hashes of the pages begin. Those of the special slots are before them, backwards.
    fn hashes(&self) -> usize {
        HEADER + self.identifier.len() + 1 + SPECIAL_SLOTS as usize * HASH
    }

    /// Hashes `code`, which is the file up to the signature.
    pub(super) fn make(&self, code: &[u8], special: &Special) -> Result<Vec<u8>> {
        let mut contents = Vec::with_capacity(self.size());
        contents.extend(VERSION.to_be_bytes());
        contents.extend(AD_HOC.to_be_bytes());
        contents.extend(number(self.hashes()));
        contents.extend(number(HEADER));
        contents.extend(SPECIAL_SLOTS.to_be_bytes());
        contents.extend(number(self.pages()));
        contents.extend(u32::try_from(self.code_limit)?.to_be_bytes());
        // Of the hash: size and kind; the platform, which is none.
        contents.extend([HASH as u8, SHA256, 0, PAGE_BITS]);
        // Spare; no scatter; no team; spare; no limit of 64 bits.
        contents.extend([0; 4 + 4 + 4 + 4 + 8]);
        contents.extend(self.text.0.to_be_bytes());
        contents.extend(self.text.1.to_be_bytes());
        contents.extend(MAIN_BINARY.to_be_bytes());
        contents.extend(self.identifier.as_bytes());
        contents.push(0);
        for slot in (1..=SPECIAL_SLOTS).rev() {
            let part = special.slots().into_iter().find(|(number, _)| *number == slot);
            contents.extend(part.map_or([0; HASH], |(_, part)| Sha256::digest(part).into()));
        }
        for page in code.chunks(1 << PAGE_BITS) {
            contents.extend(Sha256::digest(page));
        }
        Ok(blob(MAGIC, &contents))
    }
}
