//! What a kernel file is, by its first bytes, and the Image inside it as a stream.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::{LoadError, Section};

/// The magic number of an arm64 Image, at [`IMAGE_MAGIC_AT`].
pub(super) const IMAGE_MAGIC: &[u8] = b"ARM\x64";
/// Where it is.
pub(super) const IMAGE_MAGIC_AT: usize = 56;

/// A kernel file, opened.
pub(super) enum Source<'a> {
    /// An Image as it is.
    Plain(&'a File),
    /// An Image, decompressed on the way.
    Stream(Box<dyn Read + 'a>),
}

/// A compression method that we can undo.
#[derive(Clone, Copy)]
enum Method {
    Gzip,
    Zstd,
}

/// Looks at the beginning of the file.
pub(super) fn open(file: &File) -> Result<Source<'_>, LoadError> {
    let read = |source| LoadError::Read { what: "kernel", source };
    let size = file.metadata().map_err(read)?.len();
    let mut head = [0; 0x210];
    let mut have = 0;
    while have < head.len() {
        match file.read_at(&mut head[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(read(e)),
        }
    }
    let whole = Section { file, at: 0, end: size };
    // A zboot image is checked for first: one that also had the magic number of an Image would be no Image.
    if head.starts_with(b"MZ") && &head[4..8] == b"zimg" {
        let (method, payload) = zboot(file, &head, size)?;
        return decompress(method, payload);
    }
    if &head[IMAGE_MAGIC_AT..IMAGE_MAGIC_AT + 4] == IMAGE_MAGIC {
        return Ok(Source::Plain(file));
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return decompress(Method::Gzip, whole);
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return decompress(Method::Zstd, whole);
    }
    for (magic, method) in
        [(&b"\xfd7zXZ"[..], "xz"), (b"BZh", "bzip2"), (b"\x02\x21\x4c\x18", "lz4"), (b"\x5d\0\0", "lzma")]
    {
        if head.starts_with(magic) {
            return Err(LoadError::Compression { method: method.to_owned() });
        }
    }
    let found = match () {
        () if have == 0 => "an empty file",
        () if &head[0x202..0x206] == b"HdrS" => "one for x86",
        () if head.starts_with(b"\x7fELF") => "an ELF file, such as vmlinux",
        () if head.starts_with(b"MZ") => "an EFI program without the header of an arm64 Image",
        () => "not in a format that is known",
    };
    Err(LoadError::NotAKernel { found })
}

/// The compressed payload of an EFI zboot image (Linux `drivers/firmware/efi/libstub/zboot-header.S`): its offset at
/// 8, its size at 12, the method as a string at 24.
fn zboot<'a>(file: &'a File, head: &[u8], size: u64) -> Result<(Method, Section<'a>), LoadError> {
    let word = |at: usize| u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let (offset, length) = (word(8), word(12));
    let end = offset + length;
    if offset < 64 || length == 0 || end > size {
        return Err(LoadError::Header("the payload of the zboot image is not inside the file: it may be cut off"));
    }
    let name = &head[24..56];
    let name = &name[..name.iter().position(|b| *b == 0).unwrap_or(name.len())];
    let method = match name {
        b"gzip" => Method::Gzip,
        b"zstd" | b"zstd22" => Method::Zstd,
        other => return Err(LoadError::Compression { method: other.escape_ascii().to_string() }),
    };
    Ok((method, Section { file, at: offset, end }))
}

fn decompress(method: Method, section: Section<'_>) -> Result<Source<'_>, LoadError> {
    let compressed = BufReader::with_capacity(1 << 18, section);
    Ok(Source::Stream(match method {
        // One member: what follows, such as the size that kernel builds append, is not part of the Image.
        Method::Gzip => Box::new(GzDecoder::new(compressed)),
        Method::Zstd => Box::new(StreamingDecoder::new(compressed).map_err(|e| LoadError::Read {
            what: "kernel",
            source: io::Error::new(io::ErrorKind::InvalidData, e.to_string()),
        })?),
    }))
}
