//! `pread` and `pwrite`, for one slice and for many, on memory that others use at the same time, of which there must be no references.

#![allow(unsafe_code, reason = "the calls take pointers")]

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::VolatileSlice;

/// Fills some of `bufs`, at most `IOV_MAX` of them, from `offset`. Returns how many bytes; 0 at the end of the file.
pub(crate) fn read_at(file: &File, offset: u64, bufs: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let offset = position(offset)?;
    if let [buf] = bufs {
        let guard = buf.ptr_guard_mut();
        // SAFETY: see below.
        return done(unsafe { libc::pread(file.as_raw_fd(), guard.as_ptr().cast(), guard.len(), offset) });
    }
    let guards: Vec<_> = bufs.iter().map(VolatileSlice::ptr_guard_mut).collect();
    let vectors = vectors(guards.iter().map(|g| (g.as_ptr(), g.len())));
    // SAFETY: each vector is the memory of a slice, which is there as long as the slice's guard is. The system writes
    // to it; no reference to it is made, so that it does not matter who else reads or writes it.
    done(unsafe { libc::preadv(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as c_int, offset) })
}

/// Writes some of `bufs`, at most `IOV_MAX` of them, at `offset`. Returns how many bytes.
pub(crate) fn write_at(file: &File, offset: u64, bufs: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let offset = position(offset)?;
    if let [buf] = bufs {
        let guard = buf.ptr_guard();
        // SAFETY: as above; the system only reads the memory.
        return done(unsafe { libc::pwrite(file.as_raw_fd(), guard.as_ptr().cast(), guard.len(), offset) });
    }
    let guards: Vec<_> = bufs.iter().map(VolatileSlice::ptr_guard).collect();
    let vectors = vectors(guards.iter().map(|g| (g.as_ptr().cast_mut(), g.len())));
    // SAFETY: as above; the system only reads the memory.
    done(unsafe { libc::pwritev(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as c_int, offset) })
}

fn vectors(parts: impl Iterator<Item = (*mut u8, usize)>) -> Vec<libc::iovec> {
    parts.map(|(start, len)| libc::iovec { iov_base: start.cast(), iov_len: len }).collect()
}

fn position(offset: u64) -> io::Result<libc::off_t> {
    offset.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn done(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
