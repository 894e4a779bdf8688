//! Datagrams of one flow that are carried together: all of one size, of which the last may be shorter. The host takes
//! and gives such a train in one system call (udp(7), `UDP_SEGMENT` and `UDP_GRO`), a card in one frame.

/// How many datagrams the host takes at once (linux/udp.h, `UDP_MAX_SEGMENTS` of the older kernels).
const MAX_COUNT: usize = 64;
/// How many bytes: the largest IP packet less the headers of IPv6 and UDP.
const MAX_BYTES: usize = 65535 - 40 - 8;

/// A train; it keeps its memory when it is emptied.
#[derive(Default)]
pub(super) struct Train {
    bytes: Vec<u8>,
    size: usize,
    count: usize,
}

impl Train {
    /// Takes a datagram. `false`: it does not go with what is there, which has to be carried before.
    pub(super) fn add(&mut self, datagram: &[u8]) -> bool {
        if self.count == 0 {
            self.size = datagram.len();
        } else {
            let ended = self.bytes.len() < self.count * self.size || self.size == 0;
            let long = datagram.len() > self.size || self.bytes.len() + datagram.len() > MAX_BYTES;
            // An empty datagram has no place behind others: nothing would tell of it.
            if ended || long || datagram.is_empty() || self.count >= MAX_COUNT {
                return false;
            }
        }
        self.bytes.extend_from_slice(datagram);
        self.count += 1;
        true
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many bytes each has but the last.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether there are several.
    pub(super) fn is_long(&self) -> bool {
        self.count > 1
    }

    /// All of them, one behind the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One after the other.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let part = |n: usize| &self.bytes[n * self.size..self.bytes.len().min((n + 1) * self.size)];
        (0..self.count).map(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_together_comes_apart_as_it_was() {
        // The sizes of datagrams, and how many of them one train takes.
        let cases: [(&[usize], usize); 8] = [
            (&[5, 5, 5], 3),
            (&[5, 5, 3, 5], 3),
            (&[5, 6], 1),
            (&[0, 5], 1),
            (&[0, 0], 1),
            (&[5, 0], 1),
            (&[1; 70], MAX_COUNT),
            (&[60_000, 60_000], 1),
        ];
        let mut train = Train::default();
        for (sizes, wanted) in cases {
            let all: Vec<_> = sizes.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let taken = all.iter().take_while(|datagram| train.add(datagram)).count();
            assert_eq!(taken, wanted, "{sizes:?}");
            assert!(train.datagrams().eq(&all[..taken]), "{sizes:?}");
            assert_eq!(train.is_long(), taken > 1);
            train.clear();
            assert_eq!((train.datagrams().count(), train.bytes()), (0, &[][..]));
        }
    }
}
