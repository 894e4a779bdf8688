//! From a restore image to a machine with macOS.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use config::{DiskAttachment, Machine, Platform, Problem};
use fetch::{Cancel, Fetched, Use};
use vz::{Host, InstallEnd, InstallNotice, Installation, Installer, Virtualization};

use super::{InstallError, MacosGuests, RestoreSource, source};
use crate::space::{free_space, size};
use crate::{Bundle, Draft};

/// How often it is asked whether the installation was given up.
const LOOK: Duration = Duration::from_millis(100);

/// A macOS guest that is to be.
#[derive(Debug, Clone)]
pub struct NewMac {
    /// Where macOS comes from.
    pub source: RestoreSource,
    /// The machine, with the paths of [`mac_files`](super::mac_files) and of an empty disk, its first, in the draft's
    /// folder. Its files but the disk are made here.
    pub machine: Machine,
    /// The folder in which restore images are kept that were fetched.
    pub cache: PathBuf,
    /// How they are fetched. The checksum holds for a file, too.
    pub fetch: fetch::Options,
    /// The macOS guests that run: an installation is one.
    pub guests: MacosGuests,
    /// Bytes that macOS takes of its disk at least, for which there must be room; [`MACOS_SIZE`] is a good guess.
    pub size: u64,
}

/// What macOS takes of its disk, in bytes, about: as much as its restore image has.
pub const MACOS_SIZE: u64 = 15 << 30;

/// What an installation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallStep {
    /// Apple is asked for the latest macOS.
    Asking,
    /// This macOS, such as `macOS 15.6.1 (24G90)`, is to be installed.
    Found(String),
    /// The restore image is fetched, or held against its checksum.
    Fetching(fetch::Progress),
    /// It is there.
    Fetched(PathBuf, Fetched),
    /// The framework reads it.
    Loading,
    /// macOS is installed; so much of it is done, in thousandths.
    Installing(u16),
}

impl NewMac {
    /// Installs macOS through a framework, on a Mac that is `host`, into `draft`, which becomes a machine. Blocks until it
    /// is one, for as long as a download and an installation take.
    ///
    /// # Errors
    /// Why it is none. Nothing is left of it then, but of what was downloaded.
    pub fn install<V: Virtualization>(
        &self,
        virtualization: &V,
        host: &Host,
        draft: Draft,
        cancel: &Cancel,
        tell: &mut dyn FnMut(InstallStep),
    ) -> Result<Bundle, InstallError> {
        check(&self.machine, host)?;
        self.check_disk(draft.folder())?;
        let (path, _use) = self.image(virtualization, host, draft.folder(), cancel, tell)?;
        tell(InstallStep::Loading);
        let image = virtualization.load_restore_image(&path);
        let image = image.map_err(|source| InstallError::Image { path: path.clone(), source })?;
        tell(InstallStep::Found(image.to_string()));
        let needs = image.check(&self.machine, host).map_err(|problems| InstallError::Problems { problems })?;
        give_up(cancel)?;
        put_files(virtualization, &draft, &self.machine.platform, &needs.hardware_model)?;
        let seated = self.guests.seat_for(&self.machine, draft.name().as_str(), host);
        let count = |source| InstallError::Count { path: self.guests.folder().to_owned(), source };
        let (seat, host) = seated.map_err(count)?;
        let plan = vz::plan(&bare(&self.machine), &host).map_err(|problems| InstallError::Problems { problems })?;
        let (signals, reports) = channel();
        let installer = virtualization.installer(&plan, Vec::new(), &path, signals)?;
        match drive(installer, &reports, cancel, tell) {
            InstallEnd::Installed => {}
            InstallEnd::Cancelled => return Err(InstallError::Cancelled),
            InstallEnd::Failed(reason) => return Err(InstallError::Failed(reason)),
        }
        drop(seat);
        Ok(draft.finish(&self.machine)?)
    }

    /// That macOS has room on its disk, and its disk in `folder`.
    fn check_disk(&self, folder: &Path) -> Result<(), InstallError> {
        let needs = format!("macOS takes some {} of its disk", size(self.size));
        let refuse = |what: String, mend: String| {
            Err(InstallError::Problems { problems: vec![Problem::error("storage[0]", what, mend)] })
        };
        let disk = match self.machine.storage.first().map(|disk| &disk.attachment) {
            Some(DiskAttachment::Image { path, .. }) => path.metadata().ok(),
            _ => None,
        };
        if let Some(disk) = disk.filter(|disk| disk.len() < self.size) {
            return refuse(format!("{needs}, and this one has {}", size(disk.len())), "give it 64 GiB".to_owned());
        }
        match free_space(folder) {
            Some(free) if free < self.size => {
                let what = format!("{needs}, and {} are free in {}", size(free), folder.display());
                refuse(what, format!("free {} more, or keep machines elsewhere", size(self.size - free)))
            }
            _ => Ok(()),
        }
    }

