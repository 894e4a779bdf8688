//! Network interfaces and what they are plugged into.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::choice::exactly_one;
use crate::list::List;
use crate::nat::{Destination, Nat, Publish, Subnet};
use crate::vmnet::{Ipv6Prefix, Vmnet, VmnetMode};

/// A virtio network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Network {
    /// What the interface is plugged into.
    pub attachment: NetworkAttachment,
    /// The hardware address; without it one is made.
    pub mac: Option<MacAddress>,
    /// The largest IP packet, in bytes; without it what the network has.
    pub mtu: Option<u16>,
    /// Pairs of queues; without it one for each CPU, up to what a card has.
    pub queues: Option<u16>,
    /// Where frames are recorded.
    pub capture: Option<Capture>,
}

/// A record of all frames, in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The file, in the format pcapng.
    pub path: PathBuf,
    /// How much of each frame is kept, in bytes.
    pub snap_len: Option<u32>,
    /// How large the file becomes at most, in MiB.
    pub limit: Option<u32>,
}

impl Network {
    /// An interface behind NAT, with a made-up address.
    #[must_use]
    pub fn nat() -> Self {
        Network::of(NetworkAttachment::Nat(Nat::default()))
    }

    /// An interface with this attachment and nothing else said.
    #[must_use]
    pub fn of(attachment: NetworkAttachment) -> Self {
        Network { attachment, mac: None, mtu: None, queues: None, capture: None }
    }
}

/// What a network interface is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkAttachment {
    /// Network address translation: the guest reaches out through the host.
    Nat(Nat),
    /// A physical interface of the host, as if the guest were on the same wire.
    Bridged {
        /// The host's interface.
        interface: String,
    },
    /// A unix socket of a user-mode network stack such as gvproxy, vmnet-helper or passt.
    UnixSocket {
        /// The socket to connect to.
        path: PathBuf,
        /// How frames are carried.
        kind: SocketType,
        /// Sends the four bytes `VFKT` first, as gvproxy expects it of vfkit.
        vfkit_magic: bool,
        /// Waits there for the other end, instead of connecting.
        listen: bool,
    },
    /// A connected socket that the process was started with: of datagrams, or a stream.
    Fd(u32),
    /// A tap of the host, by its name.
    Tap {
        /// The interface.
        interface: String,
    },
    /// A tap that the process was started with.
    TapFd(u32),
    /// A network that machines of this user share.
    Shared {
        /// Its name.
        name: String,
    },
    /// A network that macOS makes for the card.
    Vmnet(Vmnet),
}

/// How a unix socket carries frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketType {
    /// A datagram is a frame.
    #[default]
    Unixgram,
    /// A stream of frames, each after its length in four bytes, big-endian.
    Unixstream,
}

/// An EUI-48 hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no MAC address: write six bytes such as 52:54:00:12:34:56");
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = u8::from_str_radix(part.ok_or_else(wrong)?, 16).map_err(|_| wrong())?;
        }
        match parts.next() {
            None => Ok(MacAddress(bytes)),
            Some(_) => Err(wrong()),
        }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A key that stands alone, with another that has the name (`bridged,interface=eth0`), or has the name itself
/// (`bridged=eth0`).
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Named {
    Alone(bool),
    Name(String),
}

/// The name that `key` has, or `other` for it.
fn named(key: &str, value: Option<Named>, other: &str, name: Option<String>) -> Result<Option<String>, String> {
    match (value, name) {
        (None | Some(Named::Alone(false)), None) => Ok(None),
        (Some(Named::Name(name)), None) | (Some(Named::Alone(true)), Some(name)) => Ok(Some(name)),
        (Some(Named::Alone(true)), None) => Err(format!("`{key}` needs a name: write `{key}=NAME`")),
        (Some(Named::Name(_)), Some(_)) => Err(format!("`{key}` has a name and `{other}` another: remove `{other}`")),
        (None | Some(Named::Alone(false)), Some(_)) => {
            Err(format!("`{other}` describes `{key}`: give it or remove `{other}`"))
        }
    }
}

