//! Which section of the configuration a kind of device belongs to.

/// A section: a table, or a list of tables, of the devices of some kinds.
pub(crate) struct Section {
    /// The field of [`Machine`](crate::Machine).
    pub(crate) name: &'static str,
    /// A list of tables; otherwise one table at most.
    pub(crate) many: bool,
    /// The kinds; where there is only one, the tables do not name it.
    pub(crate) kinds: &'static [&'static str],
}

/// The sections with devices, in the order of [`Machine`](crate::Machine).
pub(crate) const SECTIONS: &[Section] = &[
    Section { name: "entropy", many: false, kinds: &["virtio-rng"] },
    Section { name: "balloon", many: false, kinds: &["virtio-balloon"] },
    Section { name: "storage", many: true, kinds: &["virtio-blk", "nvme", "usb-mass-storage", "nbd"] },
    Section { name: "network", many: true, kinds: &["virtio-net"] },
    Section { name: "serial", many: true, kinds: &["virtio-serial", "pl011"] },
    Section { name: "vsock", many: true, kinds: &["virtio-vsock"] },
    Section { name: "share", many: true, kinds: &["virtio-fs", "rosetta"] },
    Section { name: "graphics", many: true, kinds: &["virtio-gpu", "mac-display"] },
    Section {
        name: "input",
        many: true,
        kinds: &["usb-keyboard", "mac-keyboard", "usb-pointing", "mac-trackpad", "virtio-input"],
    },
    Section { name: "sound", many: true, kinds: &["virtio-sound"] },
];

/// The section of a kind of device.
pub(crate) fn of_kind(kind: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.kinds.contains(&kind))
}

/// The section of a name.
pub(crate) fn of_name(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// Every kind of device.
pub(crate) fn kinds() -> Vec<&'static str> {
    SECTIONS.iter().flat_map(|section| section.kinds).copied().collect()
}
