//! Starts with options: for which machines and Macs there are any.

use config::Machine;
use vz::{Entitlements, Host, Rosetta, StartOptions, Version};

const MACOS: &str = "bootloader = { kind = \"macos\" }\nplatform = { kind = \"mac\", machine-identifier = \"i\", \
                     hardware-model = \"h\", auxiliary-storage = \"a\" }";
const LINUX: &str = "bootloader = { kind = \"linux\", kernel = \"Image\" }";

fn said(text: &str, macos: Version, recovery: bool) -> Option<String> {
    let machine = Machine::from_toml(text).expect("a machine");
    let host = Host {
        macos,
        apple_silicon: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: Entitlements { virtualization: true, networking: false },
        rosetta: Rosetta::NotSupported,
        nested: false,
        bridged: Vec::new(),
        macos_guests: Vec::new(),
    };
    StartOptions { recovery }.check(&machine, &host).err().map(|problem| problem.to_string())
}

#[test]
fn recovery_is_for_macos_guests_on_a_mac_that_has_the_option() {
    let (ventura, monterey) = (Version::new(13, 0), Version::new(12, 6));
    assert_eq!(said(MACOS, ventura, true), None);
    assert_eq!(said(MACOS, monterey, false), None);
    assert_eq!(said(LINUX, monterey, false), None);
    let old = said(MACOS, monterey, true).expect("a problem");
    assert!(old.contains("came with macOS 13, and this Mac has macOS 12.6"), "{old}");
    let linux = said(LINUX, ventura, true).expect("a problem");
    assert!(linux.contains("only macOS guests"), "{linux}");
}
