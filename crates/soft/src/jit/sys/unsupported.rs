//! Hosts for which no executable memory is written yet: macOS will have `MAP_JIT`.

use std::io::{Error, ErrorKind, Result};

/// A buffer that cannot be made.
pub enum CodeBuffer {}

impl CodeBuffer {
    pub fn new(_: usize, _: usize) -> Result<Self> {
        Err(Error::new(ErrorKind::Unsupported, "translated code has no memory on this system yet"))
    }

    pub fn append(&mut self, _: &[u8]) -> Option<*const u8> {
        match *self {}
    }

    pub fn set_distance(&mut self, _: usize, _: usize) {
        match *self {}
    }

    pub fn clear(&mut self) {
        match *self {}
    }

    pub fn data(&self) -> *mut u8 {
        match *self {}
    }

    pub fn clear_data(&mut self) {
        match *self {}
    }

    pub fn next(&self) -> usize {
        match *self {}
    }

    pub fn start(&self) -> usize {
        match *self {}
    }

    pub fn size(&self) -> usize {
        match *self {}
    }

    pub fn used(&self) -> usize {
        match *self {}
    }
}
