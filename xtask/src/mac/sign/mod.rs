//! An ad-hoc signature with entitlements in a Mach-O file, without a Mac: what `codesign --sign - --entitlements` does.
//!
//! The linker has left a signature at the end of the file, in the segment `__LINKEDIT`. A new one takes its place, and
//! the commands that say how long it is are changed before the pages are hashed. [`verify`](verify::verify) reads it back.

mod blobs;
mod directory;
mod entitlements;
mod verify;

use anyhow::{Context, Result, ensure};

use super::macho::MachO;
use directory::Directory;

/// What the segment's size in memory is a multiple of, in bytes.
const MEMORY_PAGE: u64 = 0x4000;

/// Signs a program. `rights` is a property list whose keys are rights that are all true.
pub(super) fn sign(program: &mut Vec<u8>, identifier: &str, rights: &str) -> Result<()> {
    let file = MachO::new(program)?;
    let (text, link, room) = (file.segment("__TEXT")?, file.segment("__LINKEDIT")?, file.signature()?);
    let end = program.len() as u64;
    ensure!(room.offset + room.size == end && link.offset + link.size == end, "the signature is not at the file's end");

    let names = entitlements::names(rights)?;
    let special = blobs::Special {
        requirements: blobs::no_requirements(),
        entitlements: blobs::entitlements(rights),
        der: blobs::der_entitlements(&entitlements::der(&names)),
    };
    let directory = Directory { identifier, code_limit: room.offset, text: (text.offset, text.size) };
    let size = blobs::size(&special, directory.size());

    program.truncate(usize::try_from(room.offset)?);
    let grown = room.offset + size as u64 - link.offset;
    put(program, room.command + 12, &u32::try_from(size)?.to_le_bytes())?;
    put(program, link.command + 32, &grown.next_multiple_of(MEMORY_PAGE).max(link.memory_size).to_le_bytes())?;
    put(program, link.command + 48, &grown.to_le_bytes())?;

    let signature = blobs::signature(&special, &directory.make(program, &special)?);
    ensure!(signature.len() == size, "the signature is {} bytes long, not {size}", signature.len());
    program.extend(signature);
    verify::verify(program).context("the signature that was just made")
}

fn put(program: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    program.get_mut(at..at + bytes.len()).context("the file is cut off")?.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
