//! Directory shares: which class, Rosetta, and what a share of a machine that runs can be changed to.

use config::{AUTOMOUNT_TAG, Machine, Platform, Problem, RosettaCache, ShareSource};

use super::{Folders, Object, Planner, Share};
use crate::{Api, Rosetta};

/// Plans other folders for a share of a machine that runs, by its tag. The framework changes what its file systems show;
/// it adds and removes none of them.
///
/// # Errors
/// The machine has no such share, it is Rosetta, or is to become that, and what is wrong with the folders.
pub fn plan_share(machine: &Machine, share: &config::Share) -> Result<Folders, Vec<Problem>> {
    let there = machine.share.iter().find(|there| there.tag == share.tag);
    let rosetta = |source: &ShareSource| matches!(source, ShareSource::Rosetta { .. });
    let refused = match (there, &share.source) {
        (None, _) => {
            let what = format!("the machine has no share `{}`, and gets none while it runs", share.tag.escape_debug());
            let tags: Vec<_> = machine.share.iter().map(|share| share.tag.escape_debug().to_string()).collect();
            let mend = match tags.as_slice() {
                [] => {
                    "add one to its configuration, such as virtio-fs,mount-tag=data,empty, and start it anew".to_owned()
                }
                tags => format!("give one of {}, or add one to its configuration and start it anew", tags.join(", ")),
            };
            Problem::error("share.mount-tag", what, mend)
        }
        (Some(there), _) if rosetta(&there.source) => {
            let what = format!("`{}` is Rosetta, which stays as long as the machine runs", share.tag.escape_debug());
            Problem::error("share.mount-tag", what, "give the tag of another share")
        }
        (_, ShareSource::Rosetta { .. }) => {
            let what = "the framework gives Rosetta to a machine only when it starts";
            Problem::error("share.kind", what, "add it to the machine's configuration and start that anew")
        }
        (_, ShareSource::Single(folder)) => return Ok(Folders::Single(folder.clone())),
        (_, ShareSource::Multiple(folders)) => {
            let problems = share.check("share");
            return if problems.is_empty() { Ok(Folders::Multiple(folders.clone())) } else { Err(problems) };
        }
    };
    Err(vec![refused])
}

impl Planner<'_> {
    pub(super) fn shares(&mut self) {
        let machine = self.machine;
        for (index, share) in machine.share.iter().enumerate() {
            self.share(&format!("share[{index}]"), share);
        }
    }

    fn share(&mut self, field: &str, share: &config::Share) {
        let mac = matches!(self.machine.platform, Platform::Mac(_));
        if share.tag == AUTOMOUNT_TAG {
            let key = format!("{field}.automount");
            self.need(&key, Api::AutomountTag, "give a `mount-tag`");
            if !mac {
                self.warn(key, "only macOS guests mount a share on their own", "give a `mount-tag`");
            }
        }
        let source = match &share.source {
            ShareSource::Single(directory) => Share::Folders(Folders::Single(directory.clone())),
            ShareSource::Multiple(directories) => Share::Folders(Folders::Multiple(directories.clone())),
            ShareSource::Rosetta { install, ignore_if_missing, cache } => {
                self.rosetta_cache(field, cache.as_ref());
                match self.rosetta(field, *install, *ignore_if_missing) {
                    Some(install) => Share::Rosetta { install, cache: cache.clone() },
                    None => return,
                }
            }
        };
        if !matches!(source, Share::Rosetta { .. }) {
            self.need(field, Api::FileSystem, "remove it");
        }
        self.objects.push(Object::Share { tag: share.tag.clone(), share: source });
    }

    /// Whether it has to be installed first; `None` when the machine is to be without it, or is refused.
    fn rosetta(&mut self, field: &str, install: bool, ignore_if_missing: bool) -> Option<bool> {
        if !matches!(self.machine.platform, Platform::Generic(_)) {
            self.refuse(field, "Rosetta is for Linux guests: a macOS guest brings its own", "remove it");
            return None;
        }
        let state = if self.has(Api::RosettaShare) { self.host.rosetta } else { Rosetta::NotSupported };
        let what = match (state, install) {
            (Rosetta::Installed, _) => return Some(false),
            (Rosetta::NotInstalled, true) => return Some(true),
            (Rosetta::NotInstalled, false) => "Rosetta is not installed on this Mac",
            (Rosetta::NotSupported, _) => "this Mac has no Rosetta for Linux guests",
        };
        if ignore_if_missing {
            self.warn(field, format!("{what}: x86-64 programs will not run"), "remove the share to hear this no more");
        } else if state == Rosetta::NotInstalled {
            self.refuse(field, what, "add `install`, or run: softwareupdate --install-rosetta");
        } else if self.has(Api::RosettaShare) {
            self.refuse(field, what, "remove it, or add `ignore-if-missing`");
        } else {
            self.need(field, Api::RosettaShare, "add `ignore-if-missing`");
        }
        None
    }

    fn rosetta_cache(&mut self, field: &str, cache: Option<&RosettaCache>) {
        match cache {
            None => {}
            Some(RosettaCache::UnixSocket(_)) => {
                self.need(&format!("{field}.cache-socket"), Api::RosettaSocket, "remove it");
            }
            Some(RosettaCache::AbstractSocket(_)) => {
                self.need(&format!("{field}.cache-abstract-socket"), Api::RosettaAbstractSocket, "remove it");
            }
        }
    }
}
