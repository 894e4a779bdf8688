//! Network cards: their addresses, and what they are plugged into.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use config::{DiskAttachment, Network, NetworkAttachment, SocketType};
use devices::virtio::net::Net;
use net::capture::{self, Captured};
use net::nat::{self, Nat};
use net::{Backend, MacAddr, socket, switch, tap};
use rustix::net::sockopt;

use super::devices::random;
use crate::Error;
use crate::card::NatCard;

/// Pairs of queues unless something else is said: one for each CPU, up to this.
const DEFAULT_PAIRS: u32 = 4;
/// The largest IP packet of a network that does not say it itself, in bytes: Ethernet's.
const DEFAULT_MTU: u16 = 1500;

/// What the addresses of a machine's cards are made from, so that they are the same each time it starts: this host and
/// the machine's first disk. A machine without a disk is another each time.
fn seed(config: &config::Machine) -> Option<Vec<u8>> {
    let host = std::fs::read("/etc/machine-id").ok().filter(|id| id.len() >= 32)?;
    let disk = config.storage.iter().find_map(|storage| match &storage.attachment {
        DiskAttachment::Image { path, .. } | DiskAttachment::BlockDevice { path } => path.canonicalize().ok(),
        DiskAttachment::Nbd { .. } => None,
    })?;
    Some([&host[..], disk.as_os_str().as_bytes()].concat())
}

/// The addresses of all cards of a machine, in their order.
pub(crate) fn macs(config: &config::Machine) -> Result<Vec<MacAddr>, Error> {
    let seed = seed(config);
    let mut macs = config.network.iter().filter_map(|n| n.mac).map(|mac| mac.0).collect();
    let address = |(index, network): (usize, &Network)| {
        let seed = seed.as_ref().map(|seed| [&seed[..], &index.to_le_bytes()].concat());
        mac(&format!("network[{index}]"), network, seed.as_deref(), &mut macs)
    };
    config.network.iter().enumerate().map(address).collect()
}

/// The address of a card: the configured one, one made from `seed`, or any; never one of `macs`, which it joins.
fn mac(field: &str, network: &Network, seed: Option<&[u8]>, macs: &mut HashSet<[u8; 6]>) -> Result<MacAddr, Error> {
    if let Some(mac) = network.mac {
        return Ok(MacAddr(mac.0));
    }
    if let Some(mac) = seed.map(MacAddr::derive).filter(|mac| macs.insert(mac.0)) {
        return Ok(mac);
    }
    loop {
        let mut seed = [0; 16];
        let read = random(field)?.read_exact(&mut seed);
        read.map_err(|source| Error::Host { field: field.to_owned(), what: "making a MAC address", source })?;
        let mac = MacAddr::derive(&seed);
        if macs.insert(mac.0) {
            return Ok(mac);
        }
    }
}

/// The card with the address `mac` of a machine with `cpus`. One behind NAT joins `cards`.
pub(super) fn card(
    field: &str,
    network: &Network,
    mac: MacAddr,
    cpus: u32,
    cards: &mut Vec<NatCard>,
) -> Result<Net, Error> {
    let backend = plugged(field, network, mac, cards)?;
    let pairs = network.queues.unwrap_or(cpus.clamp(1, DEFAULT_PAIRS) as u16);
    Ok(Net::with_pairs(mac, Arc::new(Mutex::new(backend)), pairs))
}

/// What the card with the address `mac` is plugged into, recorded where that is asked for. One behind NAT joins
/// `cards`.
pub(crate) fn plugged(
    field: &str,
    network: &Network,
    mac: MacAddr,
    cards: &mut Vec<NatCard>,
) -> Result<Box<dyn Backend>, Error> {
    let backend = backend(field, network, mac, cards)?;
    let Some(capture) = &network.capture else { return Ok(backend) };
    let mut options = capture::Options::default();
    options.snap_len = capture.snap_len.unwrap_or(options.snap_len);
    options.limit = capture.limit.map(|mib| u64::from(mib) << 20);
    let captured = Captured::new(backend, &capture.path, options);
    let field = format!("{field}.capture");
    let captured = captured.map_err(|source| Error::File { field, path: capture.path.clone(), source })?;
    Ok(Box::new(captured))
}

