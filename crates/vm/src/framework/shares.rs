//! The directory shares of a machine of the framework. Those of the configuration stay; what each shows comes and goes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Problem, Share, ShareSource, SharedDirectory};
use parking_lot::Mutex;
use vz::{Answer, Devices, Folders, Framework, Object, Plan, Session, SharedFolder, plan_share};

use super::driver::Message;
use super::handle::Handle;
use crate::Error;

/// The shares of a machine.
pub(super) struct Shares {
    config: config::Machine,
    driver: Handle,
    shown: Mutex<Shown>,
}

/// What they show.
struct Shown {
    /// Each that the machine has, as it is now.
    now: Vec<Share>,
    /// Those which the framework's devices still show as they were when the machine ended last, by tag.
    stale: Vec<String>,
}

/// A change that is on its way to the framework.
struct Change {
    old: Share,
    new: Share,
    folders: Folders,
}

impl Shares {
    pub(super) fn new(config: &config::Machine, plan: &Plan, driver: Handle) -> Self {
        let planned = |share: &&Share| {
            plan.objects.iter().any(|object| matches!(object, Object::Share { tag, .. } if *tag == share.tag))
        };
        let now = config.share.iter().filter(planned).cloned().collect();
        Self { config: config.clone(), driver, shown: Mutex::new(Shown { now, stale: Vec::new() }) }
    }

    pub(super) fn list(&self) -> Vec<Share> {
        self.shown.lock().now.clone()
    }

    /// One that shows something else than its configuration says, if there is any.
    pub(super) fn changed(&self) -> Option<String> {
        self.shown.lock().now.iter().find(|share| !self.config.share.contains(share)).map(|share| share.tag.clone())
    }

    /// Whether there is a share that folders can be added to.
    pub(super) fn takes_folders(&self) -> bool {
        self.shown.lock().now.iter().any(|share| matches!(share.source, ShareSource::Multiple(_)))
    }

    /// The folders that shares show by name, for a window's user.
    pub(super) fn folders(&self) -> Vec<SharedFolder> {
        let shown = self.shown.lock();
        let folders = shown.now.iter().filter_map(|share| match &share.source {
            ShareSource::Multiple(folders) => Some((share, folders)),
            _ => None,
        });
        let named = |share: &Share, name: &String| SharedFolder { share: share.tag.clone(), name: name.clone() };
        folders.flat_map(|(share, folders)| folders.keys().map(move |name| named(share, name))).collect()
    }

    /// Shows a folder in the first share that takes it, by its own name or one made from that.
    pub(super) fn add(self: &Arc<Self>, path: PathBuf) -> Result<(), Error> {
        is_folder(&path)?;
        let takes = |share: &&Share| matches!(share.source, ShareSource::Multiple(_));
        let tag = self.shown.lock().now.iter().find(takes).map(|share| share.tag.clone());
        let none = || Error::unsupported("share", "the machine has no share that folders can be added to");
        self.change(&tag.ok_or_else(none)?, move |now| {
            let name = free_name(now, &path);
            let folder = SharedDirectory { path, read_only: false };
            joined(now, ShareSource::Multiple(BTreeMap::from([(name, folder)])))
        })
    }

    pub(super) fn attach(self: &Arc<Self>, share: &Share) -> Result<(), Error> {
        match &share.source {
            ShareSource::Single(folder) => is_folder(&folder.path)?,
            ShareSource::Multiple(folders) => folders.values().try_for_each(|folder| is_folder(&folder.path))?,
            ShareSource::Rosetta { .. } => {}
        }
        let more = share.source.clone();
        self.change(&share.tag, move |now| joined(now, more))
    }

    pub(super) fn detach(self: &Arc<Self>, tag: &str, folder: Option<&str>) -> Result<(), Error> {
        let folder = folder.map(str::to_owned);
        self.change(tag, move |now| without(now, folder.as_deref()))
    }

    /// Changes what a share shows. Changes are made one after another on the thread that drives the machine, each upon
    /// what those before have asked for.
    fn change(
        self: &Arc<Self>,
        tag: &str,
        change: impl FnOnce(&ShareSource) -> Result<ShareSource, Problem> + Send + 'static,
    ) -> Result<(), Error> {
        let (shares, tag) = (self.clone(), tag.to_owned());
        let work = move |devices: &mut dyn Devices, answer: Answer<Result<(), Vec<Problem>>>| {
            let Change { old, new, folders } = match shares.enter(&tag, change) {
                Ok(change) => change,
                Err(problems) => return answer(Ok(Err(problems))),
            };
            let told = move |set: Result<(), String>| {
                if set.is_err() {
                    shares.put_back(&new, old);
                }
                answer(set.map(Ok));
            };
            devices.set_share(tag, folders, Box::new(told));
        };
        let changed = self.driver.with_devices("given another share", work)?;
        changed.map_err(|problems| Error::Plan { problems })?;
        self.driver.tell(Message::Show);
        Ok(())
    }