    /// The restore image, as a file that is not removed from the cache meanwhile.
    fn image<V: Virtualization>(
        &self,
        virtualization: &V,
        host: &Host,
        folder: &Path,
        cancel: &Cancel,
        tell: &mut dyn FnMut(InstallStep),
    ) -> Result<(PathBuf, Option<Use>), InstallError> {
        let url = match &self.source {
            RestoreSource::File(path) => {
                if let Some(expected) = self.fetch.sha256 {
                    let checked = fetch::verify(path, expected, cancel, &mut |now| tell(InstallStep::Fetching(now)))?;
                    tell(InstallStep::Fetched(path.clone(), checked));
                }
                return Ok((path.clone(), None));
            }
            RestoreSource::Url(url) => url.clone(),
            RestoreSource::Latest => {
                tell(InstallStep::Asking);
                let image = virtualization.latest_restore_image()?;
                give_up(cancel)?;
                tell(InstallStep::Found(image.to_string()));
                // What does not fit is said before it is fetched.
                image.check(&self.machine, host).map_err(|problems| InstallError::Problems { problems })?;
                image.url
            }
        };
        let place = source::place(&self.cache, &url);
        // What is downloaded is not to take the room that the disk needs then.
        let spare = if on_same_volume(&self.cache, folder) { self.size } else { 0 };
        let options = fetch::Options { free: free_space, spare, ..self.fetch.clone() };
        loop {
            let fetched = fetch::fetch(&url, &place, &options, cancel, &mut |now| tell(InstallStep::Fetching(now)))?;
            let kept = fetch::keep(&place)?;
            // One that is removed as soon as it is there is fetched again.
            if place.is_file() {
                tell(InstallStep::Fetched(place.clone(), fetched));
                return Ok((place, Some(kept)));
            }
        }
    }
}

/// Whether two paths, which are or are to be, share what is free.
fn on_same_volume(one: &Path, other: &Path) -> bool {
    let volume = |path: &Path| path.ancestors().find_map(|ancestor| Some(ancestor.metadata().ok()?.dev()));
    volume(one) == volume(other)
}

/// Finds what this Mac cannot do before anything is fetched.
fn check(machine: &Machine, host: &Host) -> Result<(), InstallError> {
    // Those that run now may have ended by then.
    let host = Host { macos_guests: Vec::new(), ..host.clone() };
    vz::plan(machine, &host).map(drop).map_err(|problems| InstallError::Problems { problems })
}

fn give_up(cancel: &Cancel) -> Result<(), InstallError> {
    if cancel.is_cancelled() { Err(InstallError::Cancelled) } else { Ok(()) }
}

/// The machine as far as an installation needs it, which is nothing that something of ours has to run for.
fn bare(machine: &Machine) -> Machine {
    Machine {
        cpus: machine.cpus,
        memory: machine.memory,
        platform: machine.platform.clone(),
        storage: machine.storage.iter().take(1).cloned().collect(),
        graphics: machine.graphics.clone(),
        ..Machine::new(machine.bootloader.clone())
    }
}

/// Makes the files of a new Mac.
fn put_files<V: Virtualization>(
    virtualization: &V,
    draft: &Draft,
    platform: &Platform,
    hardware_model: &[u8],
) -> Result<(), InstallError> {
    let Platform::Mac(files) = platform else { return Ok(()) };
    let put = |path: &Path, contents: &[u8]| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        draft.put(name, contents)
    };
    put(&files.machine_identifier, &virtualization.new_mac_identifier())?;
    put(&files.hardware_model, hardware_model)?;
    virtualization.create_auxiliary_storage(&files.auxiliary_storage, hardware_model)?;
    Ok(())
}

/// Has the framework install, to its last word.
fn drive<I: Installer>(
    installer: I,
    reports: &Receiver<vz::InstallSignal>,
    cancel: &Cancel,
    tell: &mut dyn FnMut(InstallStep),
) -> InstallEnd {
    let mut installation = Installation::new(installer);
    tell(InstallStep::Installing(0));
    installation.start();
    loop {
        let notice = match reports.recv_timeout(LOOK) {
            Ok(signal) => installation.signal(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                return InstallEnd::Failed("the framework's installer is gone".to_owned());
            }
        };
        let notice = match notice {
            None if cancel.is_cancelled() => installation.cancel(),
            notice => notice,
        };
        match notice {
            Some(InstallNotice::Progress(thousandths)) => tell(InstallStep::Installing(thousandths)),
            Some(InstallNotice::Ended(end)) => return end,
            None => {}
        }
    }
}
