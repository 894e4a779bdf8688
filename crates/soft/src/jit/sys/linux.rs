//! Memory for translated code, mapped twice: writable at one address, executable at another, never both at one.

#![allow(unsafe_code)]

use std::ptr::null_mut;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A buffer that is filled from the start and emptied as a whole.
pub struct CodeBuffer {
    writable: *mut u8,
    executable: *const u8,
    size: usize,
    used: usize,
}

impl CodeBuffer {
    /// A buffer of `size` bytes.
    pub fn new(size: usize) -> std::io::Result<Self> {
        let file = memfd_create("russet-code", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, size as u64)?;
        // SAFETY: two new mappings at addresses that the kernel chooses.
        let (writable, executable) = unsafe {
            let writable = mmap(null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?;
            let executable = mmap(null_mut(), size, ProtFlags::READ | ProtFlags::EXEC, MapFlags::SHARED, &file, 0);
            match executable {
                Ok(executable) => (writable, executable),
                Err(error) => {
                    let _ = munmap(writable, size);
                    return Err(error.into());
                }
            }
        };
        Ok(Self { writable: writable.cast(), executable: executable.cast(), size, used: 0 })
    }

    /// Appends `code` and gives its executable address; `None` when there is no room.
    pub fn append(&mut self, code: &[u8]) -> Option<*const u8> {
        let end = self.used.checked_add(code.len())?.next_multiple_of(16);
        if end > self.size {
            return None;
        }
        // SAFETY: the range lies inside the writable mapping, which nobody else writes.
        unsafe { self.writable.add(self.used).copy_from_nonoverlapping(code.as_ptr(), code.len()) };
        let at = self.executable.wrapping_add(self.used);
        self.used = end;
        Some(at)
    }

    /// Makes all room free again. No code of it may run any more or be jumped to.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// The address of the first byte as it is executed.
    pub fn start(&self) -> usize {
        self.executable as usize
    }

    /// Bytes that fit.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }
}

impl Drop for CodeBuffer {
    fn drop(&mut self) {
        // SAFETY: both mappings are ours and whole, and the CPU that ran the code is gone.
        unsafe {
            let _ = munmap(self.writable.cast(), self.size);
            let _ = munmap(self.executable.cast_mut().cast(), self.size);
        }
    }
}
