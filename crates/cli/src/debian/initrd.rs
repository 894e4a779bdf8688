//! Makes the guest of its packages: the kernel's `Image`, and an initial RAM disk with busybox, the modules for our
//! devices and an `/init` that ends in a shell.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::cache::{Packages, fnv1a};
use super::cpio::Archive;
use super::progress::Progress;
use super::{deb, modules};

const INIT: &str = include_str!("init.sh");
const DHCP: &str = include_str!("dhcp.sh");

/// Changes when a guest made by another version of this program has to be made anew.
pub(super) const FORMAT: u64 = fnv1a(&[b"2", INIT.as_bytes(), DHCP.as_bytes()]);

/// Fills `folder` with `Image` and `initrd`.
pub(super) fn build(packages: &Packages, folder: &Path, progress: &dyn Progress) -> Result<()> {
    progress.at("Making the initial RAM disk", None);
    let is_kernel = |p: &str| p.starts_with("boot/vmlinuz-");
    // Debian 12 has /lib/modules, later releases /usr/lib/modules.
    let is_module = |p: &str| p.contains("lib/modules/") && p.contains(".ko");
    let mut files = deb::files(&packages.kernel, |p| is_kernel(p) || is_module(p))?;
    let kernel = files.keys().find(|p| is_kernel(p)).cloned().context("the package holds no kernel")?;
    let image = files.remove(&kernel).unwrap_or_default();
    let release = &kernel["boot/vmlinuz-".len()..];
    let is_busybox = |p: &str| p.trim_start_matches("usr/") == "bin/busybox";
    let busybox = deb::files(&packages.busybox, is_busybox)?.into_values().next();
    let initrd = initrd(&busybox.context("the package holds no busybox")?, release, &files)?;
    fs::write(folder.join("Image"), image)?;
    fs::write(folder.join("initrd"), initrd)?;
    Ok(())
}

fn initrd(busybox: &[u8], release: &str, files: &std::collections::BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for folder in ["bin", "dev", "etc", "etc/udhcpc", "lib", "lib/modules", "mnt", "proc", "root", "run", "sys", "tmp"]
    {
        archive.folder(folder);
    }
    for (link, target) in [("sbin", "bin"), ("usr", "."), ("bin/sh", "busybox"), ("etc/mtab", "/proc/mounts")] {
        archive.link(link, target);
    }
    // The kernel opens the console for /init before devtmpfs is there.
    archive.device("dev/console", 0o600, 5, 1);
    archive.device("dev/null", 0o666, 1, 3);
    archive.file("bin/busybox", 0o755, busybox);
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("etc/udhcpc/default.script", 0o755, DHCP.as_bytes());
    archive.file("etc/passwd", 0o644, b"root::0:0:root:/root:/bin/sh\n");
    archive.file("etc/group", 0o644, b"root:x:0:\n");
    archive.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n");
    archive.file(
        "etc/profile",
        0o644,
        b"export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\nexport PS1='\\h:\\w\\$ '\n",
    );

    let modules = modules::choose(files)?;
    let root = format!("lib/modules/{release}");
    let mut made = vec!["lib".to_owned(), "lib/modules".to_owned()];
    for module in modules.values() {
        let path = module.path.trim_start_matches("usr/");
        for (end, _) in path.match_indices('/') {
            if !made.iter().any(|m| m == &path[..end]) {
                archive.folder(&path[..end]);
                made.push(path[..end].to_owned());
            }
        }
        archive.file(path, 0o644, &module.contents);
    }
    if !modules.is_empty() {
        let prefix = modules.values().find_map(|m| m.path.find(&root)).map_or(0, |at| at + root.len() + 1);
        let before = modules.values().next().map_or("", |m| &m.path[..prefix]);
        archive.file(&format!("{root}/modules.dep"), 0o644, modules::dependency_index(&modules, before).as_bytes());
        archive.file(&format!("{root}/modules.alias"), 0o644, modules::alias_index(&modules).as_bytes());
    }
    Ok(archive.finish())
}
