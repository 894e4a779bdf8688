//! Checks of the other devices: networks, consoles, vsock, shares, displays, input.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use super::vmnet;
use crate::{
    GraphicsDevice, Input, Machine, Nat, Network, NetworkAttachment, Platform, Problem, PublishHost, RosettaCache,
    SerialAttachment, SerialDevice, Share, ShareSource,
};

/// Longest path of a unix socket: `sun_path` less its zero byte, on Linux (macOS has four bytes less).
const MAX_SOCKET_PATH: usize = 107;
/// Longest tag of a share (virtio 1.3, 5.11.4).
const MAX_TAG: usize = 36;
/// Widest and highest display that a guest's driver takes.
const MAX_PIXELS: u32 = 16384;

/// Values that may be given once, and where they were first.
pub(super) struct Once<T>(HashMap<T, String>);

impl<T: Eq + Hash> Once<T> {
    pub(super) fn new() -> Self {
        Once(HashMap::new())
    }

    /// Reports `field` when `value` was seen before.
    pub(super) fn see(&mut self, value: T, field: String, mend: &str, problems: &mut Vec<Problem>) {
        match self.0.get(&value) {
            Some(other) => problems.push(Problem::error(field, format!("the same as {other}"), mend)),
            None => {
                self.0.insert(value, field);
            }
        }
    }
}

pub(super) fn check(machine: &Machine, problems: &mut Vec<Problem>) {
    networks(machine, problems);
    consoles(machine, problems);
    vsock(machine, problems);
    shares(machine, problems);
    displays_and_input(machine, problems);
}

fn networks(machine: &Machine, problems: &mut Vec<Problem>) {
    let (mut macs, mut fds) = (Once::new(), Once::new());
    for (index, network) in machine.network.iter().enumerate() {
        let field = |key: &str| format!("network[{index}].{key}");
        if let Some(mac) = network.mac {
            if mac.0[0] & 1 == 1 {
                let what = format!("{mac} is a multicast address");
                problems.push(Problem::error(field("mac"), what, "make the first byte even"));
            } else if mac.0 == [0; 6] {
                problems.push(Problem::error(field("mac"), "all zero is no address", "leave it out to get one"));
            }
            macs.see(mac, field("mac"), "give each interface its own address", problems);
        }
        match &network.attachment {
            NetworkAttachment::Fd(fd @ 0..=2) => {
                let what = format!("{fd} is a standard stream");
                problems.push(Problem::error(field("fd"), what, "give a connected socket, 3 or higher"));
            }
            NetworkAttachment::TapFd(fd @ 0..=2) => {
                let what = format!("{fd} is a standard stream");
                problems.push(Problem::error(field("tap-fd"), what, "give an open tap, 3 or higher"));
            }
            NetworkAttachment::Fd(fd) => fds.see(*fd, field("fd"), "give each interface its own socket", problems),
            NetworkAttachment::TapFd(fd) => fds.see(*fd, field("tap-fd"), "give each interface its own tap", problems),
            NetworkAttachment::UnixSocket { path, .. } => socket_path(path, field("unix-socket-path"), problems),
            NetworkAttachment::Nat(nat) => nat_options(nat, &field, problems),
            NetworkAttachment::Bridged { interface } => interface_name(interface, field("bridged"), problems),
            NetworkAttachment::Tap { interface } => interface_name(interface, field("tap"), problems),
            NetworkAttachment::Shared { name } if !is_network_name(name) => {
                let what = format!("`{}` cannot be the name of a network", name.escape_debug());
                let mend = "give 1 to 32 of letters, digits, `-`, `_` and `.`, not `.` first";
                problems.push(Problem::error(field("shared"), what, mend));
            }
            NetworkAttachment::Shared { .. } => {}
            NetworkAttachment::Vmnet(options) => vmnet::check(options, &field, problems),
        }
        card(network, &field, problems);
    }
    vmnet::overlaps(&machine.network, problems);
}

/// Longest name of an interface: `IFNAMSIZ` less the zero byte.
const MAX_INTERFACE: usize = 15;
/// The smallest packet that IPv6 lives with (RFC 8200, 5), in bytes.
const MIN_MTU: u16 = 1280;
/// The most pairs of queues that a card has.
const MAX_QUEUES: u16 = 8;

pub(super) fn interface_name(name: &str, field: String, problems: &mut Vec<Problem>) {
    if name.is_empty() {
        problems.push(Problem::error(field, "the name is empty", "name an interface of the host"));
    } else if name.len() > MAX_INTERFACE || name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        let what = format!("`{}` cannot be the name of an interface", name.escape_debug());
        problems.push(Problem::error(field, what, "give 1 to 15 bytes without `/` and spaces"));
    }
}

