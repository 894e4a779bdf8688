//! The gateway's ends of TCP connections: sockets of smoltcp, whose buffers shrink as connections become more, and
//! which are used again.

use std::collections::VecDeque;

use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Duration;

/// A guest that is silent so long is asked whether it still has the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How much the buffers of sockets that wait for another connection have together, in bytes: little, since memory
/// between them is not given back to the host.
const SPARE: usize = 4 << 20;

/// The size of each of a connection's two buffers, in bytes, when there are `open` connections: with 4096 of them
/// they have at most 275 MiB together, and memory is only used as data comes.
fn buffer_size(open: usize) -> usize {
    match open {
        0..=4 => 1 << 20,
        5..=64 => 128 << 10,
        _ => 32 << 10,
    }
}

/// Gives sockets to connections, and takes them back: to get and to clear buffers of this size costs more than all the
/// rest of a short connection.
#[derive(Default)]
pub(super) struct Sockets {
    /// The one that was used last is the last, for its memory is warm.
    spare: VecDeque<Socket<'static>>,
    bytes: usize,
}

impl Sockets {
    /// A closed socket for a new connection beside `open` others.
    pub(super) fn take(&mut self, open: usize) -> Socket<'static> {
        let size = buffer_size(open);
        let found = self.spare.iter().rposition(|socket| socket.recv_capacity() == size);
        if let Some(socket) = found.and_then(|at| self.spare.remove(at)) {
            self.bytes -= 2 * size;
            return socket;
        }
        let buffer = || SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket
    }

    /// Takes the socket of a connection that is over. Those that have waited longest make room.
    pub(super) fn give(&mut self, mut socket: Socket<'static>) {
        socket.abort();
        self.bytes += 2 * socket.recv_capacity();
        self.spare.push_back(socket);
        while self.bytes > SPARE
            && let Some(oldest) = self.spare.pop_front()
        {
            self.bytes -= 2 * oldest.recv_capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_used_again_while_their_size_is_right_and_there_are_few() {
        let mut sockets = Sockets::default();
        let large = sockets.take(0);
        let small = sockets.take(1000);
        assert_eq!((large.recv_capacity(), small.send_capacity()), (1 << 20, 32 << 10));
        sockets.give(large);
        sockets.give(small);
        assert_eq!((sockets.spare.len(), sockets.bytes), (2, (2 << 20) + (64 << 10)));
        assert_eq!(sockets.take(4).recv_capacity(), 1 << 20);
        assert_eq!(sockets.take(5).recv_capacity(), 128 << 10);
        assert_eq!((sockets.spare.len(), sockets.bytes), (1, 64 << 10));
        for _ in 0..20 {
            let socket = Socket::new(SocketBuffer::new(vec![0; 1 << 20]), SocketBuffer::new(vec![0; 1 << 20]));
            sockets.give(socket);
            assert!(sockets.bytes <= SPARE);
        }
        assert_eq!((sockets.spare.len(), sockets.bytes), (2, SPARE));
    }
}
