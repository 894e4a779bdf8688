//! Frames that are cut, against smoltcp's reading of the pieces.

use smoltcp::wire::{EthernetFrame, Ipv4Packet, TcpPacket, UdpPacket};

use super::*;
use crate::offload::{finish, verify};
use crate::{PartialChecksum, Segments};

/// An Ethernet frame with `tags` VLAN tags, IPv4 or IPv6 and `transport`, whose checksum is at `field`.
fn frame(tags: usize, v6: bool, protocol: u8, transport: &[u8], field: u16) -> (Vec<u8>, PartialChecksum) {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for _ in 0..tags {
        frame.extend([0x81, 0, 0, 5]);
    }
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((transport.len() as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([[0xfd; 16], [0xfe; 16]].as_flattened());
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + transport.len() as u16).to_be_bytes());
        frame.extend([0xff, 0xff, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    let start = frame.len() as u16;
    frame.extend(transport);
    (frame, PartialChecksum { start, offset: field })
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    // Sequence number 0xffff_ff00, 32 bytes of header, CWR, ACK, PSH and FIN.
    let mut header = vec![1, 2, 3, 4, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x80, 0x99, 1, 0, 0, 0, 0, 0];
    header.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    header.extend(payload);
    header
}

fn pieces(frame: &[u8], meta: Meta) -> Vec<Vec<u8>> {
    let mut segmenter = Segmenter::new(frame, meta).expect("it can be cut");
    let (mut all, mut out) = (Vec::new(), Vec::new());
    while segmenter.next(frame, &mut out) {
        all.push(out.clone());
    }
    all
}

fn meta(partial: PartialChecksum, kind: SegmentKind, size: u16) -> Meta {
    Meta { partial: Some(partial), segments: Some(Segments { kind, size }), verified: false }
}

#[test]
fn tcp_is_cut_with_sequence_numbers_flags_lengths_and_checksums() {
    let payload: Vec<u8> = (0..5000u32).map(|n| (n * 7 / 3) as u8).collect();
    for (v6, tags) in [(false, 0), (false, 1), (true, 0), (true, 2)] {
        let (frame, partial) = frame(tags, v6, 6, &tcp(&payload), 16);
        let kind = if v6 { SegmentKind::Tcp6 } else { SegmentKind::Tcp4 };
        let pieces = pieces(&frame, meta(partial, kind, 1448));
        assert_eq!(pieces.len(), 4);
        let mut got: Vec<u8> = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            assert!(verify(piece), "segment {n}");
            let ip = &piece[14 + 4 * tags..];
            let bytes = if v6 {
                assert_eq!(usize::from(be16(ip, 4).unwrap()), ip.len() - 40);
                ip[40..].to_vec()
            } else {
                let ip = Ipv4Packet::new_checked(ip).unwrap();
                assert!(ip.verify_checksum());
                assert_eq!(ip.ident(), 0xffffu16.wrapping_add(n as u16));
                ip.payload().to_vec()
            };
            let tcp = TcpPacket::new_checked(&bytes[..]).unwrap();
            assert_eq!(tcp.seq_number().0 as u32, 0xffff_ff00u32.wrapping_add(1448 * n as u32));
            assert_eq!((tcp.fin(), tcp.psh(), tcp.cwr(), tcp.ack()), (n == 3, n == 3, n == 0, true));
            got.extend(tcp.payload());
        }
        assert!(got == payload);
    }
}

#[test]
fn udp_is_cut_into_datagrams() {
    let transport = [&[0, 53, 0, 99, 0x0b, 0xc0, 0, 0][..], &[0xa5; 3000]].concat();
    let (frame, partial) = frame(0, false, 17, &transport, 6);
    let pieces = pieces(&frame, meta(partial, SegmentKind::Udp, 1400));
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [1442, 1442, 242]);
    for piece in pieces {
        let ethernet = EthernetFrame::new_checked(&piece[..]).unwrap();
        let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
        let udp = UdpPacket::new_checked(ip.payload()).unwrap();
        assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        assert_eq!(usize::from(udp.len()), ip.payload().len());
    }
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let (frame, partial) = frame(0, false, 6, &tcp(&[1; 4000]), 16);
    let cut = |frame: &[u8], meta| Segmenter::new(frame, meta).is_some();
    assert!(cut(&frame, meta(partial, SegmentKind::Tcp4, 1000)));
    assert!(!cut(&frame, meta(partial, SegmentKind::Tcp6, 1000)), "another version");
    assert!(!cut(&frame, meta(partial, SegmentKind::Udp, 1000)), "another protocol");
    assert!(!cut(&frame, meta(partial, SegmentKind::Tcp4, 0)), "nothing in a segment");
    assert!(!cut(&frame, meta(partial, SegmentKind::Tcp4, 1)), "too many segments");
    assert!(!cut(&frame, meta(PartialChecksum { start: 30, offset: 16 }, SegmentKind::Tcp4, 1000)), "another place");
    assert!(!cut(&frame[..60], meta(partial, SegmentKind::Tcp4, 1000)), "half a header");
    assert!(!cut(&frame, Meta::default()), "not to be cut");
    let mut fragment = frame.clone();
    fragment[20] |= 0x20;
    assert!(!cut(&fragment, meta(partial, SegmentKind::Tcp4, 1000)), "a fragment");
}

#[test]
fn a_partial_checksum_is_finished_and_a_wrong_one_is_seen() {
    for (v6, field, protocol) in [(false, 16, 6), (true, 16, 6), (true, 6, 17)] {
        let transport = if protocol == 6 { tcp(b"odd") } else { [&[0, 1, 0, 2, 0, 11, 0, 0][..], b"odd"].concat() };
        let (mut frame, partial) = frame(0, v6, protocol, &transport, field);
        assert!(!verify(&frame));
        let pseudo = Ip::parse(&frame).unwrap().pseudo(&frame, transport.len()).unwrap();
        let at = usize::from(partial.start + partial.offset);
        frame[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        finish(&mut frame, partial);
        assert!(verify(&frame));
        *frame.last_mut().unwrap() ^= 1;
        assert!(!verify(&frame));
    }
    finish(&mut [0; 10], PartialChecksum { start: 8, offset: 1 });
    finish(&mut [0; 10], PartialChecksum { start: u16::MAX, offset: u16::MAX });
}
