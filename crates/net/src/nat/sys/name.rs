//! Addresses as Linux takes and gives them: `struct sockaddr_in` (ip(7)) and `struct sockaddr_in6` (ipv6(7)).

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// The length of the larger one, and of the other.
const V6: usize = 28;
const V4: usize = 16;
const AF_INET: u16 = libc::AF_INET as u16;
const AF_INET6: u16 = libc::AF_INET6 as u16;

/// The bytes of either. Both begin with the family and the port; the address is in the order of the network.
#[derive(Clone, Copy, Default)]
#[repr(C, align(4))]
pub(super) struct Name([u8; V6]);

impl Name {
    /// The name of an address, and its length.
    pub(super) fn of(address: SocketAddr) -> (Self, usize) {
        let mut bytes = [0; V6];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                bytes[..2].copy_from_slice(&AF_INET.to_ne_bytes());
                bytes[4..8].copy_from_slice(&address.ip().octets());
                (Self(bytes), V4)
            }
            SocketAddr::V6(address) => {
                bytes[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
                bytes[8..24].copy_from_slice(&address.ip().octets());
                bytes[24..].copy_from_slice(&address.scope_id().to_ne_bytes());
                (Self(bytes), V6)
            }
        }
    }

    /// The address of a name.
    pub(super) fn address(&self) -> SocketAddr {
        let port = u16::from_be_bytes(self.part(2));
        if u16::from_ne_bytes(self.part(0)) == AF_INET6 {
            let ip = Ipv6Addr::from(self.part::<16>(8));
            return SocketAddrV6::new(ip, port, 0, u32::from_ne_bytes(self.part(24))).into();
        }
        (self.part::<4>(4), port).into()
    }

    fn part<const LEN: usize>(&self, at: usize) -> [u8; LEN] {
        std::array::from_fn(|n| self.0[at + n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["192.0.2.1:53", "[2001:db8::1]:443", "[fe80::1%7]:9", "[::ffff:192.0.2.1]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::of(address).0.address(), address);
        }
        assert_eq!((V4, V6), (size_of::<libc::sockaddr_in>(), size_of::<libc::sockaddr_in6>()));
    }
}
