//! The maximum segment size in SYN segments (RFC 9293, 3.7.1).

use super::out::{IPV4, IPV6, TCP};

/// What holds when nothing is told.
pub(super) const DEFAULT: usize = 536;
/// What is told is taken as no less, so that nobody makes us send bytes one by one (RFC 6691, 5.2 has 536 for a
/// packet that every link carries; smaller ones occur on odd links).
pub(super) const LEAST: usize = 216;

/// The option's kind and length.
const KIND: u8 = 2;
const LEN: u8 = 4;
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// Where the flags are in a TCP header, and the one of SYN.
const FLAGS: usize = 13;
const SYN: u8 = 2;

/// Replaces the size in a TCP segment, and gives what it was; `None`: there is none. The checksum is not kept.
pub(super) fn replace(segment: &mut [u8], size: usize) -> Option<usize> {
    let end = usize::from(segment.get(12)? >> 4) * 4;
    let mut options = segment.get_mut(TCP..end)?;
    loop {
        let len = match *options.first()? {
            END => return None,
            NO_OPERATION => 1,
            KIND if options.get(1) == Some(&LEN) => {
                let field = options.get_mut(2..4)?;
                let told = u16::from_be_bytes([field[0], field[1]]);
                field.copy_from_slice(&u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes());
                return Some(told.into());
            }
            _ => usize::from(*options.get(1)?).max(2),
        };
        options = options.get_mut(len..)?;
    }
}

/// Makes the size that a packet of ours tells, if it tells one, that of packets of `mtu` bytes.
pub(super) fn limit(packet: &mut [u8], mtu: usize) {
    let header = if packet[0] >> 4 == 6 { IPV6 } else { IPV4 };
    if let Some(segment) = packet.get_mut(header..)
        && segment.get(FLAGS).is_some_and(|flags| flags & SYN != 0)
    {
        replace(segment, mtu - header - TCP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(options: &[u8]) -> Vec<u8> {
        let mut bytes = [0; TCP];
        bytes[12] = (((TCP + options.len()) / 4) << 4) as u8;
        bytes[FLAGS] = SYN;
        [&bytes[..], options].concat()
    }

    #[test]
    fn the_size_is_found_among_other_options() {
        for options in [&[2, 4, 5, 0xb4][..], &[1, 1, 4, 2, 2, 4, 5, 0xb4], &[3, 3, 7, 2, 4, 5, 0xb4, 0]] {
            let mut bytes = segment(options);
            assert_eq!(replace(&mut bytes, 1000), Some(1460));
            assert_eq!(replace(&mut bytes, 70000), Some(1000));
            assert_eq!(replace(&mut bytes, 1), Some(65535));
        }
    }

    #[test]
    fn rubbish_has_none() {
        for options in [&[][..], &[0, 2, 4, 9], &[2, 3, 5, 0], &[9, 0, 9, 0], &[9, 200, 2, 4], &[1, 1, 2, 4], &[2; 40]]
        {
            assert_eq!(replace(&mut segment(options), 9), None, "{options:?}");
        }
        for len in 0..TCP {
            assert_eq!(replace(&mut segment(&[2, 4, 5, 0xb4])[..len], 9), None);
        }
        let mut short = segment(&[]);
        short[12] = 0xf0;
        assert_eq!(replace(&mut short, 9), None, "the header is longer than the segment");
        short[12] = 0;
        assert_eq!(replace(&mut short, 9), None, "the header is shorter than a header");
    }
}