/// The socket of a card whose frames are datagrams that need nothing of ours in between, if it has one.
pub(crate) fn plain_datagrams(field: &str, network: &Network) -> Result<Option<OwnedFd>, Error> {
    let NetworkAttachment::Fd(fd) = network.attachment else { return Ok(None) };
    let socket = inherit(field, "fd", fd)?;
    let kind = sockopt::socket_type(&socket).map_err(|error| no_socket(field)(error.into()))?;
    Ok(Some(socket).filter(|_| kind == rustix::net::SocketType::DGRAM && network.capture.is_none()))
}

/// A descriptor that the process was started with, which the key `key` names.
fn inherit(field: &str, key: &str, fd: u32) -> Result<OwnedFd, Error> {
    let field = format!("{field}.{key}");
    tap::inherited(fd).map_err(|source| Error::Host { field, what: "taking the descriptor", source })
}

fn no_socket(field: &str) -> impl Fn(io::Error) -> Error {
    let field = format!("{field}.fd");
    let what = "taking the socket (it has to be a connected one)";
    move |source| Error::Host { field: field.clone(), what, source }
}

fn backend(field: &str, network: &Network, mac: MacAddr, cards: &mut Vec<NatCard>) -> Result<Box<dyn Backend>, Error> {
    let mtu = network.mtu.unwrap_or(DEFAULT_MTU);
    let host = |key: &str, what| {
        let field = if key.is_empty() { field.to_owned() } else { format!("{field}.{key}") };
        move |source| Error::Host { field, what, source }
    };
    let tapped = |key: &str, made: Result<net::Pump, tap::TapError>| {
        made.map_err(|error| Error::unsupported(format!("{field}.{key}"), error.to_string()))
    };
    let pump = match &network.attachment {
        NetworkAttachment::Nat(options) => {
            let mut config = super::nat::config(options, mac);
            config.mtu = mtu;
            let nat = Nat::new(config).map_err(host("", "making a network"))?;
            cards.push(NatCard::new(mac, &nat));
            return Ok(Box::new(nat));
        }
        NetworkAttachment::Bridged { interface } => tapped("bridged", tap::bridged(interface))?,
        NetworkAttachment::Tap { interface } => tapped("tap", tap::open(interface))?,
        NetworkAttachment::TapFd(fd) => tapped("tap-fd", tap::opened(inherit(field, "tap-fd", *fd)?))?,
        NetworkAttachment::Fd(fd) => socket::connected(inherit(field, "fd", *fd)?, mtu).map_err(no_socket(field))?,
        NetworkAttachment::UnixSocket { path, kind, vfkit_magic, listen } => {
            connect(path, *kind, *vfkit_magic, *listen, mtu).map_err(|source| {
                let field = format!("{field}.unix-socket-path");
                Error::File { field, path: path.clone(), source }
            })?
        }
        NetworkAttachment::Vmnet(_) => {
            let what = "only macOS makes this network, for the engine `vz`";
            return Err(Error::unsupported(format!("{field}.vmnet"), what));
        }
        NetworkAttachment::Shared { name } => {
            let shared = |why: switch::NameError| Error::unsupported(format!("{field}.shared"), why.to_string());
            let name = name.parse().map_err(shared)?;
            let folder = switch::default_folder();
            let joined = switch::join(&folder, &name, Some(router(mtu)), mtu);
            joined.map_err(host("shared", "joining the network"))?
        }
    };
    Ok(Box::new(pump))
}

fn connect(path: &Path, kind: SocketType, magic: bool, listen: bool, mtu: u16) -> io::Result<net::Pump> {
    match kind {
        SocketType::Unixgram => socket::datagram(path, magic, mtu),
        SocketType::Unixstream if listen => socket::listen(path, mtu),
        SocketType::Unixstream => socket::stream(path, mtu),
    }
}

/// The router of a shared network, made by the machine that opens it: on the addresses and with the leases of the one
/// before.
fn router(mtu: u16) -> switch::Uplink {
    Arc::new(move |ledger| {
        let mut config = nat::Config::resumed(ledger);
        config.mtu = mtu;
        Ok(Box::new(Nat::new(config)?))
    })
}
