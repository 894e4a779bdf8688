//! Many datagrams in one system call (recvmmsg(2); udp(7), `UDP_SEGMENT` and `UDP_GRO`).

#![allow(unsafe_code, reason = "the calls take structures that point to buffers")]

use std::io;
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;

/// Messages in one call. Their buffers, of a mebibyte together, take memory only as far as they are ever filled.
const MESSAGES: usize = 16;
/// Room for one message: a datagram, or as many as the host merges into one.
const ROOM: usize = 65536;
/// The control message that tells how large the merged datagrams are: its header and an `int`, aligned.
const CONTROL: usize = 32;

#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// What was received with one call.
pub(in crate::nat) struct Inbox {
    bytes: Vec<u8>,
    /// Length and size of the parts, of each message.
    messages: Vec<(usize, usize)>,
}

impl Inbox {
    pub(in crate::nat) fn new() -> Self {
        Self { bytes: vec![0; MESSAGES * ROOM], messages: Vec::with_capacity(MESSAGES) }
    }

    /// Receives what waits at a connected socket, as far as there is room; whether there may be more.
    pub(in crate::nat) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.messages.clear();
        let mut controls = [Control([0; CONTROL]); MESSAGES];
        // SAFETY: plain C structures, for which all zeros is a value.
        let (mut parts, mut heads): ([libc::iovec; MESSAGES], [libc::mmsghdr; MESSAGES]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let buffers = self.bytes.chunks_exact_mut(ROOM).zip(&mut controls).zip(&mut parts).zip(&mut heads);
        for (((buffer, control), part), head) in buffers {
            *part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            (head.msg_hdr.msg_iov, head.msg_hdr.msg_iovlen) = (part, 1);
            (head.msg_hdr.msg_control, head.msg_hdr.msg_controllen) = (control.0.as_mut_ptr().cast(), CONTROL as _);
        }
        let (count, wait) = (MESSAGES as libc::c_uint, std::ptr::null_mut());
        // SAFETY: each header points to one part and one control buffer, all of which outlive the call.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), heads.as_mut_ptr(), count, 0, wait) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for head in &heads[..received] {
            let len = head.msg_len as usize;
            self.messages.push((len, merged(&head.msg_hdr).unwrap_or(len)));
        }
        Ok(received == MESSAGES)
    }

    /// The datagrams that were received, in their order.
    pub(in crate::nat) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(ROOM).zip(&self.messages).flat_map(|(bytes, &(len, size))| {
            // One without data is a datagram, too.
            let count = len.div_ceil(size.max(1)).max(1);
            (0..count).map(move |n| &bytes[n * size..len.min((n + 1) * size)])
        })
    }
}

/// How large the datagrams are that the host has merged into a message, if it has.
fn merged(head: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has written `msg_controllen` bytes of control messages, and the buffer is aligned for them.
    let message = unsafe { libc::CMSG_FIRSTHDR(head).as_ref() }?;
    if (message.cmsg_level, message.cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO) {
        return None;
    }
    // SAFETY: the data of this message is an `int`, which may be unaligned.
    let size = unsafe { libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned() };
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Has the host merge datagrams of one size into one message.
pub(in crate::nat) fn merge(socket: &UdpSocket) {
    // A host that cannot gives them one by one.
    let _ = set(socket, libc::UDP_GRO, 1);
}

/// From now on what is sent is cut into datagrams of `size` bytes; 0: it is one.
pub(in crate::nat) fn cut(socket: &UdpSocket, size: usize) -> io::Result<()> {
    set(socket, libc::UDP_SEGMENT, libc::c_int::try_from(size).unwrap_or(libc::c_int::MAX))
}

fn set(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads one `int` from the pointer.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets that are connected to each other.
    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (a, b) = (bind(), bind());
        a.connect(b.local_addr().unwrap()).unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        (a, b)
    }

    #[test]
    fn what_is_sent_at_once_arrives_in_its_datagrams() {
        let (a, b) = pair();
        merge(&b);
        let bytes: Vec<u8> = (0..250).collect();
        cut(&a, 100).unwrap();
        assert_eq!(a.send(&bytes).unwrap(), 250);
        cut(&a, 0).unwrap();
        assert_eq!((a.send(&bytes).unwrap(), a.send(&[]).unwrap()), (250, 0));
        let mut inbox = Inbox::new();
        let mut got = Vec::new();
        while got.len() < 5 {
            match inbox.receive(&b) {
                Ok(_) => got.extend(inbox.datagrams().map(<[u8]>::to_vec)),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(got.iter().map(Vec::as_slice).eq([&bytes[..100], &bytes[100..200], &bytes[200..], &bytes, &[]]));
        assert!(inbox.receive(&b).is_err());
        assert_eq!(inbox.datagrams().count(), 0);
    }

    #[test]
    fn more_than_one_call_takes_is_told() {
        let (a, b) = pair();
        for n in 0..MESSAGES + 1 {
            a.send(&[n as u8]).unwrap();
        }
        let mut inbox = Inbox::new();
        assert!(inbox.receive(&b).unwrap());
        assert!(inbox.datagrams().eq((0..MESSAGES as u8).map(|n| [n]).collect::<Vec<_>>()));
        assert!(!inbox.receive(&b).unwrap());
        assert_eq!(inbox.datagrams().collect::<Vec<_>>(), [[MESSAGES as u8]]);
    }
}
