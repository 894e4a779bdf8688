//! The leases of a network in a file, so that its next router knows them: a shared network outlives the machine whose
//! process routes it, also when that is killed.
//!
//! The file is written anew beside itself and renamed when leases have changed, before the guest is told; what a guest
//! changes in a flood is written every ten milliseconds. It promises addresses to cards, no more: from a file that is old
//! nothing follows but addresses that nobody else gets.

use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use smoltcp::time::{Duration, Instant};

use super::dhcp::MAX_LEASES;
use super::{Config, Lease, Leases, names};

/// The first line: what the file is, and in which form.
const HEAD: &str = "russet leases 1";
/// The largest file that is read; ours have a line of at most 150 bytes for each lease.
const LONGEST: u64 = 64 << 10;

/// How often it is written at most.
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps the file up to date.
pub(super) struct Keeper {
    ledger: Option<Ledger>,
    /// Which changes of the leases the file knows.
    kept: u64,
    next: Instant,
}

impl Keeper {
    /// The file of a network that begins with `leases`, if it has one.
    pub(super) fn new(config: &Config, leases: &Leases) -> Self {
        Self { ledger: config.ledger.clone().map(Ledger), kept: leases.changes(), next: Instant::ZERO }
    }

    /// Writes what has changed, if it is time.
    pub(super) fn keep(&mut self, config: &Config, leases: &Leases, now: Instant) {
        if now >= self.next && self.is_behind(leases) {
            self.next = now + PAUSE;
            self.write(config, leases);
        }
    }

    /// When [`keep`](Self::keep) wants to be called.
    pub(super) fn deadline(&self, leases: &Leases) -> Option<Instant> {
        self.is_behind(leases).then_some(self.next)
    }

    fn is_behind(&self, leases: &Leases) -> bool {
        self.ledger.is_some() && self.kept != leases.changes()
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, config: &Config, leases: &Leases) {
        let Some(ledger) = self.ledger.as_ref().filter(|_| self.is_behind(leases)) else { return };
        self.kept = leases.changes();
        let Config { gateway, prefix, prefix6, .. } = *config;
        if let Err(error) = ledger.write(&Entries { gateway, prefix, prefix6, leases: leases.list() }) {
            tracing::warn!(%error, path = %ledger.0.display(), "the next router of this network will not know its leases");
        }
    }
}

/// Where the leases of a network are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ledger(pub(super) PathBuf);

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entries {
    pub(super) gateway: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) prefix6: Option<Ipv6Addr>,
    pub(super) leases: Vec<Lease>,
}

impl Ledger {
    /// What it says; `None`: there is no such file, or another has written it.
    pub(super) fn read(&self) -> Option<Entries> {
        let mut text = String::new();
        let read = fs::File::open(&self.0).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        match read {
            Ok(_) => {
                let entries = parse(&text);
                if entries.is_none() {
                    tracing::warn!(path = %self.0.display(), "this file of leases is not ours: they begin anew");
                }
                entries
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %self.0.display(), "the leases cannot be read: they begin anew");
                }
                None
            }
        }
    }

    /// Says this from now on.
    pub(super) fn write(&self, entries: &Entries) -> io::Result<()> {
        let beside = self.0.with_extension("leases-new");
        fs::write(&beside, print(entries))?;
        fs::rename(beside, &self.0)
    }
}

fn print(entries: &Entries) -> String {
    let mut text = format!("{HEAD}\nnetwork {}/{}", entries.gateway, entries.prefix);
    if let Some(prefix6) = entries.prefix6 {
        let _ = write!(text, " {prefix6}");
    }
    text.push('\n');
    for lease in &entries.leases {
        let bound = if lease.bound { "bound" } else { "offered" };
        let _ = write!(text, "lease {} {} {bound}", lease.mac, lease.address);
        if let Some(name) = &lease.name {
            let _ = write!(text, " name={name}");
        }
        text.push('\n');
    }
    text
}

fn parse(text: &str) -> Option<Entries> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let mut words = lines.next()?.strip_prefix("network ")?.split(' ');
    let (gateway, prefix) = words.next()?.split_once('/')?;
    let prefix6 = words.next().map(str::parse).transpose().ok()?;
    let (gateway, prefix) = (gateway.parse().ok()?, prefix.parse().ok()?);
    let leases = lines.map(lease).collect::<Option<Vec<_>>>()?;
    (leases.len() <= MAX_LEASES).then_some(Entries { gateway, prefix, prefix6, leases })
}

fn lease(line: &str) -> Option<Lease> {
    let mut words = line.strip_prefix("lease ")?.split(' ');
    let (mac, address) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let bound = match words.next()? {
        "bound" => true,
        "offered" => false,
        _ => return None,
    };
    let mut lease = Lease { mac, address, bound, name: None, reserved: false, address6: None };
    for word in words {
        match word.split_once('=')? {
            ("name", name) => lease.name = Some(names::machine_name(name.as_bytes())?),
            _ => return None,
        }
    }
    lease.mac.is_unicast().then_some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MacAddr;

    fn entries() -> Entries {
        let lease = |n: u8| Lease {
            mac: MacAddr([2, 0, 0, 0, 0, n]),
            address: Ipv4Addr::new(192, 168, 70, n),
            bound: n.is_multiple_of(2),
            name: (n > 3).then(|| format!("machine-{n}")),
            reserved: false,
            address6: None,
        };
        let leases = (2..7).map(lease).collect();
        Entries { gateway: Ipv4Addr::new(192, 168, 70, 1), prefix: 24, prefix6: "fd72::".parse().ok(), leases }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger(folder.path().join("lan0.leases"));
        assert_eq!(ledger.read(), None);
        for wanted in [entries(), Entries { prefix6: None, leases: Vec::new(), ..entries() }] {
            ledger.write(&wanted).unwrap();
            assert_eq!(ledger.read(), Some(wanted));
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["lan0.leases"]);
    }

    #[test]
    fn what_is_not_ours_says_nothing() {
        let good = print(&entries());
        assert!(parse(&good).is_some());
        for at in 0..good.len() - 1 {
            // Cut off anywhere it either is wrong or has lost whole leases.
            if let Some(cut) = parse(&good[..at]) {
                assert!(entries().leases.starts_with(&cut.leases[..cut.leases.len().saturating_sub(1)]), "{at}");
            }
        }
        for (from, to) in [
            ("leases 1", "leases 2"),
            ("/24", "/x"),
            ("bound", "bond"),
            ("192.168.70.3", "192.168.70"),
            ("02:00:00:00:00:02", "03:00:00:00:00:02"),
            ("name=machine-4", "name=a b"),
            ("name=", "nome="),
        ] {
            assert_eq!(parse(&good.replace(from, to)), None, "{from}");
        }
        assert_eq!(parse(""), None);
    }
}
