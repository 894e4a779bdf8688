//! Where in the file the regions are: the headers and the region tables, each of which is there twice ("2.2 Header
//! Section").

use crate::store::read_vec;
use crate::{Disk, Error};

/// How a file begins.
pub const MAGIC: [u8; 8] = *b"vhdxfile";

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Where the headers are, and how many bytes their checksum is over ("2.2.2 Headers").
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const HEADER: usize = 4096;
/// The same of the region tables ("2.2.3 Region Table").
const TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
const TABLE: usize = 64 << 10;
/// Entries of a region table at most, and bytes of one.
const ENTRIES: usize = 2047;
const ENTRY: usize = 32;
/// An entry is of a region without which the file cannot be understood.
const REQUIRED: u32 = 1;
/// The regions that there are, by GUID as it lies in the file.
const BAT: [u8; 16] = 0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08_u128.to_be_bytes();
const METADATA: [u8; 16] = 0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886e_u128.to_be_bytes();

/// Bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// What the header section says that matters here.
#[derive(Debug)]
pub(super) struct Regions {
    /// The block allocation table.
    pub(super) bat: Region,
    pub(super) metadata: Region,
}

impl Regions {
    pub(super) fn read(file: &dyn Disk) -> Result<Self, Error> {
        if file.size() < MIB || !read_vec(file, 0, MAGIC.len())?.starts_with(&MAGIC) {
            return Err(Error::image("it has no VHDX header section: it is damaged"));
        }
        check_header(file)?;
        let tables = TABLES.map(|at| read_vec(file, at, TABLE));
        let mut good = tables.into_iter().flatten().filter(|table| is_whole(table, b"regi"));
        let table = good.next().ok_or_else(|| Error::image("both its region tables are damaged"))?;
        Self::parse(&table, file.size())
    }

    fn parse(table: &[u8], size: u64) -> Result<Self, Error> {
        let count = u32_at(table, 8) as usize;
        if count > ENTRIES {
            return Err(Error::image(format!("its region table is damaged: {count} entries")));
        }
        let (mut bat, mut metadata) = (None, None);
        for entry in table[16..].chunks_exact(ENTRY).take(count) {
            let region = Region { start: u64_at(entry, 16), len: u32_at(entry, 24).into() };
            let slot = match guid_at(entry, 0) {
                BAT => &mut bat,
                METADATA => &mut metadata,
                _ if u32_at(entry, 28) & REQUIRED == 0 => continue,
                other => return Err(Error::image(format!("it needs a region that is not known: {}", shown(other)))),
            };
            let inside = region.start.checked_add(region.len).is_some_and(|end| end <= size);
            // The first MiB is the header section's.
            if !inside || region.start < MIB || !region.start.is_multiple_of(MIB) || slot.is_some() {
                return Err(Error::image(format!(
                    "its region table is damaged: {} bytes at {:#x}, twice or outside the file",
                    region.len, region.start
                )));
            }
            *slot = Some(region);
        }
        match (bat, metadata) {
            (Some(bat), Some(metadata)) => Ok(Self { bat, metadata }),
            _ => Err(Error::image("its region table names no block allocation table or no metadata")),
        }
    }
}

/// Looks at the header that was written last: whether we can go by what the rest of the file says.
fn check_header(file: &dyn Disk) -> Result<(), Error> {
    let headers = HEADERS.map(|at| read_vec(file, at, HEADER));
    let good = headers.into_iter().flatten().filter(|header| is_whole(header, b"head"));
    let header = good.max_by_key(|header| u64_at(header, 8));
    let header = header.ok_or_else(|| Error::image("both its headers are damaged"))?;
    let version = u16_at(&header, 66);
    if version != 1 {
        return Err(Error::image(format!("version {version} of the format cannot be read: 1 can")));
    }
    if guid_at(&header, 48) != [0; 16] {
        return Err(Error::image(
            "it was not closed: its log has changes that are not in their places. Open it once with the program that \
             made it, or let `qemu-img check -r all IMAGE` put them there",
        ));
    }
    Ok(())
}

/// Whether a structure has its signature and the checksum that it says.
fn is_whole(bytes: &[u8], signature: &[u8; 4]) -> bool {
    bytes.starts_with(signature) && u32_at(bytes, 4) == checksum(bytes)
}

/// The checksum of a header or region table, which it says in its bytes 4 to 8: CRC-32C (RFC 3720, appendix B.4), with
/// zeroes in their place.
#[must_use]
pub fn checksum(structure: &[u8]) -> u32 {
    let bytes = structure.iter().take(4).chain(&[0; 4]).chain(structure.iter().skip(8));
    !bytes.fold(u32::MAX, |sum, byte| sum >> 8 ^ REMAINDERS[usize::from(sum as u8 ^ byte)])
}

/// What each byte leaves when the polynomial of CRC-32C divides it.
const REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0x82f6_3b78 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A GUID in the order in which it is written in text: its first three fields are little-endian in the file.
pub(super) fn guid_at(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut guid = bytes[at..].first_chunk().copied().unwrap_or_default();
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    guid
}

/// A GUID as text.
pub(super) fn shown(guid: [u8; 16]) -> String {
    let number = u128::from_be_bytes(guid);
    let field = |low: u32, bits: u32| number >> low & ((1 << bits) - 1);
    let (a, b, c, d, e) = (field(96, 32), field(80, 16), field(64, 16), field(48, 16), field(0, 48));
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}
