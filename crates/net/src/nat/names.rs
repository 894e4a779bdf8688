//! Names that the gateway knows itself: its own, and those of the machines on its network (RFC 1035).

use std::net::{IpAddr, Ipv4Addr};

use super::{Config, Leases};

/// The domain of the names, which is reserved for private use.
pub(super) const DOMAIN: &str = "internal";
/// How long an answer may be kept, in seconds: machines come and go.
const TTL: u32 = 30;
const HEADER: usize = 12;
/// The longest name with its dots (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;

/// Numbers of RFC 1035, 3.2 and 4.1.1, and RFC 3596, 2.1.
mod number {
    pub(super) const A: u16 = 1;
    pub(super) const PTR: u16 = 12;
    pub(super) const AAAA: u16 = 28;
    pub(super) const IN: u16 = 1;
    pub(super) const NAME_ERROR: u8 = 3;
}

/// A query for one name.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    /// In lower case, without the dot at the end.
    name: String,
    kind: u16,
    /// Where it ends in the message.
    end: usize,
}

/// The answer to a query, if it is for a name that is known here; all others are for the host's name servers.
pub(super) fn answer(query: &[u8], config: &Config, leases: &Leases) -> Option<Vec<u8>> {
    let question = parse(query)?;
    if let Some(address) = reverse(&question.name) {
        if !config.cidr().contains_addr(&address) {
            return None;
        }
        let name = match address == config.gateway {
            true => Some("gateway".to_owned()),
            false => leases.list().into_iter().find(|lease| lease.address == address).and_then(|lease| lease.name),
        };
        let records = name.filter(|_| question.kind == number::PTR).map(|name| encode(&format!("{name}.{DOMAIN}")));
        let code = if records.is_none() { number::NAME_ERROR } else { 0 };
        return Some(reply(query, &question, code, records.as_deref()));
    }
    let (v4, v6) = find(&question.name, config, leases)?;
    let record = match (question.kind, v6) {
        (number::A, _) => Some(v4.octets().to_vec()),
        (number::AAAA, Some(IpAddr::V6(v6))) => Some(v6.octets().to_vec()),
        // The name is there, but has nothing of the sort.
        _ => None,
    };
    Some(reply(query, &question, 0, record.as_deref()))
}

fn find(name: &str, config: &Config, leases: &Leases) -> Option<(Ipv4Addr, Option<IpAddr>)> {
    let name = match name.split_once('.') {
        Some((name, DOMAIN)) if matches!(name, "gateway" | "host") => {
            debug_assert!(!name.is_empty());
            return Some((config.gateway, config.gateway6().map(IpAddr::from)));
        }
        Some((name, DOMAIN)) => name,
        Some(_) => return None,
        None => name,
    };
    let lease = leases.list().into_iter().find(|lease| lease.name.as_deref() == Some(name))?;
    Some((lease.address, None))
}

