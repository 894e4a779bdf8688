//! Kernel modules: which the guest needs, what they need, and the index files by which `modprobe` finds them.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail};

/// The modules that go into the initial RAM disk, with all that they depend on. Those that a kernel has built in or
/// does not know are passed over.
const WANTED: [&str; 17] = [
    "virtio_pci",
    "virtio_mmio",
    "virtio_console",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "virtio_balloon",
    "virtio_input",
    "virtio_gpu",
    "virtiofs",
    "vmw_vsock_virtio_transport",
    "overlay",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
];

/// A module: its path in the package and its contents, uncompressed.
pub(super) struct Module {
    pub(super) path: String,
    pub(super) contents: Vec<u8>,
    depends: Vec<String>,
    aliases: Vec<String>,
}

/// Chooses among all the modules of a kernel package (path to contents).
pub(super) fn choose(files: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, Module>> {
    let by_name: BTreeMap<String, &String> = files.keys().filter_map(|p| Some((name_of(p)?, p))).collect();
    let mut chosen = BTreeMap::new();
    let mut open: Vec<String> = WANTED.iter().map(|w| (*w).to_owned()).collect();
    while let Some(name) = open.pop() {
        let Some(path) = by_name.get(&name).filter(|_| !chosen.contains_key(&name)) else { continue };
        let module = Module::read(path, &files[*path]).with_context(|| (*path).clone())?;
        open.extend(module.depends.iter().cloned());
        chosen.insert(name, module);
    }
    Ok(chosen)
}

/// `modules.dep`: each module's path and the paths of all that it needs; what is needed first comes last.
pub(super) fn dependency_index(modules: &BTreeMap<String, Module>, root: &str) -> String {
    let inside = |m: &Module| m.path.strip_prefix(root).unwrap_or(&m.path).to_owned();
    let mut index = String::new();
    for (name, module) in modules {
        let mut order = Vec::new();
        visit(name, modules, &mut order);
        index += &format!("{}:", inside(module));
        for needed in order.iter().rev().filter(|n| *n != name) {
            index += &format!(" {}", inside(&modules[needed]));
        }
        index.push('\n');
    }
    index
}

/// `modules.alias`: which module serves which device.
pub(super) fn alias_index(modules: &BTreeMap<String, Module>) -> String {
    let lines = modules.iter().flat_map(|(name, m)| m.aliases.iter().map(move |a| format!("alias {a} {name}\n")));
    lines.collect()
}

/// Depth first, so that `order` has what is needed before what needs it. A cycle ends where it is met again.
fn visit(name: &str, modules: &BTreeMap<String, Module>, order: &mut Vec<String>) {
    fn walk(name: &str, modules: &BTreeMap<String, Module>, seen: &mut Vec<String>, order: &mut Vec<String>) {
        let Some(module) = modules.get(name).filter(|_| !seen.iter().any(|s| s == name)) else { return };
        seen.push(name.to_owned());
        for needed in &module.depends {
            walk(needed, modules, seen, order);
        }
        order.push(name.to_owned());
    }
    walk(name, modules, &mut Vec::new(), order);
}

impl Module {
    fn read(path: &str, packed: &[u8]) -> Result<Self> {
        let (path, contents) = match path.rsplit_once('.') {
            Some((plain, "xz")) => {
                let mut contents = Vec::new();
                lzma_rust2::XzReader::new(packed, false).read_to_end(&mut contents)?;
                (plain, contents)
            }
            Some((_, "ko")) => (path, packed.to_vec()),
            _ => bail!("the module is compressed in a way that is not known here (xz is)"),
        };
        let depends = info(&contents, "depends").flat_map(|d| d.split(',').map(normal).collect::<Vec<_>>());
        let depends = depends.filter(|d| !d.is_empty()).collect();
        let aliases = info(&contents, "alias").collect();
        Ok(Self { path: path.to_owned(), contents, depends, aliases })
    }
}

/// The values of a key in the module's `.modinfo`: strings `key=value`, each ended by a zero byte. A string that is
/// found elsewhere in the file would do no harm, so that the ELF sections need not be read.
fn info(module: &[u8], key: &str) -> impl Iterator<Item = String> {
    let strings = module.split(|b| *b == 0).filter_map(|s| std::str::from_utf8(s).ok());
    strings.filter_map(move |s| s.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
}

/// The name of the module in a file such as `.../virtio-rng.ko.xz`.
fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    file.split_once(".ko").map(|(name, _)| normal(name))
}

/// A module's name as the kernel writes it.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(modules: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        let contents = |depends: &str| format!("\x7fELF\0license=GPL\0depends={depends}\0alias=virtio:d1*\0").into();
        modules.iter().map(|(path, depends)| (format!("lib/modules/1/kernel/{path}"), contents(depends))).collect()
    }

    #[test]
    fn modules_come_with_what_they_need_in_the_order_of_modules_dep() {
        let files = package(&[
            ("a/virtio-rng.ko", "virtio,virtio_ring"),
            ("a/virtio.ko", ""),
            ("a/virtio_ring.ko", "virtio"),
            ("a/unwanted.ko", ""),
        ]);
        let modules = choose(&files).unwrap();
        assert_eq!(modules.keys().collect::<Vec<_>>(), ["virtio", "virtio_ring", "virtio_rng"]);
        let index = dependency_index(&modules, "lib/modules/1/");
        let line = index.lines().find(|l| l.contains("virtio-rng.ko:")).unwrap();
        assert_eq!(line, "kernel/a/virtio-rng.ko: kernel/a/virtio_ring.ko kernel/a/virtio.ko");
        assert!(alias_index(&modules).contains("alias virtio:d1* virtio_rng\n"));
    }

    #[test]
    fn a_cycle_and_an_unknown_compression_end() {
        let cyclic = choose(&package(&[("virtio_blk.ko", "virtio_net"), ("virtio_net.ko", "virtio_blk")])).unwrap();
        assert_eq!(dependency_index(&cyclic, "").lines().count(), 2);
        assert!(choose(&package(&[("virtio_blk.ko.zst", "")])).is_err());
    }
}
