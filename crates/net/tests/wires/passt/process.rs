//! Debian's passt, for as long as a test has it.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A passt that listens at a socket.
pub(crate) struct Passt {
    child: Child,
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Passt {
    /// Starts it with these arguments, and waits until it listens.
    pub(crate) fn start(arguments: &[&str], patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It gives its rights up before it listens.
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("passt.sock");
        let mut command = Command::new("passt");
        command.arg("-f").args(arguments).arg("-s").arg(&path).stderr(Stdio::null());
        let passt = Self { child: command.spawn().expect("these tests need passt"), _folder: folder, path };
        let end = Instant::now() + patience;
        while !passt.path.exists() {
            assert!(Instant::now() < end, "passt does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        passt
    }

    /// Its socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Passt {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
