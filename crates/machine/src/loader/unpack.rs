//! A kernel as a plain Image in a file, for a loader that takes nothing else.

use std::fs::File;
use std::io::{self, Read};

use super::LoadError;
use super::format::{self, Source};

/// Writes the Image that is packed in `file` into the file that `make` makes, and says so; `false`: it is plain, and
/// nothing was made. It may have at most `memory` bytes.
///
/// # Errors
/// The file is no arm64 kernel or is damaged, and when the Image is longer or cannot be written.
pub fn unpack_kernel(file: &File, memory: u64, make: &mut dyn FnMut() -> io::Result<File>) -> Result<bool, LoadError> {
    let failed = |source| LoadError::Read { what: "kernel", source };
    let Source::Stream(stream) = format::open(file)? else { return Ok(false) };
    let mut image = make().map_err(failed)?;
    let length = io::copy(&mut stream.take(memory.saturating_add(1)), &mut image).map_err(failed)?;
    match length > memory {
        true => Err(LoadError::too_big("kernel", length, memory)),
        false => Ok(true),
    }
}
