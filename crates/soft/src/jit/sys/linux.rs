//! Memory for translated code, mapped twice: writable at one address, executable at another, never both at one.

#![allow(unsafe_code)]

use std::ptr::null_mut;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// A buffer that is filled from the start and emptied as a whole, and behind its executable mapping some bytes of data
/// for the code.
pub struct CodeBuffer {
    writable: *mut u8,
    executable: *const u8,
    size: usize,
    data: usize,
    used: usize,
}

impl CodeBuffer {
    /// A buffer of `size` bytes, with `data` bytes behind it that are zero; both rounded up to whole pages.
    pub fn new(size: usize, data: usize) -> std::io::Result<Self> {
        let page = rustix::param::page_size();
        let (size, data) = (size.next_multiple_of(page), data.next_multiple_of(page));
        let file = memfd_create("russet-code", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, size as u64)?;
        let (read, write, execute) = (ProtFlags::READ, ProtFlags::WRITE, ProtFlags::EXEC);
        // SAFETY: two new mappings at addresses that the kernel chooses, and one in the place of a part of the second.
        unsafe {
            let writable = mmap(null_mut(), size, read | write, MapFlags::SHARED, &file, 0)?;
            let mut buffer = Self { writable: writable.cast(), executable: null_mut(), size, data, used: 0 };
            let executable = mmap_anonymous(null_mut(), size + data, read | write, MapFlags::PRIVATE)?;
            buffer.executable = executable.cast();
            mmap(executable, size, read | execute, MapFlags::SHARED | MapFlags::FIXED, &file, 0)?;
            Ok(buffer)
        }
    }

    /// The address of the data.
    pub fn data(&self) -> *mut u8 {
        self.executable.wrapping_add(self.size).cast_mut()
    }

    /// Makes all data zero again.
    pub fn clear_data(&mut self) {
        // SAFETY: the mapping is ours, and private and anonymous here: it reads as zero afterwards.
        let _ = unsafe { madvise(self.data().cast(), self.data, Advice::LinuxDontNeed) };
    }

    /// The executable address of what is appended next.
    pub fn next(&self) -> usize {
        self.executable as usize + self.used
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

    /// Makes the distance at executable address `place`, inside what was appended, lead to `target`.
    pub fn set_distance(&mut self, place: usize, target: usize) {
        let distance = target.wrapping_sub(place + 4) as i32;
        let offset = place - self.start();
        assert!(offset + 4 <= self.used);
        // SAFETY: the range lies inside the writable mapping, and the only CPU that executes it is this thread's.
        unsafe { self.writable.add(offset).cast::<i32>().write_unaligned(distance) };
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
            if !self.executable.is_null() {
                let _ = munmap(self.executable.cast_mut().cast(), self.size + self.data);
            }
        }
    }
}
