//! Folders of the host in the guest, by virtio-fs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::choice::{at_most_one, exactly_one};

/// The tag by which a macOS guest mounts a share on its own (`VZVirtioFileSystemDeviceConfiguration`,
/// `macOSGuestAutomountTag`).
pub const AUTOMOUNT_TAG: &str = "com.apple.virtio-fs.automount";

/// A virtio-fs file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Share {
    /// The tag by which the guest mounts it; at most 36 bytes (virtio 1.3, 5.11.4).
    pub tag: String,
    /// What is in it.
    pub source: ShareSource,
}

/// What a share shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareSource {
    /// One folder, as the root of the file system.
    Single(SharedDirectory),
    /// Several folders by name, or none yet.
    Multiple(BTreeMap<String, SharedDirectory>),
    /// Apple's translator of x86-64 programs.
    Rosetta {
        /// Installs it when it is missing.
        install: bool,
        /// Starts without it when it is missing.
        ignore_if_missing: bool,
        /// Keeps translations, in a daemon of the guest.
        cache: Option<RosettaCache>,
    },
}

/// Where Rosetta reaches the guest's daemon `rosettad`, which keeps translations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosettaCache {
    /// A unix socket, by its path in the guest. Apple's own default is `/run/rosettad/rosetta.sock`.
    UnixSocket(String),
    /// A socket in the guest's abstract namespace (`unix(7)`), by its name without the zero byte.
    AbstractSocket(String),
}

/// A folder of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SharedDirectory {
    /// The folder.
    pub path: PathBuf,
    /// The guest cannot write.
    #[serde(default, rename = "readonly", skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// The keys of `[[share]]` and `--device virtio-fs|rosetta`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    #[serde(default)]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mount_tag: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    automount: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_dir: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    readonly: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    install: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_if_missing: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_socket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_abstract_socket: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    directories: BTreeMap<String, SharedDirectory>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    empty: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    VirtioFs,
    Rosetta,
}

impl TryFrom<Keys> for Share {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let tag = exactly_one(vec![
            ("mount-tag", keys.mount_tag),
            ("automount", keys.automount.then(|| AUTOMOUNT_TAG.to_owned())),
        ])?;
        let source = match keys.kind {
            Kind::Rosetta => {
                if keys.shared_dir.is_some() || keys.readonly || !keys.directories.is_empty() || keys.empty {
                    let keys = "`shared-dir`, `readonly`, `directories` and `empty`";
                    return Err(format!("{keys} are not for `rosetta`: remove them"));
                }
                let cache = at_most_one(vec![
                    ("cache-socket", keys.cache_socket.map(RosettaCache::UnixSocket)),
                    ("cache-abstract-socket", keys.cache_abstract_socket.map(RosettaCache::AbstractSocket)),
                ])?;
                ShareSource::Rosetta { install: keys.install, ignore_if_missing: keys.ignore_if_missing, cache }
            }
            Kind::VirtioFs => {
                if keys.install || keys.ignore_if_missing {
                    return Err("`install` and `ignore-if-missing` are only for `rosetta`: remove them".to_owned());
                }
                if keys.cache_socket.is_some() || keys.cache_abstract_socket.is_some() {
                    let keys = "`cache-socket` and `cache-abstract-socket`";
                    return Err(format!("{keys} are only for `rosetta`: remove them"));
                }
                if keys.readonly && keys.shared_dir.is_none() {
                    return Err("`readonly` belongs to each folder of `directories`: put it there".to_owned());
                }
                let single =
                    keys.shared_dir.map(|path| ShareSource::Single(SharedDirectory { path, read_only: keys.readonly }));
                let multiple = Some(keys.directories).filter(|directories| !directories.is_empty());
                exactly_one(vec![
                    ("shared-dir", single),
                    ("directories", multiple.map(ShareSource::Multiple)),
                    ("empty", keys.empty.then(|| ShareSource::Multiple(BTreeMap::new()))),
                ])?
            }
        };
        Ok(Share { tag, source })
    }
}

impl From<Share> for Keys {
    fn from(share: Share) -> Self {
        let automount = share.tag == AUTOMOUNT_TAG;
        let mut keys = Keys {
            kind: Kind::VirtioFs,
            mount_tag: (!automount).then_some(share.tag),
            automount,
            shared_dir: None,
            readonly: false,
            install: false,
            ignore_if_missing: false,
            cache_socket: None,
            cache_abstract_socket: None,
            directories: BTreeMap::new(),
            empty: false,
        };
        match share.source {
            ShareSource::Single(directory) => {
                keys.shared_dir = Some(directory.path);
                keys.readonly = directory.read_only;
            }
            ShareSource::Multiple(directories) => {
                keys.empty = directories.is_empty();
                keys.directories = directories;
            }
            ShareSource::Rosetta { install, ignore_if_missing, cache } => {
                keys.kind = Kind::Rosetta;
                keys.install = install;
                keys.ignore_if_missing = ignore_if_missing;
                match cache {
                    Some(RosettaCache::UnixSocket(path)) => keys.cache_socket = Some(path),
                    Some(RosettaCache::AbstractSocket(name)) => keys.cache_abstract_socket = Some(name),
                    None => {}
                }
            }
        }
        keys
    }
}
