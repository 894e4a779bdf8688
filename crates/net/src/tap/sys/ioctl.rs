//! The ioctls of taps, bridges and interfaces (linux/if_tun.h, netdevice(7)), each as a safe function.

#![allow(unsafe_code, reason = "ioctls take pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::net::{AddressFamily, SocketType, socket};

/// Puts an interface into a bridge (linux/sockios.h).
const SIOCBRADDIF: libc::Ioctl = 0x89a2;

/// An interface request with nothing but the name.
fn request(name: &str) -> libc::ifreq {
    // SAFETY: a plain C structure, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn name_of(request: &libc::ifreq) -> String {
    request.ifr_name.iter().take_while(|c| **c != 0).map(|c| char::from(c.to_ne_bytes()[0])).collect()
}

fn with_request(fd: BorrowedFd<'_>, code: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every code that is passed here reads and writes one `ifreq` and keeps nothing.
    match unsafe { libc::ioctl(fd.as_raw_fd(), code, request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `TUNSETIFF`: makes `tun` (an open `/dev/net/tun`) the tap `name`, or a new one after a pattern with `%d`. Gives its
/// name.
pub(super) fn set_tap(tun: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<String> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    with_request(tun, libc::TUNSETIFF, &mut request)?;
    Ok(name_of(&request))
}

/// `TUNGETIFF`: name and flags of a tap.
pub(super) fn tap(tun: BorrowedFd<'_>) -> io::Result<(String, libc::c_int)> {
    let mut request = request("");
    with_request(tun, libc::TUNGETIFF, &mut request)?;
    // SAFETY: TUNGETIFF has written the flags, and any bits of the union are a value of this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok((name_of(&request), libc::c_int::from(flags as u16)))
}

/// `TUNSETOFFLOAD`: what the tap may leave to us.
pub(super) fn set_offload(tun: BorrowedFd<'_>, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: the argument is a number, not a pointer.
    match unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(flags)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `TUNSETVNETHDRSZ`: the bytes of the header before each frame.
pub(super) fn set_header_size(tun: BorrowedFd<'_>, size: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one `int` from the pointer.
    match unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `SIOCGIFINDEX` and `SIOCGIFMTU`: number and packet size of an interface.
pub(super) fn interface(name: &str) -> io::Result<(libc::c_int, u16)> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = request(name);
    with_request(socket.as_fd(), libc::SIOCGIFINDEX, &mut request)?;
    // SAFETY: SIOCGIFINDEX has written this member.
    let index = unsafe { request.ifr_ifru.ifru_ifindex };
    with_request(socket.as_fd(), libc::SIOCGIFMTU, &mut request)?;
    // SAFETY: SIOCGIFMTU has written this member.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok((index, mtu.clamp(68, 65535) as u16))
}

/// `SIOCSIFMTU` and `SIOCSIFFLAGS`: gives `interface` its packet size and sets it up.
pub(super) fn set_up(interface: &str, mtu: u16) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = request(interface);
    request.ifr_ifru.ifru_mtu = mtu.into();
    with_request(socket.as_fd(), libc::SIOCSIFMTU, &mut request)?;
    with_request(socket.as_fd(), libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has written this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    with_request(socket.as_fd(), libc::SIOCSIFFLAGS, &mut request)
}

/// `SIOCBRADDIF`: puts the interface with number `member` into `bridge`.
pub(super) fn add_to_bridge(bridge: &str, member: libc::c_int) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = request(bridge);
    request.ifr_ifru.ifru_ifindex = member;
    with_request(socket.as_fd(), SIOCBRADDIF, &mut request)
}
