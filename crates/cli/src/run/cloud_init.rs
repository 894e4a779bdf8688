//! `--cloud-init`: a disk from which cloud-init in the guest configures it (its data source NoCloud).
//!
//! It is a FAT file system with the label `CIDATA` and the user's files in it, under the names by which cloud-init and vfkit
//! know them. It is in a file of its own for the run, which nobody else can read: it may have passwords in it.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use ::config::Storage;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use tempfile::NamedTempFile;

use crate::failure::{Failure, Status};

/// The files that NoCloud reads. The first two have to be there, if only empty.
const NAMES: [&str; 4] = ["user-data", "meta-data", "network-config", "vendor-data"];
/// The label by which it knows the disk.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// Longest file, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// What the file system takes besides files, in bytes, and what its size is a multiple of.
const MIB: usize = 1 << 20;

/// The disk, which is gone when this is dropped.
pub(super) struct Seed(NamedTempFile);

impl Seed {
    /// Makes it of the user's files, which are known by their names.
    pub(super) fn new(paths: &[PathBuf]) -> Result<Self, Failure> {
        let disk = format(&read(paths)?);
        let written = disk.and_then(|disk| {
            let mut file = tempfile::Builder::new().prefix("russet-").suffix(".img").tempfile()?;
            file.write_all(&disk)?;
            Ok(Self(file))
        });
        written.map_err(|error| Failure::new(Status::Host, format!("--cloud-init: its disk cannot be made: {error}")))
    }

    /// The disk as a device.
    pub(super) fn storage(&self) -> Storage {
        Storage { read_only: true, ..Storage::image(self.0.path()) }
    }
}

/// The files by name.
fn read(paths: &[PathBuf]) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let mut files: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for path in paths {
        let wrong = |what: &str| Failure::new(Status::Usage, format!("--cloud-init: {}: {what}", path.display()));
        let Some(name) = NAMES.into_iter().find(|name| path.file_name() == Some(name.as_ref())) else {
            return Err(wrong(&format!("cloud-init knows its files by their names: call it {}", NAMES.join(" or "))));
        };
        if files.iter().any(|(known, _)| *known == name) {
            return Err(wrong(&format!("there is a {name} already: leave one of them out")));
        }
        files.push((name, contents(path).map_err(|error| wrong(&error.to_string()))?));
    }
    let (needed, rest) = NAMES.split_at(2);
    if !files.iter().any(|(name, _)| needed.contains(name)) {
        let what = format!("--cloud-init: {} alone says nothing: give user-data or meta-data", rest.join(" or "));
        return Err(Failure::new(Status::Usage, what));
    }
    for name in needed {
        if !files.iter().any(|(known, _)| known == name) {
            files.push((name, Vec::new()));
        }
    }
    Ok(files)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut contents)?;
    match contents.len() as u64 > MAX_FILE {
        true => Err(io::Error::other("the file is longer than 16 MiB")),
        false => Ok(contents),
    }
}

/// A file system with these files.
fn format(files: &[(&str, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let bytes: usize = files.iter().map(|(_, contents)| contents.len()).sum();
    // Clusters and tables take much less than an eighth.
    let mut disk = Cursor::new(vec![0; (bytes + bytes / 8 + MIB).next_multiple_of(MIB)]);
    fatfs::format_volume(&mut disk, FormatVolumeOptions::new().volume_label(LABEL))?;
    let volume = FileSystem::new(&mut disk, FsOptions::new())?;
    for (name, contents) in files {
        volume.root_dir().create_file(name)?.write_all(contents)?;
    }
    volume.unmount()?;
    Ok(disk.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_has_the_label_and_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let (user, network) = (folder.path().join("user-data"), folder.path().join("network-config"));
        let long = b"#cloud-config\n".repeat(100_000);
        std::fs::write(&user, &long).unwrap();
        std::fs::write(&network, "version: 2\n").unwrap();
        let seed = Seed::new(&[user, network]).unwrap();
        let path = seed.0.path().to_owned();
        let volume =
            FileSystem::new(File::options().read(true).write(true).open(&path).unwrap(), FsOptions::new()).unwrap();
        assert_eq!(volume.read_volume_label_from_root_dir().unwrap().as_deref(), Some("CIDATA"));
        let read = |name: &str| {
            let mut contents = Vec::new();
            volume.root_dir().open_file(name).unwrap().read_to_end(&mut contents).unwrap();
            contents
        };
        assert!(read("user-data") == long);
        assert_eq!((read("network-config"), read("meta-data")), (b"version: 2\n".to_vec(), Vec::new()));
        assert!(volume.root_dir().open_file("vendor-data").is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(seed.storage().read_only);
        drop(seed);
        assert!(!path.exists());
    }

    #[test]
    fn files_that_cloud_init_does_not_know_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["user-data", "network-config", "user-data.yaml"] {
            std::fs::write(at(name), "a").unwrap();
        }
        let says = |paths: &[PathBuf]| Seed::new(paths).map(drop).unwrap_err().to_string();
        assert!(says(&[at("user-data.yaml")]).contains("call it user-data or meta-data or"));
        assert!(says(&[at("user-data"), at("user-data")]).contains("leave one of them out"));
        assert!(says(&[at("network-config")]).contains("give user-data or meta-data"));
        assert!(says(&[at("meta-data")]).contains("No such file"));
    }
}