/// The keys of `[[network]]` and `--device virtio-net`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    nat: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vmnet: Option<VmnetMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<Subnet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv6: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_access: Option<bool>,
    #[serde(default, skip_serializing_if = "List::is_empty")]
    allow: List<Destination>,
    #[serde(default, skip_serializing_if = "List::is_empty")]
    deny: List<Destination>,
    #[serde(default, skip_serializing_if = "List::is_empty")]
    publish: List<Publish>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Ipv4Addr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv6_prefix: Option<Ipv6Prefix>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_interface: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dhcp: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nat44: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nat66: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bridged: Option<Named>,
    /// Of `bridged`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<Named>,
    /// Of `shared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tap: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tap_fd: Option<u32>,
    #[serde(default, alias = "path", skip_serializing_if = "Option::is_none")]
    unix_socket_path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fd: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<SocketType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vfkit_magic: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listen: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queues: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capture: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capture_snaplen: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capture_limit: Option<u32>,
    /// vfkit knows only `off`, which is what we do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    offloading: bool,
}

impl Keys {
    /// Takes what describes a network of macOS, `None` where it is none.
    fn take_vmnet(&mut self) -> Result<Option<Vmnet>, String> {
        let of_vmnet = self.address.is_some() || self.ipv6_prefix.is_some() || self.external_interface.is_some();
        let services = [self.dhcp, self.dns, self.nat44, self.nat66];
        let Some(mode) = self.vmnet else {
            let keys = "`address`, `ipv6-prefix`, `external-interface`, `dhcp`, `dns`, `nat44` and `nat66`";
            return match of_vmnet || services.iter().any(Option::is_some) {
                true => Err(format!("{keys} describe `vmnet`: give it or remove them")),
                false => Ok(None),
            };
        };
        let on = |service: Option<bool>| service.unwrap_or(true);
        Ok(Some(Vmnet {
            mode,
            subnet: self.subnet.take(),
            address: self.address.take(),
            ipv6_prefix: self.ipv6_prefix.take(),
            external_interface: self.external_interface.take(),
            publish: std::mem::take(&mut self.publish).0,
            dhcp: on(self.dhcp),
            dns: on(self.dns),
            nat44: on(self.nat44),
            nat66: on(self.nat66),
            ipv6: on(self.ipv6.take()),
        }))
    }

    /// Takes what describes a network behind NAT, `None` where it is none.
    fn take_nat(&mut self) -> Result<Option<Nat>, String> {
        let nat = Nat {
            subnet: self.subnet.take(),
            ipv6: self.ipv6.unwrap_or(true),
            host_access: self.host_access.unwrap_or(false),
            allow: std::mem::take(&mut self.allow).0,
            deny: std::mem::take(&mut self.deny).0,
            publish: std::mem::take(&mut self.publish).0,
            hostname: self.hostname.take(),
        };
        if self.nat || nat == Nat::default() {
            return Ok(self.nat.then_some(nat));
        }
        Err(match self.vmnet {
            Some(_) => {
                "`host-access`, `allow`, `deny` and `hostname` describe `nat`, which `vmnet` is not: remove them"
            }
            None => {
                "`subnet`, `ipv6`, `host-access`, `allow`, `deny`, `publish` and `hostname` describe `nat`: give it or \
                 remove them"
            }
        }
        .to_owned())
    }
}

impl TryFrom<Keys> for Network {
    type Error = String;

