//! The parts of a signature and their envelope, in big endian (`cs_blobs.h` of XNU).

/// `CSMAGIC_EMBEDDED_SIGNATURE`.
const EMBEDDED_SIGNATURE: u32 = 0xfade_0cc0;
/// `CSMAGIC_REQUIREMENTS`.
const REQUIREMENTS: u32 = 0xfade_0c01;
/// `CSMAGIC_EMBEDDED_ENTITLEMENTS`.
const ENTITLEMENTS: u32 = 0xfade_7171;
/// `CSMAGIC_EMBEDDED_DER_ENTITLEMENTS`.
const DER_ENTITLEMENTS: u32 = 0xfade_7172;
/// `CSMAGIC_BLOBWRAPPER`: a CMS signature, which is empty here.
const BLOB_WRAPPER: u32 = 0xfade_0b01;

/// `CSSLOT_CODEDIRECTORY`.
const DIRECTORY_SLOT: u32 = 0;
/// `CSSLOT_SIGNATURESLOT`.
const CMS_SLOT: u32 = 0x1_0000;

/// The parts whose hashes are in the code directory.
pub(super) struct Special {
    pub(super) requirements: Vec<u8>,
    pub(super) entitlements: Vec<u8>,
    pub(super) der: Vec<u8>,
}

impl Special {
    /// The parts with their slots: `CSSLOT_REQUIREMENTS`, `CSSLOT_ENTITLEMENTS`, `CSSLOT_DER_ENTITLEMENTS`.
    pub(super) fn slots(&self) -> [(u32, &[u8]); 3] {
        [(2, &self.requirements), (5, &self.entitlements), (7, &self.der)]
    }
}

/// A set of requirements with nothing in it.
pub(super) fn no_requirements() -> Vec<u8> {
    blob(REQUIREMENTS, &0u32.to_be_bytes())
}

/// Rights as the property list that they were given as.
pub(super) fn entitlements(list: &str) -> Vec<u8> {
    blob(ENTITLEMENTS, list.as_bytes())
}

/// Rights as the kernel reads them.
pub(super) fn der_entitlements(der: &[u8]) -> Vec<u8> {
    blob(DER_ENTITLEMENTS, der)
}

/// How long the signature is with a directory of `directory` bytes.
pub(super) fn size(special: &Special, directory: usize) -> usize {
    signature(special, &vec![0; directory]).len()
}

/// The signature: all parts behind an index of their slots and places.
pub(super) fn signature(special: &Special, directory: &[u8]) -> Vec<u8> {
    let cms = blob(BLOB_WRAPPER, &[]);
    let [requirements, entitlements, der] = special.slots();
    let parts = [(DIRECTORY_SLOT, directory), requirements, entitlements, der, (CMS_SLOT, cms.as_slice())];
    let mut index = number(parts.len()).to_vec();
    // Places are counted from the envelope's magic number.
    let mut place = 12 + 8 * parts.len();
    for (slot, part) in parts {
        index.extend(slot.to_be_bytes());
        index.extend(number(place));
        place += part.len();
    }
    blob(EMBEDDED_SIGNATURE, &[index, parts.map(|(_, part)| part).concat()].concat())
}

/// A magic number, the length with both, and the contents.
pub(super) fn blob(magic: u32, contents: &[u8]) -> Vec<u8> {
    [magic.to_be_bytes().as_slice(), &number(8 + contents.len()), contents].concat()
}

/// Sizes here are those of programs, which are far below 4 GiB.
pub(super) fn number(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}
