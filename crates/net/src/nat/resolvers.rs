//! The host's name servers, where the DNS relay sends queries.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use smoltcp::time::{Duration, Instant};

/// How long what was read from `/etc/resolv.conf` is used before it is read again: VPNs and hot spots change it.
const FRESH: Duration = Duration::from_secs(1);
/// How many name servers are used, as in resolv.conf(5).
const MAX: usize = 3;

/// The name servers.
pub(super) struct Resolvers {
    fixed: bool,
    list: Vec<SocketAddr>,
    read: Option<Instant>,
}

impl Resolvers {
    /// The ones in `fixed`, or the host's.
    pub(super) fn new(fixed: Option<Vec<SocketAddr>>) -> Self {
        Self { fixed: fixed.is_some(), list: fixed.unwrap_or_default(), read: None }
    }

    /// The list as of now, in order of preference.
    pub(super) fn list(&mut self, now: Instant) -> &[SocketAddr] {
        if !self.fixed && self.read.is_none_or(|read| now >= read + FRESH) {
            match std::fs::read_to_string(Path::new("/etc/resolv.conf")) {
                Ok(text) => self.list = parse(&text),
                Err(error) => tracing::debug!(%error, "/etc/resolv.conf cannot be read"),
            }
            self.read = Some(now);
        }
        &self.list
    }
}

/// The name servers in the text of a resolv.conf(5). None at all means the host itself.
fn parse(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|w| *w == "nameserver").and(words.next())?;
        // A link-local server has its interface behind a percent sign, which an address alone cannot carry.
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, 53))
    });
    let mut servers: Vec<_> = servers.take(MAX).collect();
    if servers.is_empty() {
        servers.push((IpAddr::from([127, 0, 0, 1]), 53).into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let text = "# nameserver 1.1.1.1\nsearch a b\n nameserver\t10.0.0.1 # home\nnameserver fe80::1%eth0\n\
                    nameserver ::1\noptions edns0\nnameserver\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let want = ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53"].map(|s| s.parse::<SocketAddr>().unwrap());
        assert_eq!(parse(text), want);
        assert_eq!(parse(""), ["127.0.0.1:53".parse::<SocketAddr>().unwrap()]);
    }
}
