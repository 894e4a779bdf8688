//! Folders that are no machine, not yet or no longer: how they are called and emptied, and swept away after a kill.
//!
//! Nothing is taken out of a folder that still has the name of a machine or of a draft: it is renamed first, by whoever has
//! its lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::{Attempt, BundleLock};
use super::{LOCK, MachineName};

/// What the name of a draft ends with.
const DRAFT: &str = ".part";
/// What is between the name of a machine that is deleted and what makes its folder's name another than all others.
const DELETED: &str = ".deleted.";

/// The folder of a draft of the machine `name`, which is to be at `place`.
pub(super) fn draft(place: &Path, name: &MachineName) -> PathBuf {
    place.with_file_name(format!(".{name}{DRAFT}"))
}

/// Of which machine a folder with this name is a draft or what was deleted.
pub(super) fn of(file: &str) -> Option<MachineName> {
    let name = file.strip_prefix('.')?;
    name.strip_suffix(DRAFT).or_else(|| Some(name.rsplit_once(DELETED)?.0))?.parse().ok()
}

/// Removes the folder of the machine `name`, or of its draft, which this process has locked.
pub(super) fn remove(folder: &Path, name: &MachineName) -> io::Result<()> {
    let root = folder.parent().unwrap_or(Path::new("/"));
    // A folder takes the place of an empty one.
    let doomed = tempfile::Builder::new().prefix(&format!(".{name}{DELETED}")).tempdir_in(root)?.keep();
    fs::rename(folder, &doomed).inspect_err(|_| drop(fs::remove_dir(&doomed)))?;
    discard(&doomed)
}

/// Removes what is in a folder, but for its lock.
pub(super) fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a draft of `name`, or what was deleted, if nobody has it any more.
pub(super) fn sweep(folder: &Path, name: &MachineName) -> io::Result<()> {
    let is_draft = *folder == draft(folder, name);
    match BundleLock::attempt(folder, false)? {
        Attempt::Ours(_lock) if is_draft => remove(folder, name),
        Attempt::Ours(_lock) => discard(folder),
        Attempt::Taken(_) => Ok(()),
        // Without a lock it is only just being made, or was all but gone: there is nothing in it.
        Attempt::Moved => gone(fs::remove_dir(folder)),
    }
}

/// Removes a folder, its lock last.
fn discard(folder: &Path) -> io::Result<()> {
    empty(folder)?;
    gone(fs::remove_file(folder.join(LOCK)))?;
    gone(fs::remove_dir(folder))
}

/// Takes what somebody else has removed, or has put something into, for a success.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::DirectoryNotEmpty].contains(&error.kind()) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_made_here_are_swept() {
        let name = |file: &str| of(file).map(|name| name.to_string());
        for (file, machine) in [
            (".one.part", "one"),
            (".one.part.part", "one.part"),
            (".a.deleted.b.deleted.Xy7", "a.deleted.b"),
            (".one.deleted.4711", "one"),
        ] {
            assert_eq!(name(file).as_deref(), Some(machine));
        }
        for file in
            ["one", "one.part", "one.deleted.1", ".part", "..part", ".git", ".-x.part", ".DS_Store", ".a b.part"]
        {
            assert_eq!(name(file), None, "{file}");
        }
    }
}