/// The address in a name of in-addr.arpa (RFC 1035, 3.5).
fn reverse(name: &str) -> Option<Ipv4Addr> {
    let mut parts = name.strip_suffix(".in-addr.arpa")?.split('.');
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        *octet = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// A standard query with one question of class IN and a name without compression.
fn parse(query: &[u8]) -> Option<Question> {
    let header = query.get(..HEADER)?;
    // A query, of kind "standard", and not a part of something longer.
    if header[2] & 0xfa != 0 || header[4..6] != [0, 1] || header[6..10] != [0; 4] {
        return None;
    }
    let (mut name, mut at) = (String::new(), HEADER);
    loop {
        let len = usize::from(*query.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        if len > 63 {
            return None;
        }
        let label = std::str::from_utf8(query.get(at..at + len)?).ok().filter(|label| label.is_ascii())?;
        at += len;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&label.to_ascii_lowercase());
        if name.len() > MAX_NAME {
            return None;
        }
    }
    let field = query.get(at..at + 4)?;
    let (kind, class) = (u16::from_be_bytes([field[0], field[1]]), u16::from_be_bytes([field[2], field[3]]));
    (class == number::IN).then_some(Question { name, kind, end: at + 4 })
}

fn encode(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

fn reply(query: &[u8], question: &Question, code: u8, record: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = query[..question.end].to_vec();
    // A response, authoritative, recursion as desired and available.
    bytes[2] = 0x84 | query[2] & 1;
    bytes[3] = 0x80 | code;
    bytes[6..HEADER].fill(0);
    if let Some(record) = record {
        bytes[7] = 1;
        // The name is that of the question (4.1.4).
        bytes.extend([0xc0, HEADER as u8]);
        bytes.extend(question.kind.to_be_bytes());
        bytes.extend(number::IN.to_be_bytes());
        bytes.extend(TTL.to_be_bytes());
        bytes.extend((record.len() as u16).to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// What a machine may be called, in lower case: one label of letters, digits and hyphens that means nothing else here.
pub(super) fn machine_name(text: &[u8]) -> Option<String> {
    // The first label of a longer name is what the machine is called.
    let label = text.split(|b| *b == b'.').next()?;
    let name = std::str::from_utf8(label).ok()?.to_ascii_lowercase();
    let legal = (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let reserved = ["localhost", "gateway", "host", DOMAIN];
    (legal && !name.starts_with('-') && !name.ends_with('-') && !reserved.contains(&&*name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MacAddr;
    use crate::nat::config::Card;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(encode(name));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes
    }

    /// The code of the answer and its record.
    fn ask(name: &str, kind: u16) -> Option<(u8, Vec<u8>)> {
        let machine = Some(Card { mac: MacAddr([2; 6]), name: Some("debian".into()) });
        let config = Config { machine, ..Config::default() };
        let query = query(name, kind);
        let answer = answer(&query, &config, &Leases::new(&config))?;
        assert_eq!((&answer[..2], answer[2] & 0x80), (&query[..2], 0x80));
        assert_eq!(usize::from(answer[7]), usize::from(answer.len() > query.len()));
        Some((answer[3] & 15, answer[(query.len() + 12).min(answer.len())..].to_vec()))
    }

    #[test]
    fn machines_and_the_gateway_have_names() {
        for name in ["debian", "debian.internal", "DEBIAN.Internal"] {
            assert_eq!(ask(name, number::A), Some((0, vec![192, 168, 64, 2])), "{name}");
            assert_eq!(ask(name, number::AAAA), Some((0, vec![])), "{name}");
        }
        assert_eq!(ask("host.internal", number::A), Some((0, vec![192, 168, 64, 1])));
        assert_eq!(ask("gateway.internal", number::AAAA).unwrap().1[..2], [0xfd, 0x72]);
        assert_eq!(ask("2.64.168.192.in-addr.arpa", number::PTR), Some((0, encode("debian.internal"))));
        assert_eq!(ask("9.64.168.192.in-addr.arpa", number::PTR), Some((3, vec![])));
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in ["debian.org", "other", "other.internal", "host", "debian.internal.org", "1.2.0.192.in-addr.arpa"] {
            assert_eq!(ask(name, number::A), None, "{name}");
        }
    }

    #[test]
    fn rubbish_is_not_answered() {
        let (config, good) = (Config::default(), query("host.internal", 1));
        assert!(answer(&good, &config, &Leases::default()).is_some());
        for len in 0..good.len() {
            assert_eq!(answer(&good[..len], &config, &Leases::default()), None);
        }
        for (at, byte) in [(2, 0x80), (2, 0x08), (5, 2), (7, 1), (12, 0xc0), (12, 64), (good.len() - 1, 3)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(answer(&bad, &config, &Leases::default()), None, "{at}");
        }
        let endless = [&good[..12], &[1, b'a'].repeat(200), &[0, 0, 1, 0, 1]].concat();
        assert_eq!(answer(&endless, &config, &Leases::default()), None);
    }

    #[test]
    fn names_of_machines() {
        assert_eq!(machine_name(b"Debian.example.org").as_deref(), Some("debian"));
        for bad in [&b""[..], b"-a", b"a-", b"a_b", b"host", b"localhost", &[0xff], &[b'a'; 64]] {
            assert_eq!(machine_name(bad), None, "{bad:?}");
        }
    }
}
