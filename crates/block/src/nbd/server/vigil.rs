//! Waiting awake for a client that asks again at once: one that has a single request under way waits for us, and would
//! wait for a thread to be put to sleep and woken each time.

use std::thread;
use std::time::{Duration, Instant};

use crate::nbd::stream::Socket;

/// How long to stay awake: about as long as it takes to put a thread to sleep and to wake it.
const STAY: Duration = Duration::from_micros(50);
/// How often not to, after it was in vain.
const REST: u32 = 32;

/// State: how often not to stay awake yet.
#[derive(Default)]
pub(super) struct Vigil {
    rest: u32,
}

impl Vigil {
    /// Waits until something can be received, but not for long.
    pub(super) fn keep(&mut self, socket: &Socket) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        let start = Instant::now();
        while !socket.has_news() {
            if start.elapsed() > STAY {
                self.rest = REST;
                return;
            }
            // The client may want this very processor.
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_vigil_ends_with_news_and_rests_after_it_was_in_vain() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let (mut reader, socket) = (ours.try_clone().unwrap(), Socket::from(ours));
        let mut vigil = Vigil::default();
        vigil.keep(&socket);
        assert_eq!(vigil.rest, REST);
        (0..REST).for_each(|_| vigil.keep(&socket));
        assert_eq!(vigil.rest, 0);
        theirs.write_all(b"x").unwrap();
        vigil.keep(&socket);
        assert_eq!(vigil.rest, 0);
        // It is still there to be received, and the end is news, too.
        reader.read_exact(&mut [0]).unwrap();
        assert!(!socket.has_news());
        drop(theirs);
        vigil.keep(&socket);
        assert_eq!(vigil.rest, 0);
    }
}
