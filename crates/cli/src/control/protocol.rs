//! What is said over the control socket.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ::config::{Machine, Share, Storage};
use serde::{Deserialize, Serialize};

/// Longest line, in bytes.
pub(crate) const MAX_LINE: u64 = 64 << 10;

/// What is asked: `{"ask":"network"}`, `{"ask":"publish","ports":["8080:80"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// The cards on networks behind NAT, then those on networks of macOS's own.
    Network {},
    /// Lets ports of the host lead to the guest.
    Publish {
        /// The card, by its place among those behind NAT.
        #[serde(default)]
        card: usize,
        /// The ports, as `--publish` has them.
        ports: Vec<String>,
    },
    /// Takes that back.
    Unpublish {
        /// As in `Publish`.
        #[serde(default)]
        card: usize,
        /// As in `Publish`.
        ports: Vec<String>,
    },
    /// Asks the guest to power off, or pulls its plug.
    Stop {
        /// Without asking.
        #[serde(default)]
        force: bool,
    },
    /// The state.
    State {},
    /// What it was started as: a kept machine may have been changed since.
    Machine {},
    /// Makes the guest stand still.
    Pause {},
    /// Lets it run on.
    Resume {},
    /// Saves the state of a kept machine into its folder, and ends it.
    Suspend {},
    /// Asks the guest to do with so much memory.
    Balloon {
        /// MiB.
        mib: u64,
    },
    /// Gives the display another size.
    Display {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The disks.
    Disks {},
    /// Puts a disk into a slot while the machine runs.
    AttachDisk {
        /// The disk, as an entry of a configuration's `storage`.
        disk: Storage,
    },
    /// Takes a disk out that was attached.
    DetachDisk {
        /// Its name.
        name: String,
        /// Seconds that the guest has to let go of it; none: it is not asked.
        seconds: Option<u64>,
    },
    /// Gives a disk another size.
    ResizeDisk {
        /// Its name.
        name: String,
        /// Bytes.
        size: u64,
    },
    /// The directory shares.
    Shares {},
    /// Shows folders in a directory share.
    AttachShare {
        /// Tag and folders, as an entry of a configuration's `share`.
        share: Share,
    },
    /// Takes folders out of a directory share.
    DetachShare {
        /// Its tag.
        tag: String,
        /// The folder, by name; none: all.
        #[serde(default)]
        folder: Option<String>,
    },
}

impl Request {
    /// How long the answer may take.
    pub(crate) fn patience(&self) -> Duration {
        let own = match self {
            // Known at once.
            Request::State {} | Request::Machine {} => return Duration::from_secs(2),
            Request::DetachDisk { seconds, .. } => seconds.unwrap_or(0),
            // As long as it takes to write all memory: a day is for ever.
            Request::Suspend {} => 86_400,
            _ => 0,
        };
        Duration::from_secs(own.saturating_add(20))
    }
}

/// What is answered: `{"network":[..]}`, `{"published":[..]}`, `{"error":".."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The cards.
    Network(Vec<CardStatus>),
    /// All ports that lead to the card now.
    Published(Vec<String>),
    /// All disks, after the change if there was one.
    Disks(Vec<DiskStatus>),
    /// All directory shares, after the change if there was one.
    Shares(Vec<Share>),
    /// The name of the disk that was attached.
    Attached(String),
    /// The state: `running`, `paused`..
    State(String),
    /// The configuration.
    Machine(Box<Machine>),
    /// It was done.
    Done {},
    /// Why it was not done.
    Error(String),
}

/// A card on a network behind NAT, or on one of macOS's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardStatus {
    /// Its Ethernet address.
    pub(crate) mac: String,
    /// The address that is its own. macOS's networks tell it only when it is leased.
    pub(crate) address: Option<Ipv4Addr>,
    /// Whether the guest has taken the address.
    pub(crate) leased: bool,
    /// The IPv6 address that the guest has made for itself, once it was seen with one.
    #[serde(default)]
    pub(crate) address6: Option<Ipv6Addr>,
    /// The ports that lead to it.
    pub(crate) published: Vec<String>,
}

/// A disk of a running machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskStatus {
    /// Its name.
    pub(crate) name: String,
    /// Bytes, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Whether the guest cannot write it.
    pub(crate) read_only: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_programs_rely_on() {
        let publish = r#"{"ask":"publish","card":0,"ports":["8080:80"]}"#;
        let request = Request::Publish { card: 0, ports: vec!["8080:80".into()] };
        assert_eq!(serde_json::to_string(&request).unwrap(), publish);
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"publish","ports":["8080:80"]}"#).unwrap(), request);
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"network"}"#).unwrap(), Request::Network {});
        assert!(serde_json::from_str::<Request>(r#"{"ask":"network","more":1}"#).is_err());
        let attach = r#"{"ask":"attach-disk","disk":{"kind":"nvme","path":"/a.img"}}"#;
        let Request::AttachDisk { disk } = serde_json::from_str(attach).unwrap() else { panic!("another request") };
        assert_eq!(disk.device, ::config::StorageDevice::Nvme);
        let detach = Request::DetachDisk { name: "slot1".into(), seconds: Some(3) };
        assert_eq!(serde_json::to_string(&detach).unwrap(), r#"{"ask":"detach-disk","name":"slot1","seconds":3}"#);
        assert_eq!(detach.patience(), Duration::from_secs(23));
        assert_eq!(serde_json::to_string(&Request::Pause {}).unwrap(), r#"{"ask":"pause"}"#);
        let share = r#"{"ask":"attach-share","share":{"kind":"virtio-fs","mount-tag":"data","shared-dir":"/srv"}}"#;
        let Request::AttachShare { share: attached } = serde_json::from_str(share).unwrap() else { panic!("another") };
        assert_eq!(serde_json::to_string(&Request::AttachShare { share: attached }).unwrap(), share);
        let detach = Request::DetachShare { tag: "data".into(), folder: None };
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"detach-share","tag":"data"}"#).unwrap(), detach);
        let balloon = Request::Balloon { mib: 512 };
        assert_eq!(serde_json::from_str::<Request>(r#"{"ask":"balloon","mib":512}"#).unwrap(), balloon);
        assert_eq!(serde_json::to_string(&Answer::State("paused".into())).unwrap(), r#"{"state":"paused"}"#);
        let answer = Answer::Published(vec!["127.0.0.1:8080:80".into()]);
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"published":["127.0.0.1:8080:80"]}"#);
    }
}
