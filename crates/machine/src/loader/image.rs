//! The arm64 Image: its header, and where it goes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::format::{self, IMAGE_MAGIC, IMAGE_MAGIC_AT, Source};
use super::{LoadError, Section};
use crate::layout::RAM_BASE;
use crate::memory::ram_end;

/// Bytes of the header.
const HEADER: usize = 64;
/// Images before Linux 3.17 have no image size, and this text offset.
const OLD_TEXT_OFFSET: u64 = 0x8_0000;
/// Images lie this offset, less than 2 MiB, from an address that is a multiple of 2 MiB.
const ALIGNMENT: u64 = 2 << 20;

/// A kernel in guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// The address of its first instruction.
    pub entry: u64,
    /// The first address behind what it needs for itself, its zero-initialised data included.
    pub end: u64,
}

/// Looks whether `file` is a kernel for this machine, before there is guest memory for it.
///
/// # Errors
/// When the file is no arm64 kernel, or its beginning is damaged.
pub fn check_kernel(file: &File) -> Result<(), LoadError> {
    open(file).map(drop)
}

/// Reads the kernel in `file`, an Image as it is or compressed, into the beginning of guest memory.
///
/// # Errors
/// When the file is no arm64 kernel or is damaged, and when guest memory is too small for it.
pub fn load_kernel(file: &File, memory: &GuestMemory) -> Result<Kernel, LoadError> {
    let (source, header) = open(file)?;
    let entry = RAM_BASE + header.text_offset;
    let limit = ram_end(memory);
    let room = limit.saturating_sub(entry);
    let size = match source {
        Source::Plain(file) => copy_file(file, memory, entry, room),
        Source::Stream(stream) => copy_stream(&header.raw[..], stream, memory, entry, room),
    }?;
    let needed = size.max(header.image_size);
    if needed > room {
        return Err(LoadError::too_big("kernel", needed, room));
    }
    Ok(Kernel { entry, end: entry + needed })
}

/// The Image in a file, and its header; a stream goes on behind that.
fn open(file: &File) -> Result<(Source<'_>, Header), LoadError> {
    let read = |source| LoadError::Read { what: "kernel", source };
    let mut source = format::open(file)?;
    let mut header = [0; HEADER];
    match &mut source {
        Source::Plain(file) => Section { file, at: 0, end: HEADER as u64 }.read_exact(&mut header).map_err(read)?,
        Source::Stream(stream) => stream.read_exact(&mut header).map_err(read)?,
    }
    Ok((source, Header::parse(&header)?))
}

/// The fields of the header that matter.
struct Header {
    raw: [u8; HEADER],
    text_offset: u64,
    image_size: u64,
}

impl Header {
    fn parse(raw: &[u8; HEADER]) -> Result<Self, LoadError> {
        if &raw[IMAGE_MAGIC_AT..IMAGE_MAGIC_AT + 4] != IMAGE_MAGIC {
            return Err(LoadError::NotAKernel { found: "a compressed file with no arm64 Image in it" });
        }
        let quad = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| raw[at + i]));
        let (mut text_offset, image_size, flags) = (quad(8), quad(16), quad(24));
        if image_size == 0 {
            text_offset = OLD_TEXT_OFFSET;
        }
        if text_offset >= ALIGNMENT || text_offset % 4096 != 0 {
            return Err(LoadError::Header("its text offset is 2 MiB or more, or not a multiple of 4 KiB"));
        }
        if flags & 1 != 0 {
            return Err(LoadError::Header("it is for a big-endian CPU"));
        }
        Ok(Self { raw: *raw, text_offset, image_size })
    }
}

fn copy_file(mut file: &File, memory: &GuestMemory, to: u64, room: u64) -> Result<u64, LoadError> {
    let read = |source| LoadError::Read { what: "kernel", source };
    let size = file.seek(SeekFrom::End(0)).map_err(read)?;
    if size > room {
        return Err(LoadError::too_big("kernel", size, room));
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    // `size` is less than guest memory, which is mapped here.
    memory
        .read_exact_volatile_from(GuestAddress(to), &mut file, size as usize)
        .map_err(|e| read(io::Error::other(e)))?;
    Ok(size)
}

fn copy_stream(head: &[u8], mut stream: impl Read, memory: &GuestMemory, to: u64, room: u64) -> Result<u64, LoadError> {
    let read = |source| LoadError::Read { what: "kernel", source };
    let mut buffer = vec![0; 1 << 18];
    buffer[..head.len()].copy_from_slice(head);
    let (mut have, mut size) = (head.len(), 0);
    while have > 0 {
        if size + have as u64 > room {
            return Err(LoadError::too_big("kernel", size + have as u64, room));
        }
        memory.write_slice(&buffer[..have], GuestAddress(to + size)).map_err(|e| read(io::Error::other(e)))?;
        size += have as u64;
        have = loop {
            match stream.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                got => break got.map_err(read)?,
            }
        };
    }
    Ok(size)
}
