//! `--pidfile`: a file with the number of the process that runs the machine, as long as it does.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Status};

/// The file, which is gone when this is dropped.
pub(super) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes it, in place of one that another process may have left.
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(Status::Host, format!("--pidfile {}: {error}", path.display()));
        // Who reads it finds a number or nothing.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(folder).map_err(failed)?;
        // Without a line's end, as vfkit has it.
        write!(file, "{}", std::process::id()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Another process may have written its own meanwhile.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == std::process::id().to_string()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_as_long_as_it_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "1 and more, of a process that was killed").unwrap();
        let file = PidFile::new(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
        let file = PidFile::new(&path).unwrap();
        fs::write(&path, "1").unwrap();
        drop(file);
        assert!(path.exists());
        let error = PidFile::new(&folder.path().join("none/pid")).map(drop).unwrap_err();
        assert!(error.to_string().contains("--pidfile "), "{error}");
    }
}
