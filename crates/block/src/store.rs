//! Reads and writes of metadata in the file below.

use std::io::{IoSlice, IoSliceMut};

use crate::{Disk, Error};

/// Reads `len` bytes, which the caller has bounded. Outside the file is a damaged image.
pub(crate) fn read_vec(store: &dyn Disk, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    read_padded(store, offset, &mut [IoSliceMut::new(&mut bytes)], len as u64)?;
    Ok(bytes)
}

/// Reads, and takes what lies behind the end of the file, less than a cluster of it, for zeroes: QEMU leaves the last
/// cluster incomplete.
pub(crate) fn read_padded(store: &dyn Disk, at: u64, bufs: &mut [IoSliceMut<'_>], len: u64) -> Result<(), Error> {
    let size = store.size();
    match at.checked_add(len) {
        Some(end) if end <= size => return store.read(at, bufs),
        Some(_) if at < size => {}
        _ => return Err(Error::image(format!("it refers to offset {at:#x}, behind its end"))),
    }
    let mut bytes = vec![0; (size - at) as usize];
    store.read(at, &mut [IoSliceMut::new(&mut bytes)])?;
    let mut rest = &bytes[..];
    for buf in bufs {
        let part = rest.len().min(buf.len());
        buf[..part].copy_from_slice(&rest[..part]);
        buf[part..].fill(0);
        rest = &rest[part..];
    }
    Ok(())
}

/// Writes all of `bytes`.
pub(crate) fn write_all(store: &dyn Disk, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    store.write(offset, &[IoSlice::new(bytes)])
}