/// A name that can be that of a file, and is the same everywhere.
fn is_network_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=32).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

/// The card's own options.
fn card(network: &Network, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    if network.mtu.is_some_and(|mtu| mtu < MIN_MTU) {
        let what = format!("{} bytes are less than every packet of IPv6 may have", network.mtu.unwrap_or(0));
        problems.push(Problem::error(field("mtu"), what, "give 1280 to 65535"));
    }
    let of_tap = matches!(
        network.attachment,
        NetworkAttachment::Tap { .. } | NetworkAttachment::TapFd(_) | NetworkAttachment::Bridged { .. }
    );
    if network.mtu.is_some() && of_tap {
        let what = "the packet size of a tap is the host's";
        problems.push(Problem::error(field("mtu"), what, "remove it, and use `ip link set TAP mtu BYTES`"));
    }
    if network.queues.is_some_and(|queues| !(1..=MAX_QUEUES).contains(&queues)) {
        let what = format!("a card does not have {} pairs of queues", network.queues.unwrap_or(0));
        problems.push(Problem::error(field("queues"), what, format!("give 1 to {MAX_QUEUES}")));
    }
    if network.capture.as_ref().is_some_and(|capture| capture.snap_len == Some(0)) {
        let mend = "give 64 or more to keep headers, or remove it";
        problems.push(Problem::error(field("capture-snaplen"), "nothing of a frame would be kept", mend));
    }
}

fn nat_options(nat: &Nat, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let mut hosts = Once::new();
    for publish in &nat.publish {
        match &publish.host {
            PublishHost::Unix(path) => socket_path(path, field("publish"), problems),
            PublishHost::Tcp(_, 0) | PublishHost::Udp(_, 0) => {}
            PublishHost::Tcp(..) | PublishHost::Udp(..) => {
                hosts.see(&publish.host, field("publish"), "publish each port of the host once", problems);
            }
        }
    }
    if let Some(name) = &nat.hostname {
        let legal = (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !legal || name.starts_with('-') || name.ends_with('-') {
            let mend = "use up to 63 letters, digits and hyphens, no hyphen at an end";
            problems.push(Problem::error(field("hostname"), format!("`{name}` is no name of a machine"), mend));
        }
    }
}

fn consoles(machine: &Machine, problems: &mut Vec<Problem>) {
    let (mut stdio, mut pl011, mut names, mut files) = (Once::new(), Once::new(), Once::new(), Once::new());
    for (index, serial) in machine.serial.iter().enumerate() {
        let field = |key: &str| format!("serial[{index}].{key}");
        if serial.device == SerialDevice::Pl011 {
            pl011.see((), field("kind"), "a machine has one pl011: make the others `virtio-serial`", problems);
        }
        if let Some(name) = &serial.name {
            if name.is_empty() || name.len() > 64 || name.contains(['/', '\0']) {
                let what = "this cannot be the name of a port";
                problems.push(Problem::error(field("name"), what, "give 1 to 64 bytes without `/`"));
            }
            names.see(name, field("name"), "give each port its own name", problems);
        }
        match &serial.attachment {
            SerialAttachment::Stdio => {
                let mend = "one console can have the terminal: give the others `pty`, `socket` or `log-file-path`";
                stdio.see((), field("stdio"), mend, problems);
            }
            SerialAttachment::Pty => {}
            SerialAttachment::File { path, .. } => {
                files.see(path, field("log-file-path"), "give each console its own file", problems);
            }
            SerialAttachment::Socket { path } => {
                socket_path(path, field("socket"), problems);
                files.see(path, field("socket"), "give each console its own socket", problems);
            }
        }
    }
}

fn vsock(machine: &Machine, problems: &mut Vec<Problem>) {
    let mut ports = Once::new();
    for (index, vsock) in machine.vsock.iter().enumerate() {
        let field = |key: &str| format!("vsock[{index}].{key}");
        if vsock.port == 0 || vsock.port == u32::MAX {
            let what = format!("{} is reserved", vsock.port);
            problems.push(Problem::error(field("port"), what, "give a port from 1 to 4294967294"));
        }
        ports.see((vsock.port, vsock.direction), field("port"), "give each its own port", problems);
        socket_path(&vsock.socket, field("socket-url"), problems);
    }
}

fn shares(machine: &Machine, problems: &mut Vec<Problem>) {
    let mut tags = Once::new();
    for (index, share) in machine.share.iter().enumerate() {
        let field = format!("share[{index}]");
        problems.extend(share.check(&field));
        tags.see(&share.tag, format!("{field}.mount-tag"), "give each share its own tag", problems);
    }
}

impl Share {
    /// What is wrong with a share by itself, which is the field `field`.
    #[must_use]
    pub fn check(&self, field: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let field = |key: &str| format!("{field}.{key}");
        if self.tag.is_empty() || self.tag.len() > MAX_TAG || self.tag.contains('\0') {
            let what = format!("`{}` cannot be the tag of a share", self.tag.escape_debug());
            problems.push(Problem::error(field("mount-tag"), what, format!("give 1 to {MAX_TAG} bytes")));
        }
        match &self.source {
            ShareSource::Single(_) | ShareSource::Rosetta { cache: None, .. } => {}
            ShareSource::Multiple(directories) => {
                for name in directories.keys() {
                    if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) {
                        let what = format!("`{}` cannot be the name of a folder", name.escape_debug());
                        problems.push(Problem::error(field("directories"), what, "give a plain name without `/`"));
                    }
                }
            }
            ShareSource::Rosetta { cache: Some(cache), .. } => rosetta_cache(cache, &field, &mut problems),
        }
        problems
    }
}

