//! What the disk is: the items of the metadata region ("2.6 Metadata Region").

use super::header::{Region, guid_at, shown, u16_at, u32_at, u64_at};
use crate::store::read_vec;
use crate::{Disk, Error};

/// Bytes of the table at the region's start, behind which items lie; entries at most, and bytes of one.
const TABLE: usize = 64 << 10;
const ENTRIES: usize = 2047;
const ENTRY: usize = 32;
/// Flags of an entry: it is a user's and not the format's; without it the file cannot be understood.
const USER: u32 = 1 << 0;
const REQUIRED: u32 = 1 << 2;
/// Bytes of an item that matters here at most.
const ITEM: u32 = 16;
/// A flag of the file parameters: it is a change over another image.
const HAS_PARENT: u32 = 1 << 1;
/// Bytes of a block, and of a disk.
const BLOCKS: std::ops::RangeInclusive<u32> = 1 << 20..=256 << 20;
const LARGEST: u64 = 64 << 40;

/// The items that there are, by GUID ("2.6.2 Known Metadata Items").
const FILE_PARAMETERS: [u8; 16] = 0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76b_u128.to_be_bytes();
const SIZE: [u8; 16] = 0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8_u128.to_be_bytes();
const DISK_ID: [u8; 16] = 0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746_u128.to_be_bytes();
const LOGICAL_SECTOR: [u8; 16] = 0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5f_u128.to_be_bytes();
const PHYSICAL_SECTOR: [u8; 16] = 0xcda3_48c7_445d_4471_9cc9_e988_5251_c556_u128.to_be_bytes();
const PARENT: [u8; 16] = 0xa8d3_5f2d_b30b_454d_abf7_d3d8_4834_ab0c_u128.to_be_bytes();

/// The items, checked.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Bytes of the disk.
    pub(super) size: u64,
    /// Bytes of a block, a power of two.
    pub(super) block: u64,
    /// Bytes of a sector, as the guest and as the medium have it: each 512 or 4096.
    pub(super) logical_sector: u32,
    pub(super) physical_sector: u32,
}

impl Metadata {
    pub(super) fn read(file: &dyn Disk, region: Region) -> Result<Self, Error> {
        let wrong = |what: &str, value: u64| Error::image(format!("its metadata is damaged: {what} of {value}"));
        if region.len < TABLE as u64 {
            return Err(wrong("a length", region.len));
        }
        let table = read_vec(file, region.start, TABLE)?;
        let count = usize::from(u16_at(&table, 10));
        if !table.starts_with(b"metadata") || count > ENTRIES {
            return Err(wrong("a table", count as u64));
        }
        let (mut parameters, mut size, mut logical, mut physical) = (None, None, None, None);
        for entry in table[ENTRY..].chunks_exact(ENTRY).take(count) {
            let (id, flags) = (guid_at(entry, 0), u32_at(entry, 24));
            let slot = match id {
                _ if flags & USER != 0 => continue,
                FILE_PARAMETERS => &mut parameters,
                SIZE => &mut size,
                LOGICAL_SECTOR => &mut logical,
                PHYSICAL_SECTOR => &mut physical,
                DISK_ID => continue,
                PARENT => return Err(parent()),
                _ if flags & REQUIRED == 0 => continue,
                other => return Err(Error::image(format!("it needs an item that is not known: {}", shown(other)))),
            };
            let (offset, len) = (u32_at(entry, 16), u32_at(entry, 20));
            // Where an item may lie, and no more of it than there is.
            if u64::from(offset) + u64::from(len) > region.len || (offset as usize) < TABLE || len > ITEM {
                return Err(wrong("an item", offset.into()));
            }
            let mut item = read_vec(file, region.start + u64::from(offset), len as usize)?;
            item.resize(ITEM as usize, 0);
            *slot = Some(item);
        }
        let (Some(parameters), Some(size), Some(logical), Some(physical)) = (parameters, size, logical, physical)
        else {
            return Err(Error::image("its metadata is damaged: an item is missing"));
        };
        if u32_at(&parameters, 4) & HAS_PARENT != 0 {
            return Err(parent());
        }
        let (block, size) = (u32_at(&parameters, 0), u64_at(&size, 0));
        let (logical_sector, physical_sector) = (u32_at(&logical, 0), u32_at(&physical, 0));
        if !block.is_power_of_two() || !BLOCKS.contains(&block) {
            return Err(wrong("a block size", block.into()));
        }
        for sector in [logical_sector, physical_sector] {
            if ![512, 4096].contains(&sector) {
                return Err(wrong("a sector size", sector.into()));
            }
        }
        if size == 0 || size > LARGEST || !size.is_multiple_of(logical_sector.into()) {
            return Err(wrong("a size", size));
        }
        Ok(Self { size, block: block.into(), logical_sector, physical_sector })
    }
}

fn parent() -> Error {
    Error::image(
        "it is a change over another image, which cannot be read: join them with the program that made it (Hyper-V: \
         Convert-VHD)",
    )
}
