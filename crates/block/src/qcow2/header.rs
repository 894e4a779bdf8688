//! The header (QEMU `docs/interop/qcow2.txt`, "Header"), read with bounds and written.

use super::Error;
use super::bytes::{be32, be64};

/// `QFI\xfb`.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Bytes of a version 2 header, and of the version 3 header that we write.
const V2_LENGTH: usize = 72;
const V3_LENGTH: usize = 112;
/// What fits into the first cluster is looked at, and no more than this.
pub(super) const MAX_HEADER: usize = 64 << 10;
/// Longest name of a backing file.
const MAX_BACKING_NAME: usize = 1023;
/// Longest L1 table, in bytes; QEMU has the same limit.
pub(super) const MAX_L1: u64 = 32 << 20;
/// Longest refcount table, in bytes; QEMU has the same limit.
pub(super) const MAX_REFTABLE: u64 = 8 << 20;

/// Incompatible features.
mod incompatible {
    pub const DIRTY: u64 = 1 << 0;
    pub const CORRUPT: u64 = 1 << 1;
    pub const DATA_FILE: u64 = 1 << 2;
    pub const COMPRESSION: u64 = 1 << 3;
    pub const EXTENDED_L2: u64 = 1 << 4;
}

/// Header extensions that we read and write.
mod extension {
    pub const END: u32 = 0;
    pub const BACKING_FORMAT: u32 = 0xe279_2aca;
}

/// How compressed clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Raw deflate.
    Deflate,
    /// Zstandard.
    Zstd,
}

/// The file below, as the header names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingName {
    /// The name, relative to the folder of the image or absolute; QEMU writes other things there as well.
    pub name: String,
    /// Its format, where the header says so.
    pub format: Option<String>,
}

/// The header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// log2 of the cluster size in bytes, 9 to 21.
    pub cluster_bits: u32,
    /// Bytes of the disk.
    pub size: u64,
    /// Where the active L1 table is in the file, and how many entries it has.
    pub l1_offset: u64,
    /// Number of entries of the active L1 table.
    pub l1_entries: u32,
    /// Where the refcount table is in the file.
    pub reftable_offset: u64,
    /// Its length in clusters.
    pub reftable_clusters: u32,
    /// log2 of the bits of a refcount, 0 to 6.
    pub refcount_order: u32,
    /// Number of internal snapshots.
    pub snapshots: u32,
    /// Where their table is.
    pub snapshots_offset: u64,
    /// How compressed clusters are compressed.
    pub compression: Compression,
    /// The refcounts may be wrong: lazy refcounts were in use and the image was not closed.
    pub dirty: bool,
    /// Someone found the image corrupt.
    pub corrupt: bool,
    /// Compatible features, kept as they are.
    pub compatible: u64,
    /// Features that a writer who does not know them must clear.
    pub autoclear: u64,
    /// The file below.
    pub backing: Option<BackingName>,
}

impl Header {
    /// Bytes of a cluster.
    #[must_use]
    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of an L2 table.
    #[must_use]
    pub fn l2_entries(&self) -> u64 {
        self.cluster_size() / 8
    }

    /// L1 entries which a disk of `size` bytes needs.
    #[must_use]
    pub fn l1_needed(&self, size: u64) -> u64 {
        size.div_ceil(self.cluster_size() * self.l2_entries())
    }