/// The guest is Linux, whose `sun_path` it has to fit into.
fn rosetta_cache(cache: &RosettaCache, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let fits = |text: &str| (1..=MAX_SOCKET_PATH).contains(&text.len()) && !text.contains('\0');
    match cache {
        RosettaCache::UnixSocket(path) if !fits(path) || !path.starts_with('/') => {
            let what = format!("`{}` cannot be the path of a socket in the guest", path.escape_debug());
            let mend = format!("give a whole path of at most {MAX_SOCKET_PATH} bytes, as /run/rosettad/rosetta.sock");
            problems.push(Problem::error(field("cache-socket"), what, mend));
        }
        RosettaCache::AbstractSocket(name) if !fits(name) => {
            let what = format!("`{}` cannot be the name of a socket", name.escape_debug());
            let mend = format!("give 1 to {MAX_SOCKET_PATH} bytes");
            problems.push(Problem::error(field("cache-abstract-socket"), what, mend));
        }
        RosettaCache::UnixSocket(_) | RosettaCache::AbstractSocket(_) => {}
    }
}

fn displays_and_input(machine: &Machine, problems: &mut Vec<Problem>) {
    let mac = matches!(machine.platform, Platform::Mac(_));
    for (index, display) in machine.graphics.iter().enumerate() {
        let field = |key: &str| format!("graphics[{index}].{key}");
        for (key, pixels) in [("width", display.width), ("height", display.height)] {
            if !(1..=MAX_PIXELS).contains(&pixels) {
                let what = format!("no display has {pixels} pixels");
                problems.push(Problem::error(field(key), what, format!("give 1 to {MAX_PIXELS}")));
            }
        }
        match display.kind {
            GraphicsDevice::MacDisplay if !mac => {
                let what = "a mac display needs a mac platform";
                problems.push(Problem::error(field("kind"), what, "use `virtio-gpu`"));
            }
            GraphicsDevice::VirtioGpu if display.pixels_per_inch.is_some() => {
                let what = "a virtio display has no pixel density";
                problems.push(Problem::error(field("pixels-per-inch"), what, "remove it"));
            }
            _ if display.pixels_per_inch == Some(0) => {
                problems.push(Problem::error(field("pixels-per-inch"), "0 is no density", "give 72 or more"));
            }
            _ => {}
        }
    }
    for (index, input) in machine.input.iter().enumerate() {
        let instead = match input {
            Input::MacKeyboard => "usb-keyboard",
            Input::MacTrackpad => "usb-pointing",
            Input::UsbKeyboard | Input::UsbPointing | Input::VirtioKeyboard | Input::VirtioPointing => continue,
        };
        if !mac {
            let what = "a Mac's input needs a mac platform";
            problems.push(Problem::error(format!("input[{index}].kind"), what, format!("use `{instead}`")));
        }
    }
}

fn socket_path(path: &Path, field: String, problems: &mut Vec<Problem>) {
    let length = path.as_os_str().len();
    if length == 0 || length > MAX_SOCKET_PATH {
        let what = format!("a path of {length} bytes cannot be that of a unix socket");
        problems.push(Problem::error(field, what, format!("give 1 to {MAX_SOCKET_PATH} bytes")));
    }
}
