//! Writes a cpio archive in the format "newc", which the Linux kernel unpacks as its initial RAM disk
//! (Linux `Documentation/driver-api/early-userspace/buffer-format.rst`).

/// An archive in memory. Files appear in the order in which they are added; a folder comes before what is in it.
///
/// The kernel takes several archives one after the other, and a later file replaces an earlier one of its name.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

impl Archive {
    /// An empty archive.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a folder.
    pub(crate) fn folder(&mut self, path: &str) {
        self.add(path, S_IFDIR | 0o755, (0, 0), &[]);
    }

    /// Adds a regular file with the permissions `mode`.
    pub(crate) fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.add(path, S_IFREG | mode, (0, 0), contents);
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.add(path, S_IFLNK | 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device.
    pub(crate) fn device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.add(path, S_IFCHR | mode, (major, minor), &[]);
    }

    /// The whole archive, with its end marker.
    #[must_use]
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn add(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), contents: &[u8]) {
        self.files += 1;
        let (inode, links, size, name) = (self.files, 1, contents.len() as u32, path.len() as u32 + 1);
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|f| format!("{f:08x}").into_bytes()));
        self.bytes.extend(path.bytes().chain([0]));
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_archive_is_one_for_gnu_cpio() {
        if Command::new("cpio").arg("--version").output().is_err() {
            eprintln!("no cpio on this host: not checked");
            return;
        }
        let mut archive = Archive::new();
        archive.folder("etc");
        archive.file("etc/one", 0o644, b"x");
        archive.file("etc/three", 0o755, b"xyz");
        archive.link("link", "etc/one");
        archive.device("console", 0o600, 5, 1);
        let mut cpio = Command::new("cpio")
            .args(["-t", "-v", "--quiet", "--numeric-uid-gid"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(&archive.finish()).unwrap();
        let output = cpio.wait_with_output().unwrap();
        let list = String::from_utf8(output.stdout).unwrap();
        let seen: Vec<Vec<&str>> = list.lines().map(|l| l.split_whitespace().collect()).collect();
        let (modes, names): (Vec<_>, Vec<_>) = seen
            .iter()
            .map(|l| (l[0], l[l.iter().rposition(|w| w.contains(':') || *w == "1970").unwrap() + 1]))
            .unzip();
        assert_eq!(modes, ["drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx", "crw-------"], "{list}");
        assert_eq!(names, ["etc", "etc/one", "etc/three", "link", "console"]);
        assert_eq!((seen[1][4], seen[2][4], &seen[4][4..6]), ("1", "3", &["5,", "1"][..]), "{list}");
    }
}