    /// Reads a header from the first bytes of the file, as many as there are up to 64 KiB.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(Error::image("it does not begin with a qcow2 header"));
        }
        let field32 = |at| be32(bytes, at).ok_or_else(cut_short);
        let field64 = |at| be64(bytes, at).ok_or_else(cut_short);
        let version = field32(4)?;
        if !(2..=3).contains(&version) {
            return Err(Error::image(format!("version {version} of qcow2 is not known, only 2 and 3")));
        }
        let cluster_bits = field32(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(Error::image(format!("a cluster of 2^{cluster_bits} bytes is outside 512 bytes to 2 MiB")));
        }
        if field32(32)? != 0 {
            return Err(Error::image("it is encrypted, which is not supported"));
        }
        let v3 = version == 3;
        let features = if v3 { field64(72)? } else { 0 };
        let length = if v3 { field32(100)? as usize } else { V2_LENGTH };
        let first_cluster = bytes.len().min(1 << cluster_bits);
        if length < if v3 { 104 } else { V2_LENGTH } || length > first_cluster {
            return Err(Error::image(format!("a header of {length} bytes cannot be")));
        }
        let compression = refuse_features(features, bytes.get(104).copied().filter(|_| v3 && length > 104))?;
        let mut header = Self {
            version,
            cluster_bits,
            size: field64(24)?,
            l1_entries: field32(36)?,
            l1_offset: field64(40)?,
            reftable_offset: field64(48)?,
            reftable_clusters: field32(56)?,
            snapshots: field32(60)?,
            snapshots_offset: field64(64)?,
            refcount_order: if v3 { field32(96)? } else { 4 },
            compression,
            dirty: features & incompatible::DIRTY != 0,
            corrupt: features & incompatible::CORRUPT != 0,
            compatible: if v3 { field64(80)? } else { 0 },
            autoclear: if v3 { field64(88)? } else { 0 },
            backing: None,
        };
        header.check()?;
        header.backing = backing(&bytes[..first_cluster], length, field64(8)?, field32(16)?)?;
        Ok(header)
    }

    /// What must hold for any use of the tables to be bounded.
    fn check(&self) -> Result<(), Error> {
        let aligned = |at: u64| at.is_multiple_of(self.cluster_size());
        if self.refcount_order > 6 {
            return Err(Error::image(format!("refcounts of 2^{} bits cannot be", self.refcount_order)));
        }
        if self.size > i64::MAX as u64 || self.l1_needed(self.size) > u64::from(self.l1_entries) {
            return Err(Error::image(format!("its L1 table is too short for its {} bytes", self.size)));
        }
        if u64::from(self.l1_entries) * 8 > MAX_L1 {
            return Err(Error::image(format!("an L1 table of {} entries is longer than 32 MiB", self.l1_entries)));
        }
        if !aligned(self.l1_offset) || self.l1_entries > 0 && self.l1_offset == 0 {
            return Err(Error::image("its L1 table is not where a table can be"));
        }
        if !aligned(self.reftable_offset) || self.reftable_offset == 0 || self.reftable_clusters == 0 {
            return Err(Error::image("its refcount table is not where a table can be"));
        }
        if u64::from(self.reftable_clusters) << self.cluster_bits > MAX_REFTABLE.max(self.cluster_size()) {
            return Err(Error::image(format!(
                "a refcount table of {} clusters is longer than 8 MiB",
                self.reftable_clusters
            )));
        }
        if self.snapshots > 0 && !aligned(self.snapshots_offset) || self.snapshots > 65_536 {
            return Err(Error::image("its table of snapshots is not where a table can be"));
        }
        Ok(())
    }

    /// The header with its extensions and the name of the file below, as it is written to the file's start.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; if self.version == 3 { V3_LENGTH } else { V2_LENGTH }];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(4, &self.version.to_be_bytes());
        put(20, &self.cluster_bits.to_be_bytes());
        put(24, &self.size.to_be_bytes());
        put(36, &self.l1_entries.to_be_bytes());
        put(40, &self.l1_offset.to_be_bytes());
        put(48, &self.reftable_offset.to_be_bytes());
        put(56, &self.reftable_clusters.to_be_bytes());
        put(60, &self.snapshots.to_be_bytes());
        put(64, &self.snapshots_offset.to_be_bytes());
        if self.version == 3 {
            let mut features = 0;
            for (set, bit) in [
                (self.dirty, incompatible::DIRTY),
                (self.corrupt, incompatible::CORRUPT),
                (self.compression != Compression::Deflate, incompatible::COMPRESSION),
            ] {
                features |= if set { bit } else { 0 };
            }
            put(72, &features.to_be_bytes());
            put(80, &self.compatible.to_be_bytes());
            put(88, &self.autoclear.to_be_bytes());
            put(96, &self.refcount_order.to_be_bytes());
            put(100, &(V3_LENGTH as u32).to_be_bytes());
            put(104, &[u8::from(self.compression == Compression::Zstd)]);
        }
        if let Some(format) = self.backing.as_ref().and_then(|b| b.format.as_deref()) {
            out.extend(extension::BACKING_FORMAT.to_be_bytes());
            out.extend((format.len() as u32).to_be_bytes());
            out.extend(format.as_bytes());
            out.resize(out.len().next_multiple_of(8), 0);
        }
        out.extend([0; 8]); // The end of the extensions.
        if let Some(backing) = &self.backing {
            let at = out.len() as u64;
            out[8..16].copy_from_slice(&at.to_be_bytes());
            out[16..20].copy_from_slice(&(backing.name.len() as u32).to_be_bytes());
            out.extend(backing.name.as_bytes());
            if backing.name.len() > MAX_BACKING_NAME || out.len() as u64 > self.cluster_size() {
                return Err(Error::image(format!("the name of the backing file is too long: {}", backing.name)));
            }
        }
        Ok(out)
    }
}

