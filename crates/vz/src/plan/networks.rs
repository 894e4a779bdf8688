//! Network cards: which attachment, and when frames pass through us. The framework takes them over datagrams; a stream, a
//! record and our own user-mode network need somebody in between.

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
            NetworkAttachment::Vmnet(options) => self.vmnet(field, network, options),
            NetworkAttachment::Shared { name } => {
                let mtu = self.mtu(field, network);
                let helper = self.help(Helper::Switch { name: name.clone() });
                Some(NetworkSource::Helper { helper, mtu })
            }
            NetworkAttachment::Bridged { interface } => {
                self.bridged(field, interface);
                self.frames_of_others(field, network);
                Some(NetworkSource::Bridged { interface: interface.clone() })
            }
            NetworkAttachment::UnixSocket { path, kind, vfkit_magic, listen } => {
                let mtu = self.mtu(field, network);
                let path = path.clone();
                let helper = self.help(match kind {
                    SocketType::Unixgram => Helper::DatagramSocket { path, vfkit_magic: *vfkit_magic },
                    SocketType::Unixstream => Helper::StreamSocket { path, listen: *listen },
                });
                Some(NetworkSource::Helper { helper, mtu })
            }
            NetworkAttachment::Fd(fd) => {
                let mtu = self.mtu(field, network);
                let helper = self.help(Helper::Descriptor { fd: *fd });
                Some(NetworkSource::Helper { helper, mtu })
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
        if network.capture.is_some() {
            let what = "a bridge's frames do not pass through Russet";
            self.refuse(format!("{field}.capture"), what, "remove it, or use `nat`, `shared` or a socket");
        }
        if network.mtu.is_some() {
            self.refuse(format!("{field}.mtu"), "the packet size of a bridge is its interface's", "remove it");
        }
    }
}
