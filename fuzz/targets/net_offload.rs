//! Frames with any headers and any word of how they are to be cut and summed.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use net::offload::{Segmenter, finish, verify};
use net::{MAX_FRAME, Meta, PartialChecksum, SegmentKind, Segments};

#[derive(Arbitrary, Debug)]
struct Input {
    /// Headers that are right as far as their lengths go, so that the fuzzer gets past them.
    v6: Option<bool>,
    udp: bool,
    start: u16,
    offset: u16,
    size: u16,
    kind: u8,
    bytes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut frame = input.bytes;
    let (mut start, mut offset) = (input.start, input.offset);
    if let Some(v6) = input.v6 {
        let transport = frame.len().min(60_000) as u16;
        let mut head = vec![2; 12];
        let protocol = if input.udp { 17 } else { 6 };
        if v6 {
            head.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            head.extend(transport.to_be_bytes());
            head.extend([protocol, 64]);
            head.extend([7; 32]);
        } else {
            head.extend([8, 0, 0x45, 0]);
            head.extend((20 + transport).to_be_bytes());
            head.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        (start, offset) = (head.len() as u16, if input.udp { 6 } else { 16 });
        head.append(&mut frame);
        frame = head;
    }
    frame.truncate(MAX_FRAME);
    let kind = [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp][usize::from(input.kind % 3)];
    let partial = PartialChecksum { start, offset };
    let meta = Meta { partial: Some(partial), segments: Some(Segments { kind, size: input.size }), verified: false };
    let _ = (verify(&frame), meta.check(&frame));
    if let Some(mut segmenter) = Segmenter::new(&frame, meta) {
        assert!(meta.check(&frame));
        let (header, mut payload, mut count, mut out) = (meta.header_len(&frame).unwrap(), 0, 0, Vec::new());
        while segmenter.next(&frame, &mut out) {
            assert!(verify(&out), "a segment with a wrong checksum");
            payload += out.len() - header;
            count += 1;
            assert!(out.len() - header <= usize::from(input.size) && count <= 2048);
        }
        assert!(payload <= frame.len() - header);
    }
    finish(&mut frame, partial);
});
