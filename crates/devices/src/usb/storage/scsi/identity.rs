//! Who the target is: INQUIRY with its vital product data, REPORT LUNS (SPC-4, 6.6, 6.33 and 7.8; SBC-3, 6.5).

use block::Geometry;

use super::blocks::{MAX_BLOCKS_WRITE_SAME, MAX_UNMAP_BYTES, MAX_UNMAP_RANGES};
use super::spec::{Sense, vpd};
use super::{Target, Transfer};

/// Vendor and product, padded with blanks.
const VENDOR: &[u8; 8] = b"RUSSET  ";
const PRODUCT: &[u8; 16] = b"USB DISK        ";
const REVISION: &[u8; 4] = b"1   ";

/// Pages that [`Target::page`] has.
const PAGES: [u8; 6] =
    [vpd::SUPPORTED, vpd::SERIAL, vpd::IDENTIFICATION, vpd::BLOCK_LIMITS, vpd::CHARACTERISTICS, vpd::PROVISIONING];

impl Target {
    pub(super) fn inquiry(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        let mut data = match (cdb[1] & 1, cdb[2]) {
            (0, 0) => Self::standard(),
            (1, page) => self.page(page).ok_or(Sense::INVALID_FIELD)?,
            _ => return Err(Sense::INVALID_FIELD),
        };
        data.truncate(u16::from_be_bytes([cdb[3], cdb[4]]).into());
        Ok(Transfer::Bytes(data))
    }

    fn standard() -> Vec<u8> {
        // A disk whose medium can be taken out, SPC-4, answers in format 2.
        let mut data = vec![0, 0x80, 6, 2, 0, 0, 0, 0];
        data.extend(VENDOR);
        data.extend(PRODUCT);
        data.extend(REVISION);
        data[4] = data.len() as u8 - 5;
        data
    }

    /// A page with its header.
    fn page(&self, page: u8) -> Option<Vec<u8>> {
        let content = match page {
            vpd::SUPPORTED => PAGES.to_vec(),
            vpd::SERIAL => self.medium.serial().into(),
            vpd::IDENTIFICATION => self.designators(),
            vpd::BLOCK_LIMITS => self.block_limits(),
            vpd::CHARACTERISTICS => {
                // Not rotating.
                let mut content = vec![0; 60];
                content[1] = 1;
                content
            }
            // UNMAP and WRITE SAME of both lengths give space back; thin provisioning (SBC-3, 6.5.4).
            vpd::PROVISIONING if self.is_writable() => vec![0, 0xe0, 2, 0],
            vpd::PROVISIONING => vec![0; 4],
            _ => return None,
        };
        let mut data = vec![0, page];
        data.extend((content.len() as u16).to_be_bytes());
        data.extend(content);
        Some(data)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable().is_ok()
    }

    /// A name made of vendor and serial number (SPC-4, 7.8.6.4).
    fn designators(&self) -> Vec<u8> {
        let name = [&VENDOR[..], self.medium.serial().as_bytes()].concat();
        let mut data = vec![2, 1, 0, name.len() as u8];
        data.extend(name);
        data
    }

    fn block_limits(&self) -> Vec<u8> {
        let geometry = self.disk().map_or_else(|_| Geometry::default(), |disk| disk.geometry());
        let block = geometry.logical_block.max(1);
        let mut content = vec![0; 60];
        let mut put = |at: usize, value: u32| content[at - 4..at].copy_from_slice(&value.to_be_bytes());
        if self.is_writable() {
            put(20, (MAX_UNMAP_BYTES / u64::from(block)) as u32);
            put(24, MAX_UNMAP_RANGES as u32);
            put(28, geometry.discard_granularity / block);
        }
        content[32..40].copy_from_slice(&u64::from(MAX_BLOCKS_WRITE_SAME).to_be_bytes());
        content
    }

    pub(super) fn report_luns(cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        let [_, _, report, _, _, _, l3, l2, l1, l0, ..] = *cdb;
        let mut data = match report {
            0 | 2 => [&8u32.to_be_bytes()[..], &[0; 12]].concat(),
            // Well-known units, of which there are none.
            1 => vec![0; 8],
            _ => return Err(Sense::INVALID_FIELD),
        };
        data.truncate(u32::from_be_bytes([l3, l2, l1, l0]) as usize);
        Ok(Transfer::Bytes(data))
    }
}
