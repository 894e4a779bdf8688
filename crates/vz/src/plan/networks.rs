//! Network cards: which attachment, and when our own user-mode network serves one.

use config::{Nat, NetworkAttachment, SocketType};

use super::{Helper, Network, NetworkSource, Object, Planner};
use crate::Api;

/// The largest packet without [`Api::Mtu`], in bytes; it is also the least that can be set.
const MTU: u16 = 1500;

impl Planner<'_> {
    pub(super) fn networks(&mut self) {
        let machine = self.machine;
        for (index, network) in machine.network.iter().enumerate() {
            let field = format!("network[{index}]");
            if network.queues.is_some() {
                self.refuse(format!("{field}.queues"), "the framework's cards have no choice of queues", "remove it");
            }
            if let Some(source) = self.plug(index, &field, network) {
                self.objects.push(Object::Network(Network { source, mac: network.mac }));
            }
        }
    }

    /// `None` when it is refused.
    fn plug(&mut self, index: usize, field: &str, network: &config::Network) -> Option<NetworkSource> {
        match &network.attachment {
            NetworkAttachment::Nat(nat) => Some(self.nat(index, field, network, nat)),
            NetworkAttachment::Shared { name } => {
                let mtu = self.mtu(field, network);
                let helper = self.help(Helper::Switch { name: name.clone() });
                Some(NetworkSource::Helper { helper, mtu })
            }
            NetworkAttachment::Bridged { interface } => {
                self.frames_of_others(field, network);
                self.bridged(field, interface);
                Some(NetworkSource::Bridged { interface: interface.clone() })
            }
            NetworkAttachment::UnixSocket { kind: SocketType::Unixstream, .. } => {
                let what = "the framework takes frames over datagrams, not over a stream";
                self.refuse(format!("{field}.type"), what, "use `type=unixgram`, which vmnet-helper and gvproxy speak");
                None
            }
            NetworkAttachment::UnixSocket { path, vfkit_magic, kind: SocketType::Unixgram, .. } => {
                self.no_capture(field, network);
                let mtu = self.mtu(field, network);
                let helper = Helper::ConnectSocket { path: path.clone(), vfkit_magic: *vfkit_magic };
                Some(NetworkSource::Helper { helper: self.help(helper), mtu })
            }
            NetworkAttachment::Fd(fd) => {
                self.no_capture(field, network);
                Some(NetworkSource::Fd { fd: *fd, mtu: self.mtu(field, network) })
            }
            NetworkAttachment::Tap { .. } | NetworkAttachment::TapFd(_) => {
                let key = if matches!(network.attachment, NetworkAttachment::TapFd(_)) { "tap-fd" } else { "tap" };
                self.refuse(format!("{field}.{key}"), "macOS has no taps", "use `nat`, `shared` or `bridged`");
                None
            }
        }
    }

    /// The framework's own network is the fastest but has no options. With any, it is our user-mode network.
    fn nat(&mut self, index: usize, field: &str, network: &config::Network, nat: &Nat) -> NetworkSource {
        if network.mtu.is_none() && network.capture.is_none() && *nat == Nat::default() {
            return NetworkSource::Nat;
        }
        let mtu = self.mtu(field, network);
        NetworkSource::Helper { helper: self.help(Helper::UserNat { network: index }), mtu }
    }

    fn bridged(&mut self, field: &str, interface: &str) {
        let field = format!("{field}.bridged");
        if !self.host.entitlements.networking {
            let what = "bridged networks need the right `com.apple.vm.networking`, which Apple grants on request, and \
                        this program is not signed with it";
            let mend = "use `nat` or `shared`, or sign with a grant and russet-bridged.entitlements";
            self.refuse(field, what, mend);
        } else if !self.host.bridged.iter().any(|name| name == interface) {
            let what = format!("`{}` is no interface that can be bridged", interface.escape_debug());
            let mend = match self.host.bridged.as_slice() {
                [] => "use `nat`: this Mac has none".to_owned(),
                names => format!("give one of {}", names.join(", ")),
            };
            self.refuse(field, what, mend);
        }
    }

    fn mtu(&mut self, field: &str, network: &config::Network) -> Option<u16> {
        let mtu = network.mtu?;
        let field = format!("{field}.mtu");
        if mtu > MTU {
            self.need(&field, Api::Mtu, "remove it");
        } else if mtu < MTU {
            let what = format!("the framework's cards have packets of {MTU} bytes or more");
            self.refuse(field, what, format!("give {MTU} to 65535, or remove it"));
        }
        Some(mtu).filter(|mtu| *mtu != MTU)
    }

    /// What the framework carries by itself passes us by.
    fn frames_of_others(&mut self, field: &str, network: &config::Network) {
        self.no_capture(field, network);
        if network.mtu.is_some() {
            self.refuse(format!("{field}.mtu"), "the packet size of a bridge is its interface's", "remove it");
        }
    }

    fn no_capture(&mut self, field: &str, network: &config::Network) {
        if network.capture.is_some() {
            let what = "frames are recorded where they pass through Russet: on `nat` and `shared`";
            self.refuse(format!("{field}.capture"), what, "remove it, or use one of those");
        }
    }
}
