//! A file that takes the guest's output.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens or makes the file; `append` keeps what it holds.
pub(super) fn open(path: &Path, append: bool) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path)
}
