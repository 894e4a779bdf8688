//! Frames in a stream: each after its length in four bytes, big-endian.

use crate::wire::VnetHeader;
use crate::{MAX_FRAME, Meta};

/// How much is read at once, in bytes.
const CHUNK: usize = 128 << 10;
const LENGTH: usize = 4;

/// Whether a header with a frame's [`Meta`] stands between length and frame. The length counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// No: frames are as on a real wire.
    None,
    /// Yes, `struct virtio_net_hdr` (virtio 1.3, 5.1.6) of ten bytes: between machines of ours.
    Vnet,
}

/// The stream cannot be followed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A length that no frame has.
    #[error("a frame of {0} bytes: the other end does not speak this protocol")]
    Length(u32),
    /// A header that does not fit its frame.
    #[error("a header that does not fit its frame")]
    Header,
}

/// Finds the frames in a stream.
pub struct Deframer {
    headers: Headers,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Deframer {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new(headers: Headers) -> Self {
        Self { headers, buffer: vec![0; 2 * CHUNK], start: 0, end: 0 }
    }

    /// Room for more bytes of the stream, never empty when [`next`](Self::next) has just given `None`. Say with
    /// [`filled`](Self::filled) how much of it there is now.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < CHUNK {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// The first `count` bytes of the room were filled.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// The next frame, into `frame`, which is replaced. `None` when not all of it is there yet.
    pub fn next(&mut self, frame: &mut Vec<u8>) -> Result<Option<Meta>, FramingError> {
        let there = &self.buffer[self.start..self.end];
        let Some((length, rest)) = there.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let head = if self.headers == Headers::Vnet { VnetHeader::SIZE } else { 0 };
        let len = length as usize;
        if len <= head || len > head + MAX_FRAME {
            return Err(FramingError::Length(length));
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        frame.clear();
        frame.extend_from_slice(&body[head..]);
        let meta = match body.first_chunk() {
            Some(header) if head > 0 => VnetHeader::decode(*header, frame).ok_or(FramingError::Header)?,
            _ => Meta::default(),
        };
        self.start += LENGTH + len;
        Ok(Some(meta))
    }
}

/// Appends a frame to `stream`.
pub fn append(stream: &mut Vec<u8>, headers: Headers, frame: &[u8], meta: Meta) {
    let header = VnetHeader::encode(frame, meta);
    let header = if headers == Headers::Vnet { &header[..] } else { &[] };
    stream.extend(((header.len() + frame.len()) as u32).to_be_bytes());
    stream.extend_from_slice(header);
    stream.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PartialChecksum, SegmentKind, Segments};

    fn all(headers: Headers, stream: &[u8], step: usize) -> Result<Vec<(Vec<u8>, Meta)>, FramingError> {
        let (mut deframer, mut frames, mut frame) = (Deframer::new(headers), Vec::new(), Vec::new());
        for mut bytes in stream.chunks(step) {
            while !bytes.is_empty() {
                let room = deframer.room();
                let count = room.len().min(bytes.len());
                assert!(count > 0);
                room[..count].copy_from_slice(&bytes[..count]);
                deframer.filled(count);
                bytes = &bytes[count..];
                while let Some(meta) = deframer.next(&mut frame)? {
                    frames.push((frame.clone(), meta));
                }
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let partial = Some(PartialChecksum { start: 34, offset: 16 });
        let mut large = vec![0x55; MAX_FRAME];
        large[34 + 12] = 0x50;
        let segments = Some(Segments { kind: SegmentKind::Tcp4, size: 1448 });
        let sent = [
            (vec![1; 14], Meta::default()),
            (large, Meta { partial, segments, verified: false }),
            (vec![2; 60], Meta { partial, ..Meta::default() }),
            (vec![3; 1514], Meta { verified: true, ..Meta::default() }),
        ];
        let mut stream = Vec::new();
        for (frame, meta) in sent.iter().cycle().take(40) {
            append(&mut stream, Headers::Vnet, frame, *meta);
        }
        for step in [1000, 4096, 200_000, stream.len()] {
            let got = all(Headers::Vnet, &stream, step).unwrap();
            assert!(got.iter().eq(sent.iter().cycle().take(40)), "{step}");
        }
        let mut plain = Vec::new();
        append(&mut plain, Headers::None, &[7; 60], Meta::default());
        assert_eq!(plain[..5], [0, 0, 0, 60, 7]);
        assert_eq!(all(Headers::None, &plain, 1), Ok(vec![(vec![7; 60], Meta::default())]));
    }

    #[test]
    fn what_is_no_frame_ends_the_stream() {
        assert_eq!(all(Headers::None, &[0; 4], 4), Err(FramingError::Length(0)));
        assert_eq!(all(Headers::None, b"GET / HTTP/1.1", 14), Err(FramingError::Length(0x4745_5420)));
        assert_eq!(all(Headers::Vnet, &[0, 0, 0, 10], 4), Err(FramingError::Length(10)));
        // To be cut, but with no checksum left open.
        let wrong = [&[0, 0, 0, 24, 0, 1][..], &[0; 22]].concat();
        assert_eq!(all(Headers::Vnet, &wrong, 99), Err(FramingError::Header));
    }
}
