//! Entries of the L1 and L2 tables (`qcow2.txt`, "Cluster mapping").

use super::{Error, Header};

/// The refcount is exactly one, so the cluster may be written where it is.
pub(super) const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Reads as zeroes (version 3).
pub(super) const ZERO: u64 = 1;
/// Bits 9 to 55: an offset in the file.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// What an L2 entry says of a guest cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapping {
    /// Not in this file: the file below knows, or it reads as zeroes.
    Unallocated,
    /// Reads as zeroes; may have a cluster reserved, and whether that one is ours alone.
    Zero { host: Option<u64>, copied: bool },
    /// In the file at this offset; `copied`: ours alone.
    Data { host: u64, copied: bool },
    /// Compressed in the file, at any byte offset, in at most `len` bytes.
    Compressed { host: u64, len: u64 },
}

impl Mapping {
    /// Decodes an L2 entry.
    pub(super) fn decode(entry: u64, header: &Header) -> Result<Self, Error> {
        if entry & COMPRESSED != 0 {
            let offset_bits = compressed_offset_bits(header);
            let host = entry & ((1 << offset_bits) - 1);
            let sectors = (entry & (COMPRESSED - 1)) >> offset_bits;
            return Ok(Self::Compressed { host, len: (sectors + 1) * 512 - host % 512 });
        }
        let zero = entry & ZERO != 0;
        let host = entry & OFFSET;
        let reserved = entry & !(COPIED | OFFSET | ZERO) != 0 || zero && header.version < 3;
        if reserved || !host.is_multiple_of(header.cluster_size()) {
            return Err(Error::image(format!("an L2 entry is {entry:#x}, which cannot be")));
        }
        let copied = entry & COPIED != 0;
        Ok(match (zero, host) {
            (true, 0) => Self::Zero { host: None, copied: false },
            (true, host) => Self::Zero { host: Some(host), copied },
            (false, 0) => Self::Unallocated,
            (false, host) => Self::Data { host, copied },
        })
    }

    /// Whether a write goes to where the cluster is, and where that is.
    pub(super) fn in_place(self) -> Option<u64> {
        match self {
            Self::Data { host, copied: true } => Some(host),
            _ => None,
        }
    }

    /// The clusters of the file that this mapping counts a reference to, as first byte and number of bytes.
    pub(super) fn owned(self, header: &Header) -> Option<(u64, u64)> {
        match self {
            Self::Unallocated | Self::Zero { host: None, .. } => None,
            Self::Zero { host: Some(host), .. } | Self::Data { host, .. } => Some((host, header.cluster_size())),
            Self::Compressed { host, len } => Some((host, len)),
        }
    }
}

/// The bits of the offset in the entry of a compressed cluster; above it is how many sectors there are beyond the first.
fn compressed_offset_bits(header: &Header) -> u32 {
    62 - (header.cluster_bits - 8)
}

/// The L2 entry of a compressed cluster: `len` bytes at the byte offset `host` of the file.
pub(super) fn compressed(host: u64, len: u64, header: &Header) -> Result<u64, Error> {
    let offset_bits = compressed_offset_bits(header);
    if host >> offset_bits != 0 {
        return Err(Error::Unsupported("refer to a compressed cluster so far behind in the file"));
    }
    let more_sectors = (host + len - 1) / 512 - host / 512;
    Ok(COMPRESSED | more_sectors << offset_bits | host)
}

/// Decodes an L1 entry: where the L2 table is, and whether it is ours alone.
pub(super) fn l1(entry: u64, header: &Header) -> Result<Option<(u64, bool)>, Error> {
    let host = entry & OFFSET;
    if entry & !(COPIED | OFFSET) != 0 || !host.is_multiple_of(header.cluster_size()) {
        return Err(Error::image(format!("an L1 entry is {entry:#x}, which cannot be")));
    }
    Ok((host != 0).then_some((host, entry & COPIED != 0)))
}
