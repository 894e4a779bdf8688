//! `russet create --macos`: from the command line to the installation.

use std::path::Path;

use ::config::{FileKind, HostFacts};
use vm::{FetchOptions, InstallError, MACOS_SIZE, MacosGuests, NewMac, RestoreSource, ThisHost, mac_files};

use super::create::{CreateArgs, begin, complete, make_disk, tell};
use super::{failed, install};
use crate::failure::{Failure, Status};
use crate::host;
use crate::run::Own;

/// The disk that a guest gets when nothing is said.
const DISK_SIZE: u64 = 64 << 30;

pub(super) fn create(args: &CreateArgs, source: &RestoreSource, json: bool) -> Result<(), Failure> {
    let mac = vm::mac_host().ok_or_else(|| install::failed(InstallError::NoMac, None))?;
    if let RestoreSource::File(path) = source
        && !path.is_file()
    {
        let what = format!("--macos {}: there is no such file: give one, `latest` or a URL", path.display());
        return Err(Failure::new(Status::Usage, what));
    }
    let cache = host::cache().ok_or_else(|| Failure::new(Status::Host, "there is no cache folder: set HOME"))?;
    let draft = begin(&args.name)?;
    let files = mac_files(draft.folder());
    let mut description = args.machine.describe_from(None, None, Some(Own::Macos(&files, &mac)))?;
    let disk = make_disk(draft.folder(), args.disk_size.unwrap_or(DISK_SIZE))?;
    let machine = complete(&mut description, &draft, Some(disk), &Coming(draft.folder()))?;
    let new = NewMac {
        source: source.clone(),
        machine: machine.clone(),
        cache: cache.join("macos"),
        fetch: FetchOptions { sha256: args.sha256, ..FetchOptions::default() },
        guests: MacosGuests::of_user().map_err(failed)?,
        size: MACOS_SIZE,
    };
    tell(&install::run(&new, draft, json)?, json);
    Ok(())
}

/// This host as it will be: what is to be made in a folder counts as there.
struct Coming<'a>(&'a Path);

impl HostFacts for Coming<'_> {
    fn cpus(&self) -> u32 {
        ThisHost.cpus()
    }

    fn memory(&self) -> Option<u64> {
        ThisHost.memory()
    }

    fn file(&self, path: &Path) -> FileKind {
        match path.parent() == Some(self.0) {
            true => FileKind::File { writable: true },
            false => ThisHost.file(path),
        }
    }
}