    fn enter(
        &self,
        tag: &str,
        change: impl FnOnce(&ShareSource) -> Result<ShareSource, Problem>,
    ) -> Result<Change, Vec<Problem>> {
        let mut shown = self.shown.lock();
        let Some(there) = shown.now.iter_mut().find(|share| share.tag == tag) else {
            // The plan says why there is none.
            let none = Share { tag: tag.to_owned(), source: ShareSource::Multiple(BTreeMap::new()) };
            return plan_share(&self.config, &none).and(Err(Vec::new()));
        };
        let source = change(&there.source).map_err(|problem| vec![problem])?;
        let new = Share { tag: tag.to_owned(), source };
        let folders = plan_share(&self.config, &new)?;
        let old = std::mem::replace(there, new.clone());
        Ok(Change { old, new, folders })
    }

    /// The framework did not take it, and it was not changed again.
    fn put_back(&self, new: &Share, old: Share) {
        if let Some(there) = self.shown.lock().now.iter_mut().find(|share| *share == new) {
            *there = old;
        }
    }

    /// The machine has ended: in its next life it shows what its configuration says.
    pub(super) fn clear(&self) {
        let Shown { now, stale } = &mut *self.shown.lock();
        for share in now {
            let Some(configured) = self.config.share.iter().find(|other| other.tag == share.tag) else { continue };
            if *share != *configured {
                stale.push(share.tag.clone());
                share.clone_from(configured);
            }
        }
    }

    /// The machine runs.
    pub(super) fn renew<F: Framework + Devices>(&self, session: &mut Session<F>) {
        let Ok(devices) = session.devices() else { return };
        for tag in std::mem::take(&mut self.shown.lock().stale) {
            let configured = self.config.share.iter().find(|share| share.tag == tag);
            let Some(Ok(folders)) = configured.map(|share| plan_share(&self.config, share)) else { continue };
            let told = |set: Result<(), String>| {
                if let Err(reason) = set {
                    tracing::error!(reason, "a share shows what it did before the machine was started again");
                }
            };
            devices.set_share(tag, folders, Box::new(told));
        }
    }
}

/// What a share shows when `more` joins it: one folder alone takes the place of another, named ones are beside others.
fn joined(now: &ShareSource, more: ShareSource) -> Result<ShareSource, Problem> {
    match (now, more) {
        (ShareSource::Multiple(now), ShareSource::Multiple(more)) => {
            Ok(ShareSource::Multiple(now.clone().into_iter().chain(more).collect()))
        }
        (ShareSource::Single(_), ShareSource::Multiple(_)) => {
            let what = "it shows one folder, which has no name among others";
            Err(Problem::error("share.directories", what, "detach that first, or give `shared-dir` in its place"))
        }
        (ShareSource::Multiple(now), ShareSource::Single(_)) if !now.is_empty() => {
            let what = "it shows folders by name";
            let mend = "give this one a name, too: directories.NAME.path=FOLDER; or detach those first";
            Err(Problem::error("share.shared-dir", what, mend))
        }
        // With Rosetta the plan refuses it.
        (_, more) => Ok(more),
    }
}

/// What a share shows without a folder, or without all.
fn without(now: &ShareSource, folder: Option<&str>) -> Result<ShareSource, Problem> {
    let none = || ShareSource::Multiple(BTreeMap::new());
    match (now, folder) {
        (ShareSource::Rosetta { .. }, _) => Ok(now.clone()),
        (_, None) => Ok(none()),
        (ShareSource::Multiple(folders), Some(name)) if folders.contains_key(name) => {
            let mut folders = folders.clone();
            folders.remove(name);
            Ok(ShareSource::Multiple(folders))
        }
        (ShareSource::Multiple(folders), Some(name)) => {
            let what = format!("it shows no folder `{}`", name.escape_debug());
            let names: Vec<_> = folders.keys().map(|name| name.escape_debug().to_string()).collect();
            let mend =
                if names.is_empty() { "it shows none".to_owned() } else { format!("give one of {}", names.join(", ")) };
            Err(Problem::error("share.directories", what, mend))
        }
        (ShareSource::Single(_), Some(_)) => {
            let what = "it shows one folder, which has no name among others";
            Err(Problem::error("share.directories", what, "detach it without a name"))
        }
    }
}

/// What a folder is called in a share: as it is, or with a number behind it where that name is taken.
fn free_name(now: &ShareSource, path: &Path) -> String {
    let own = path.file_name().map_or_else(|| "folder".into(), |name| name.to_string_lossy());
    let taken = |name: &str| matches!(now, ShareSource::Multiple(folders) if folders.contains_key(name));
    let mut names = (1..).map(|number| if number == 1 { own.to_string() } else { format!("{own} {number}") });
    names.find(|name| !taken(name)).unwrap_or_default()
}

fn is_folder(path: &Path) -> Result<(), Error> {
    let found = fs::metadata(path).and_then(|metadata| match metadata.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    found.map_err(|source| Error::File { field: "share".into(), path: path.to_owned(), source })
}
