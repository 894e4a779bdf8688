//! The initial RAM disk, which the kernel unpacks itself.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;

use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::LoadError;
use crate::memory::ram_end;

const WHAT: &str = "initial RAM disk";

/// Reads `file` as it is into guest memory at `to` and says where it lies. An empty file is refused: no kernel can do
/// anything with it, and it is most often a mistake.
///
/// # Errors
/// When it cannot be read or guest memory is too small for it.
pub fn load_initrd(mut file: &File, memory: &GuestMemory, to: u64) -> Result<Range<u64>, LoadError> {
    let read = |source| LoadError::Read { what: WHAT, source };
    let size = file.seek(SeekFrom::End(0)).map_err(read)?;
    if size == 0 {
        return Err(read(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty")));
    }
    let room = ram_end(memory).saturating_sub(to);
    if size > room {
        return Err(LoadError::too_big(WHAT, size, room));
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    memory
        .read_exact_volatile_from(GuestAddress(to), &mut file, size as usize)
        .map_err(|e| read(io::Error::other(e)))?;
    Ok(to..to + size)
}
