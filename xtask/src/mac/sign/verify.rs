//! A signature read back, as a loader does: from the load command through the envelope to each hash. It shares nothing
//! with what writes signatures but the reader of Mach-O files.

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::mac::macho::MachO;

/// Checks a program's ad-hoc signature.
pub(super) fn verify(program: &[u8]) -> Result<()> {
    let file = MachO::new(program)?;
    let (room, link) = (file.signature()?, file.segment("__LINKEDIT")?);
    ensure!(link.offset + link.size == program.len() as u64, "__LINKEDIT ends before the file or after it");
    ensure!(link.memory_size >= link.size, "__LINKEDIT is smaller in memory than in the file");
    let start = usize::try_from(room.offset)?;
    let (code, signature) = program.split_at_checked(start).context("the signature is beyond the end")?;
    ensure!(signature.len() as u64 == room.size, "the signature is {} bytes long, not {}", signature.len(), room.size);
    let parts = parts(signature)?;
    let part = |slot| parts.iter().find(|(found, _)| *found == slot).map(|(_, part)| *part);
    let directory = part(0).context("there is no code directory")?;
    ensure!(be(directory, 0)? == 0xfade_0c02, "the code directory has another magic number");
    ensure!(be(directory, 12)? & 2 != 0, "it is not signed ad hoc");
    ensure!(be(directory, 32)? as usize == start, "the code directory does not reach up to the signature");
    ensure!(directory.get(36..40) == Some(&[32, 2, 0, 12]), "the hashes are not SHA-256 of pages of 4 KiB");
    let (hashes, special, pages) = (be(directory, 16)?, be(directory, 24)?, be(directory, 28)?);
    let hash = |slot: i64| -> Result<&[u8]> {
        let at = usize::try_from(i64::from(hashes) + slot * 32)?;
        directory.get(at..at + 32).context("the code directory is cut off")
    };
    ensure!(pages as usize == code.chunks(4096).count(), "there are {pages} hashes of pages");
    for (number, page) in (0..).zip(code.chunks(4096)) {
        ensure!(hash(number)? == Sha256::digest(page).as_slice(), "page {number} has another hash");
    }
    for slot in 1..=special {
        let expected = part(slot).map_or([0; 32], |part| Sha256::digest(part).into());
        ensure!(hash(-i64::from(slot))? == expected, "special slot {slot} has another hash");
    }
    Ok(())
}

/// The parts of the envelope with their slots.
fn parts(signature: &[u8]) -> Result<Vec<(u32, &[u8])>> {
    ensure!(be(signature, 0)? == 0xfade_0cc0, "the signature has another magic number");
    ensure!(be(signature, 4)? as usize == signature.len(), "the signature has another length");
    let mut parts = Vec::new();
    for entry in (0..be(signature, 8)? as usize).map(|number| 12 + 8 * number) {
        let place = be(signature, entry + 4)? as usize;
        let length = be(signature, place + 4)? as usize;
        let Some(part) = signature.get(place..place + length) else { bail!("a part at {place} is cut off") };
        parts.push((be(signature, entry)?, part));
    }
    Ok(parts)
}

fn be(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("the signature is cut off")?;
    Ok(u32::from_be_bytes(*bytes))
}
