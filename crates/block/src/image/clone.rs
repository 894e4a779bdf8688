//! Copies that share their blocks with the original, where the file system can.

use std::fs::File;
use std::path::Path;

use crate::{Error, lock, sys};

/// Makes the new file `to` a copy of `from` without copying. `false`: the file system cannot, and there is no file.
///
/// The original is locked against writers meanwhile, and `to` must not exist.
pub fn reflink(from: &Path, to: &Path) -> Result<bool, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Open { path, source }
    };
    let source = File::open(from).map_err(failed(from))?;
    lock::lock(&source, from, false)?;
    let target = File::create_new(to).map_err(failed(to))?;
    let done = sys::reflink(&source, &target);
    if !matches!(done, Ok(true)) {
        std::fs::remove_file(to).map_err(failed(to))?;
    }
    done.map_err(Error::io("clone the file"))
}
