//! The escape key of the terminal: how to reach us when every key goes to the guest.

/// Ctrl-], as telnet has it; shells and editors leave it alone.
const ESCAPE: u8 = 0x1d;

/// What the user wants of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Ask the guest to power off.
    PowerOff,
    /// Stop the machine at once.
    Quit,
    /// Show the keys.
    Help,
}

/// What there is to type after Ctrl-].
pub(crate) const HELP: &str = "Ctrl-] then p: ask for power-off, q: stop at once, Ctrl-]: send it, ?: help";

/// Parts what is for the guest from what is for us.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// The last key was the escape.
    escaped: bool,
}

impl Filter {
    /// Appends to `guest` what of `typed` is for the guest, and returns what is for us.
    pub(crate) fn feed(&mut self, typed: &[u8], guest: &mut Vec<u8>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for &byte in typed {
            if !self.escaped {
                match byte {
                    ESCAPE => self.escaped = true,
                    byte => guest.push(byte),
                }
                continue;
            }
            self.escaped = false;
            match byte {
                ESCAPE => guest.push(ESCAPE),
                b'p' | b'P' => wishes.push(Wish::PowerOff),
                b'q' | b'Q' => wishes.push(Wish::Quit),
                // Any other key is a mistake or a question; it is not for the guest.
                _ => wishes.push(Wish::Help),
            }
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (typed, guest, wishes) in [
            (&[&b"ls\r"[..]][..], &b"ls\r"[..], &[][..]),
            (&[b"a\x1dpb"], b"ab", &[Wish::PowerOff]),
            (&[b"a\x1d", b"q"], b"a", &[Wish::Quit]),
            (&[b"\x1d\x1dq"], b"\x1dq", &[]),
            (&[b"\x1d?\x1dx"], b"", &[Wish::Help, Wish::Help]),
            (&[b"\x03\x1a"], b"\x03\x1a", &[]),
        ] {
            let (mut filter, mut sent, mut wished) = (Filter::default(), Vec::new(), Vec::new());
            for part in typed {
                wished.extend(filter.feed(part, &mut sent));
            }
            assert_eq!((sent.as_slice(), wished.as_slice()), (guest, wishes), "{typed:?}");
        }
    }
}