    fn try_from(mut keys: Keys) -> Result<Self, String> {
        let of_socket = keys.r#type.is_some() || keys.vfkit_magic.is_some() || keys.listen.is_some();
        if keys.unix_socket_path.is_none() && of_socket {
            let keys = "`type`, `vfkit-magic` and `listen`";
            return Err(format!("{keys} describe a `unix-socket-path`: give one or remove them"));
        }
        if keys.listen == Some(true) && keys.r#type != Some(SocketType::Unixstream) {
            return Err("`listen` is for a stream: add `type=unixstream`, or remove it".to_owned());
        }
        if keys.capture.is_none() && (keys.capture_snaplen.is_some() || keys.capture_limit.is_some()) {
            return Err(
                "`capture-snaplen` and `capture-limit` describe a `capture`: give one or remove them".to_owned()
            );
        }
        if keys.offloading {
            return Err("`offloading` can only be off: remove it".to_owned());
        }
        let vmnet = keys.take_vmnet()?;
        let nat = keys.take_nat()?;
        let kind = keys.r#type.unwrap_or_default();
        let socket = keys.unix_socket_path.map(|path| NetworkAttachment::UnixSocket {
            path,
            kind,
            vfkit_magic: keys.vfkit_magic.unwrap_or(kind == SocketType::Unixgram),
            listen: keys.listen.unwrap_or(false),
        });
        let bridged = named("bridged", keys.bridged, "interface", keys.interface)?;
        let shared = named("shared", keys.shared, "name", keys.name)?;
        let capture =
            keys.capture.map(|path| Capture { path, snap_len: keys.capture_snaplen, limit: keys.capture_limit });
        let attachment = exactly_one(vec![
            ("nat", nat.map(NetworkAttachment::Nat)),
            ("bridged", bridged.map(|interface| NetworkAttachment::Bridged { interface })),
            ("unix-socket-path", socket),
            ("fd", keys.fd.map(NetworkAttachment::Fd)),
            ("tap", keys.tap.map(|interface| NetworkAttachment::Tap { interface })),
            ("tap-fd", keys.tap_fd.map(NetworkAttachment::TapFd)),
            ("shared", shared.map(|name| NetworkAttachment::Shared { name })),
            ("vmnet", vmnet.map(NetworkAttachment::Vmnet)),
        ])?;
        Ok(Network { attachment, mac: keys.mac, mtu: keys.mtu, queues: keys.queues, capture })
    }
}

impl From<Network> for Keys {
    fn from(network: Network) -> Self {
        let mut keys = Keys { mac: network.mac, mtu: network.mtu, queues: network.queues, ..Keys::default() };
        if let Some(capture) = network.capture {
            keys.capture = Some(capture.path);
            (keys.capture_snaplen, keys.capture_limit) = (capture.snap_len, capture.limit);
        }
        let off = |service: bool| Some(service).filter(|on| !on);
        match network.attachment {
            NetworkAttachment::Vmnet(vmnet) => {
                keys.vmnet = Some(vmnet.mode);
                (keys.subnet, keys.address) = (vmnet.subnet, vmnet.address);
                (keys.ipv6_prefix, keys.external_interface) = (vmnet.ipv6_prefix, vmnet.external_interface);
                keys.publish = List(vmnet.publish);
                (keys.dhcp, keys.dns) = (off(vmnet.dhcp), off(vmnet.dns));
                (keys.nat44, keys.nat66, keys.ipv6) = (off(vmnet.nat44), off(vmnet.nat66), off(vmnet.ipv6));
            }
            NetworkAttachment::Nat(nat) => {
                keys.nat = true;
                keys.subnet = nat.subnet;
                keys.ipv6 = off(nat.ipv6);
                keys.host_access = Some(nat.host_access).filter(|access| *access);
                (keys.allow, keys.deny) = (List(nat.allow), List(nat.deny));
                keys.publish = List(nat.publish);
                keys.hostname = nat.hostname;
            }
            NetworkAttachment::Bridged { interface } => keys.bridged = Some(Named::Name(interface)),
            NetworkAttachment::Tap { interface } => keys.tap = Some(interface),
            NetworkAttachment::TapFd(fd) => keys.tap_fd = Some(fd),
            NetworkAttachment::Shared { name } => keys.shared = Some(Named::Name(name)),
            NetworkAttachment::UnixSocket { path, kind, vfkit_magic, listen } => {
                keys.listen = Some(listen).filter(|listen| *listen);
                keys.unix_socket_path = Some(path);
                keys.r#type = Some(kind).filter(|kind| *kind != SocketType::default());
                keys.vfkit_magic = Some(vfkit_magic).filter(|magic| *magic != (kind == SocketType::Unixgram));
            }
            NetworkAttachment::Fd(fd) => keys.fd = Some(fd),
        }
        keys
    }
}
