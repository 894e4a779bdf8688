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
    use super::*;

    /// Name, mode, contents and device of an entry.
    type Entry = (String, u32, Vec<u8>, (u32, u32));

    /// Reads an archive as the kernel does, up to the end marker.
    fn read(mut archive: &[u8]) -> Vec<Entry> {
        let (mut entries, mut inodes) = (Vec::new(), std::collections::BTreeSet::new());
        loop {
            let (magic, rest) = archive.split_at(6);
            assert_eq!(magic, b"070701");
            let field =
                |n: usize| u32::from_str_radix(std::str::from_utf8(&rest[8 * n..8 * n + 8]).unwrap(), 16).unwrap();
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = 6 + 13 * 8;
            let contents = (name + name_size).next_multiple_of(4);
            let path = archive[name..name + name_size].strip_suffix(&[0]).unwrap();
            let path = String::from_utf8(path.to_vec()).unwrap();
            if path == "TRAILER!!!" {
                assert_eq!(archive.len(), contents + size);
                return entries;
            }
            assert!(inodes.insert(field(0)), "two files with one inode number would be links");
            entries.push((path, field(1), archive[contents..contents + size].to_vec(), (field(9), field(10))));
            archive = &archive[(contents + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn what_was_added_is_in_the_archive() {
        let mut archive = Archive::new();
        archive.folder("etc");
        archive.file("etc/one", 0o644, b"x");
        archive.file("etc/three", 0o755, b"xyz");
        archive.link("link", "etc/one");
        archive.device("console", 0o600, 5, 1);
        let entry = |path: &str, mode, contents: &[u8], device| (path.to_owned(), mode, contents.to_vec(), device);
        let expected = [
            entry("etc", 0o040_755, b"", (0, 0)),
            entry("etc/one", 0o100_644, b"x", (0, 0)),
            entry("etc/three", 0o100_755, b"xyz", (0, 0)),
            entry("link", 0o120_777, b"etc/one", (0, 0)),
            entry("console", 0o020_600, b"", (5, 1)),
        ];
        assert_eq!(read(&archive.finish()), expected);
    }
}
