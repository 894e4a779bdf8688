//! Many datagrams in one system call (recvmmsg(2); udp(7), `UDP_SEGMENT` and `UDP_GRO`).

#![allow(unsafe_code, reason = "the calls take structures that point to buffers")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;

use super::name::Name;

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
#[derive(Default)]
pub(in crate::nat) struct Inbox {
    bytes: Vec<u8>,
    messages: Vec<Message>,
}

/// A message: who has sent it, its length, and the size of the datagrams in it.
struct Message {
    from: SocketAddr,
    len: usize,
    size: usize,
}

impl Inbox {
    /// Receives what waits at a socket, as far as there is room; whether there may be more.
    pub(in crate::nat) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.messages.clear();
        self.bytes.resize(MESSAGES * ROOM, 0);
        let (mut controls, mut names) = ([Control([0; CONTROL]); MESSAGES], [Name::default(); MESSAGES]);
        // SAFETY: plain C structures, for which all zeros is a value.
        let (mut parts, mut heads): ([libc::iovec; MESSAGES], [libc::mmsghdr; MESSAGES]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let buffers = self.bytes.chunks_exact_mut(ROOM).zip(&mut controls).zip(&mut names);
        for (((buffer, control), name), (part, head)) in buffers.zip(parts.iter_mut().zip(&mut heads)) {
            *part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            (head.msg_hdr.msg_iov, head.msg_hdr.msg_iovlen) = (part, 1);
            (head.msg_hdr.msg_control, head.msg_hdr.msg_controllen) = (control.0.as_mut_ptr().cast(), CONTROL as _);
            (head.msg_hdr.msg_name, head.msg_hdr.msg_namelen) = ((&raw mut *name).cast(), size_of::<Name>() as _);
        }
        let (count, wait) = (MESSAGES as libc::c_uint, std::ptr::null_mut());
        // SAFETY: each header points to one part, one control buffer and one name, all of which outlive the call.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), heads.as_mut_ptr(), count, 0, wait) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (head, name) in heads[..received].iter().zip(&names) {
            let len = head.msg_len as usize;
            self.messages.push(Message { from: name.address(), len, size: merged(&head.msg_hdr).unwrap_or(len) });
        }
        Ok(received == MESSAGES)
    }

    /// The datagrams that were received and who has sent them, in their order.
    pub(in crate::nat) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.bytes.chunks_exact(ROOM).zip(&self.messages).flat_map(|(bytes, &Message { from, len, size })| {
            // One without data is a datagram, too.
            let count = len.div_ceil(size.max(1)).max(1);
            (0..count).map(move |n| (from, &bytes[n * size..len.min((n + 1) * size)]))
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

/// Sends `bytes` cut into datagrams of `size` bytes, of which the last may be shorter; to where the socket is connected
/// to, or to `target`.
pub(in crate::nat) fn send_cut(
    socket: &UdpSocket,
    target: Option<SocketAddr>,
    bytes: &[u8],
    size: usize,
) -> io::Result<()> {
    let size = u16::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let (mut name, name_len) = target.map_or((Name::default(), 0), Name::of);
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: a plain C structure, for which all zeros is a value.
    let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
    (head.msg_iov, head.msg_iovlen) = (&raw mut part, 1);
    if name_len > 0 {
        (head.msg_name, head.msg_namelen) = ((&raw mut name).cast(), name_len as _);
    }
    let size_len = size_of::<u16>() as libc::c_uint;
    // SAFETY: plain arithmetic.
    let (space, len) = unsafe { (libc::CMSG_SPACE(size_len), libc::CMSG_LEN(size_len)) };
    debug_assert!(space as usize <= CONTROL);
    (head.msg_control, head.msg_controllen) = (control.0.as_mut_ptr().cast(), space as _);
    // SAFETY: the buffer is aligned for a control message and has room for this one.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const head);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = len as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size);
    }
    // SAFETY: the header points to one part, one control buffer and maybe a name, all of which outlive the call; the
    // kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const head, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
        send_cut(&a, None, &bytes, 100).unwrap();
        assert_eq!((a.send(&bytes).unwrap(), a.send(&[]).unwrap()), (250, 0));
        let mut inbox = Inbox::default();
        let mut got = Vec::new();
        while got.len() < 5 {
            match inbox.receive(&b) {
                Ok(_) => got.extend(inbox.datagrams().map(|(_, datagram)| datagram.to_vec())),
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
        let mut inbox = Inbox::default();
        assert!(inbox.receive(&b).unwrap());
        assert!(inbox.datagrams().map(|(_, datagram)| datagram[0]).eq(0..MESSAGES as u8));
        assert!(!inbox.receive(&b).unwrap());
        assert!(inbox.datagrams().eq([(a.local_addr().unwrap(), &[MESSAGES as u8][..])]));
    }

    #[test]
    fn who_sends_is_told_and_gets_answers_cut() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let bind = || UdpSocket::bind(any.parse().unwrap()).unwrap();
            let (server, clients) = (bind(), [bind(), bind()]);
            merge(&clients[0]);
            for (n, client) in clients.iter().enumerate() {
                client.send_to(&[n as u8], server.local_addr().unwrap()).unwrap();
            }
            let mut inbox = Inbox::default();
            assert!(!inbox.receive(&server).unwrap());
            let from: Vec<_> = inbox.datagrams().map(|(from, datagram)| (from, datagram[0])).collect();
            assert_eq!(from, [(clients[0].local_addr().unwrap(), 0), (clients[1].local_addr().unwrap(), 1)]);
            send_cut(&server, Some(from[0].0), b"aabbc", 2).unwrap();
            let mut got = Vec::new();
            while got.len() < 3 {
                inbox.receive(&clients[0]).unwrap();
                got.extend(inbox.datagrams().map(|(_, datagram)| datagram.to_vec()));
            }
            assert_eq!(got, [&b"aa"[..], b"bb", b"c"]);
        }
    }
}