/// The bytes of the header which say where the L1 table is and how large the disk is: bytes 24 to 48.
pub(super) const SIZE_AND_L1: std::ops::Range<usize> = 24..48;
/// Where the refcount table is: bytes 48 to 60.
pub(super) const REFTABLE: std::ops::Range<usize> = 48..60;
/// Where version 3 has its features: bytes 72 to 96.
pub(super) const FEATURES: std::ops::Range<usize> = 72..96;

/// Names the features that we do not have, and returns how clusters are compressed.
fn refuse_features(features: u64, compression: Option<u8>) -> Result<Compression, Error> {
    if features & incompatible::DATA_FILE != 0 {
        return Err(Error::image("its data is in another file (data_file), which is not supported: convert it"));
    }
    if features & incompatible::EXTENDED_L2 != 0 {
        return Err(Error::image("it has subclusters (extended_l2=on), which are not supported: convert it"));
    }
    let known = incompatible::DIRTY | incompatible::CORRUPT | incompatible::COMPRESSION;
    if features & !known != 0 {
        return Err(Error::image(format!("it needs features that are not known: {:#x}", features & !known)));
    }
    match compression {
        None | Some(0) => Ok(Compression::Deflate),
        Some(1) if features & incompatible::COMPRESSION != 0 => Ok(Compression::Zstd),
        Some(other) => Err(Error::image(format!("its compression type {other} is not known"))),
    }
}

/// The name and the format of the file below.
fn backing(cluster: &[u8], mut at: usize, name_at: u64, name_len: u32) -> Result<Option<BackingName>, Error> {
    if name_at == 0 {
        return Ok(None);
    }
    let wrong = || Error::image("the name of its backing file lies outside its header");
    let name_at = usize::try_from(name_at).map_err(|_| wrong())?;
    let name_len = name_len as usize;
    if name_len > MAX_BACKING_NAME {
        return Err(Error::image(format!("the name of its backing file has {name_len} bytes, more than 1023")));
    }
    let name = name_at.checked_add(name_len).and_then(|end| cluster.get(name_at..end)).ok_or_else(wrong)?;
    let utf8 = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::image("the name of its backing file is not UTF-8"))
    };
    let name = utf8(name)?;
    let mut format = None;
    while at < name_at {
        let (Some(kind), Some(len)) = (be32(cluster, at), be32(cluster, at + 4)) else { break };
        let data = cluster.get(at + 8..).and_then(|rest| rest.get(..len as usize));
        let data = data.ok_or_else(|| Error::image("a header extension is longer than the header"))?;
        match kind {
            extension::END => break,
            extension::BACKING_FORMAT => format = Some(utf8(data)?),
            _ => {}
        }
        at += 8 + data.len().next_multiple_of(8);
    }
    if name.is_empty() { Ok(None) } else { Ok(Some(BackingName { name, format })) }
}

fn cut_short() -> Error {
    Error::image("its header is cut short")
}
