//! Flash memory in which firmware keeps its variables: two parts of 16 bits side by side, with Intel's commands.
//!
//! The array is a [`Disk`], so that what firmware has written survives the end of the process however it ends. A write
//! is done on the vCPU's thread: it is a few bytes, and firmware waits for it in any case.

mod fdt;
pub mod spec;
#[cfg(test)]
mod tests;

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::{Disk, Error};
use parking_lot::Mutex;

use self::spec::{BLOCK, BUFFER, IDENTITY, PROGRAM_ERROR, READY, SEQUENCE_ERROR, command};
use crate::bus::MmioDevice;
use crate::regs;

/// The most that there is an address window for.
const MAX_SIZE: u64 = 64 << 20;

/// Flash memory.
///
/// Fixed: its size. Glue: the disk. State: the array, as the disk has it, and the command that is on its way.
pub struct Flash {
    disk: Arc<dyn Disk>,
    size: u64,
    state: Mutex<State>,
}

struct State {
    array: Vec<u8>,
    mode: Mode,
    errors: u32,
}

/// What reads give and what the next write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Array,
    Status,
    Identity,
    Program,
    Erase,
    Lock,
    /// The number of words in the buffer comes, less one.
    BufferCount,
    /// So many words come.
    Buffer(u32),
    /// The confirmation comes.
    BufferConfirm,
}

impl Flash {
    /// Flash whose array is `disk`, whole blocks of 256 KiB and at most 64 MiB.
    ///
    /// # Errors
    /// When the disk has another size or cannot be read.
    pub fn new(disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let size = disk.size();
        if size == 0 || !size.is_multiple_of(BLOCK) || size > MAX_SIZE {
            return Err(Error::Unsupported("be flash memory: it needs whole blocks of 256 KiB, at most 64 MiB"));
        }
        let mut array = vec![0; size as usize];
        disk.read(0, &mut [IoSliceMut::new(&mut array)])?;
        Ok(Self { disk, size, state: Mutex::new(State { array, mode: Mode::Array, errors: 0 }) })
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The parts are reset; the array stays, and is made durable.
    pub fn reset(&self) {
        {
            let mut state = self.state.lock();
            (state.mode, state.errors) = (Mode::Array, 0);
        }
        if let Err(why) = self.disk.flush() {
            tracing::error!(%why, "the firmware's variables may be lost with the host's power");
        }
    }

    /// Stores a part of the array; `false` when the disk fails.
    fn store(&self, state: &mut State, offset: u64, bytes: &[u8]) {
        let written = match self.disk.write(offset, &[IoSlice::new(bytes)]) {
            Ok(()) => true,
            Err(why) => {
                tracing::debug!(%why, "the firmware's variables cannot be written");
                false
            }
        };
        match state.array.get_mut(offset as usize..offset as usize + bytes.len()).filter(|_| written) {
            Some(place) => place.copy_from_slice(bytes),
            None => state.errors |= PROGRAM_ERROR,
        }
    }

    /// Programs a word: bits become 0 and never 1.
    fn program(&self, state: &mut State, offset: u64, value: u32, lanes: u32) {
        let new = state.word(offset) & (value | !lanes);
        self.store(state, offset, &new.to_le_bytes());
    }

    fn write_word(&self, state: &mut State, offset: u64, value: u32, lanes: u32) {
        if offset >= self.size {
            return;
        }
        state.mode = match (state.mode, value & 0xff) {
            (Mode::Program, _) => {
                self.program(state, offset, value, lanes);
                Mode::Status
            }
            (Mode::Erase, command::CONFIRM) => {
                self.store(state, offset - offset % BLOCK, &[0xff; BLOCK as usize]);
                Mode::Status
            }
            // Lock, unlock and lock for good alike: nothing is locked.
            (Mode::Lock, _) => Mode::Status,
            (Mode::BufferCount, _) if value & 0xffff < BUFFER => Mode::Buffer((value & 0xffff) + 1),
            // The words are programmed as they come: there is no way back for them but the erasure of the block.
            (Mode::Buffer(words), _) => {
                self.program(state, offset, value, lanes);
                if words > 1 { Mode::Buffer(words - 1) } else { Mode::BufferConfirm }
            }
            (Mode::BufferConfirm, command::CONFIRM) => Mode::Status,
            (Mode::Erase | Mode::BufferCount | Mode::BufferConfirm, _) => {
                state.errors |= SEQUENCE_ERROR;
                Mode::Status
            }
            (mode, code) => state.command(mode, code),
        };
    }
}

impl State {
    fn word(&self, offset: u64) -> u32 {
        let word = self.array.get(offset as usize..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| u32::from_le_bytes(*word))
    }

    fn read_word(&self, offset: u64) -> u32 {
        match self.mode {
            Mode::Array => self.word(offset),
            // Identifiers count words; the one behind them says that a block is not locked.
            Mode::Identity => IDENTITY.get((offset % BLOCK / 4) as usize).copied().unwrap_or(0),
            _ => READY | self.errors,
        }
    }

    /// The mode after a command's first cycle.
    fn command(&mut self, mode: Mode, code: u32) -> Mode {
        match code {
            command::PROGRAM | command::PROGRAM_ALTERNATE => Mode::Program,
            command::ERASE => Mode::Erase,
            command::CLEAR_STATUS => {
                self.errors = 0;
                mode
            }
            command::LOCK => Mode::Lock,
            command::READ_STATUS => Mode::Status,
            command::READ_IDENTITY => Mode::Identity,
            command::BUFFERED_PROGRAM => Mode::BufferCount,
            // And what is no command.
            _ => Mode::Array,
        }
    }
}

impl MmioDevice for Flash {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let state = self.state.lock();
        regs::read(offset, data, |word| state.read_word(word));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut state = self.state.lock();
        regs::write(offset, data, |word, value, lanes| self.write_word(&mut state, word, value, lanes));
    }
}
