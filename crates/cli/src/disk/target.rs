//! A file that is made beside where it is to be, and takes that place when it is complete.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::image::{Format, Image, ImageOptions};
use block::qcow2::{self, BackingName, CreateOptions, Qcow2};
use block::{Disk, RawDisk, RawOptions, SyncMode};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::failed;
use crate::failure::{Failure, Status};

/// What the new image is to be.
pub(super) struct Plan {
    pub(super) format: Format,
    pub(super) size: u64,
    pub(super) cluster_bits: u32,
    pub(super) backing: Option<BackingName>,
}

impl Plan {
    fn qcow2(&self) -> CreateOptions {
        let (size, cluster_bits, backing) = (self.size, self.cluster_bits, self.backing.clone());
        CreateOptions { size, cluster_bits, version: 3, backing }
    }
}

/// A new image; removed when it is dropped before it is complete.
pub(super) struct Target {
    path: PathBuf,
    part: PathBuf,
}

impl Target {
    /// Begins to make `path`, which may exist only with `force`.
    pub(super) fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        if path.exists() && !force {
            let message =
                format!("{}: there is such a file: give another name, or --force to replace it", path.display());
            return Err(Failure::new(Status::Usage, message));
        }
        if path.exists() {
            // Someone who has it open must not lose it. The lock also names who that is.
            let options = RawOptions { sync: SyncMode::None, ..RawOptions::default() };
            drop(RawDisk::open(path, options).map_err(|error| failed(path, error))?);
        }
        let name = path.file_name().ok_or_else(|| Failure::new(Status::Usage, "the target has no name: give one"))?;
        sweep(path, name);
        let mut part = OsString::from(".");
        part.push(name);
        part.push(format!(".{}.part", std::process::id()));
        Ok(Self { path: path.to_owned(), part: path.with_file_name(part) })
    }

    /// Makes an empty image, open for writing.
    pub(super) fn create(&self, plan: &Plan) -> Result<Arc<dyn Disk>, Failure> {
        let failed = |error| failed(&self.path, error);
        let store = self.store()?;
        match plan.format {
            Format::Raw => {
                store.resize(plan.size).map_err(failed)?;
                Ok(store)
            }
            Format::Qcow2 => {
                qcow2::create(&*store, &plan.qcow2()).map_err(failed)?;
                drop(store);
                let mut options = ImageOptions { format: Some(Format::Qcow2), ..ImageOptions::default() };
                // What is below was named by the user.
                options.allowed.push(PathBuf::from("/"));
                Ok(Image::open(&self.part, &options).map_err(failed)?.disk)
            }
            Format::Vmdk | Format::Vhdx => {
                Err(Failure::new(Status::Usage, format!("{} images cannot be made: choose raw or qcow2", plan.format)))
            }
        }
    }

    /// Makes an empty qcow2 image without a file below, open for writing.
    pub(super) fn create_qcow2(&self, plan: &Plan) -> Result<Qcow2, Failure> {
        let failed = |error| failed(&self.path, error);
        let store = self.store()?;
        qcow2::create(&*store, &plan.qcow2()).map_err(failed)?;
        Qcow2::open(store, None).map_err(failed)
    }

    /// Makes the file.
    fn store(&self) -> Result<Arc<dyn Disk>, Failure> {
        let failed = |error| failed(&self.path, error);
        File::create_new(&self.part).map_err(block::Error::io("make the file")).map_err(failed)?;
        let options = RawOptions { sync: SyncMode::Full, ..RawOptions::default() };
        Ok(Arc::new(RawDisk::open(&self.part, options).map_err(failed)?))
    }

    /// Where the file is until it is complete.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// It is complete, and closed: it takes its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        fs::rename(&self.part, &self.path).map_err(|error| failed(&self.path, block::Error::io("rename")(error)))
    }
}

/// Removes what killed processes left when they made the same image: the process is gone, and nobody has the file open.
fn sweep(path: &Path, name: &OsStr) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_left = owner(&entry.file_name(), name).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH));
        if is_left && RawDisk::open(&entry.path(), RawOptions::default()).is_ok() {
            // It is of no use to anybody, but in nobody's way either.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The process that makes the image `name` as the file `part`.
fn owner(part: &OsStr, name: &OsStr) -> Option<Pid> {
    let id =
        part.to_str()?.strip_prefix('.')?.strip_prefix(name.to_str()?)?.strip_prefix('.')?.strip_suffix(".part")?;
    Pid::from_raw(id.parse().ok()?)
}

impl Drop for Target {
    fn drop(&mut self) {
        // Gone already when it is complete.
        let _ = fs::remove_file(&self.part);
    }
}
