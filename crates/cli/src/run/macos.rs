//! What a macOS guest is made of where the arguments do not say.

use ::config::{Builder, MacPlatform};
use vz::{Api, Host};

use super::describe::utf8;
use crate::failure::Failure;

/// What a message calls it.
const ORIGIN: &str = "--macos";
/// CPUs and memory in MiB that a guest gets, where the Mac has that much.
const CPUS: u32 = 4;
const MEMORY: u64 = 8192;
/// With less memory, no macOS installs.
const LEAST_MEMORY: u64 = 4096;

/// The boot loader, and the platform with its files.
pub(super) fn put_boot(builder: &mut Builder, files: &MacPlatform) -> Result<(), Failure> {
    let MacPlatform { machine_identifier, hardware_model, auxiliary_storage } = files;
    let (identifier, model, storage) = (utf8(machine_identifier)?, utf8(hardware_model)?, utf8(auxiliary_storage)?);
    let keys = [("machine-identifier", identifier), ("hardware-model", model), ("auxiliary-storage", storage)];
    builder.bootloader_with("macos", &keys, ORIGIN);
    Ok(())
}

/// The devices that a Mac has, where none of their kind was named, as far as the host's macOS gives them to guests. A
/// guest takes the Mac's keyboard and trackpad where it knows them (macOS 13), and the USB ones where it does not.
pub(super) fn put_defaults(builder: &mut Builder, host: &Host) {
    let has = |api: Api| host.macos >= api.since();
    let mut display = vec![("width", "1920"), ("height", "1200"), ("pixels-per-inch", "80")];
    display.extend(has(Api::Reconfigures).then_some(("resizable", "true")));
    let devices = [
        ("entropy", "virtio-rng", vec![], Api::Entropy),
        ("balloon", "virtio-balloon", vec![("free-page-reporting", "false")], Api::Balloon),
        ("network", "virtio-net", vec![("nat", "true")], Api::NatAttachment),
        ("sound", "virtio-sound", vec![("output", "true")], Api::Sound),
        ("graphics", "mac-display", display, Api::MacGraphics),
        ("input", "mac-keyboard", vec![], Api::MacKeyboard),
        ("input", "usb-keyboard", vec![], Api::UsbKeyboard),
        ("input", "mac-trackpad", vec![], Api::MacTrackpad),
        ("input", "usb-pointing", vec![], Api::UsbPointing),
    ];
    let named = devices.each_ref().map(|(section, ..)| builder.has(section));
    for ((_, kind, keys, api), named) in devices.iter().zip(named) {
        if !named && has(*api) {
            builder.device_with(kind, keys, ORIGIN);
        }
    }
    let most = *host.memory.end();
    let memory = (most / 2).clamp(LEAST_MEMORY, MEMORY);
    let sizes = [("cpus", CPUS.min(*host.cpus.end()).to_string()), ("memory", memory.to_string())];
    let engine = ("engine", "vz".to_owned());
    for (key, value) in sizes.into_iter().chain([engine]) {
        if !builder.has(key) {
            builder.set(key, &value, ORIGIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ::config::Machine;
    use vz::{Entitlements, Rosetta, Version};

    use super::*;

    fn mac(major: u16) -> Host {
        Host {
            macos: Version::new(major, 0),
            apple_silicon: true,
            supported: true,
            cpus: 1..=8,
            memory: 128..=16384,
            entitlements: Entitlements { virtualization: true, networking: false },
            rosetta: Rosetta::NotSupported,
            nested: false,
            bridged: Vec::new(),
            macos_guests: Vec::new(),
        }
    }

    fn machine(host: &Host, change: impl FnOnce(&mut Builder)) -> Machine {
        let mut builder = Builder::new();
        put_boot(&mut builder, &vm::mac_files(Path::new("/machines/one"))).unwrap();
        change(&mut builder);
        put_defaults(&mut builder, host);
        let parsed = builder.finish();
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        parsed.machine.unwrap()
    }

    #[test]
    fn every_mac_gets_what_its_macos_gives() {
        for major in [12, 13, 14, 15, 26, 27] {
            let host = mac(major);
            let machine = machine(&host, |_| ());
            let plan = vz::plan(&machine, &host).unwrap_or_else(|problems| panic!("{major}: {problems:?}"));
            assert_eq!(plan.warnings, [], "{major}");
            assert_eq!((machine.cpus, machine.memory), (4, 8192));
            let input: usize = if major < 13 {
                2
            } else if major < 14 {
                3
            } else {
                4
            };
            assert_eq!(machine.input.len(), input, "{major}");
            assert_eq!(machine.graphics[0].resizable, major >= 14);
            assert_eq!(plan.helpers, []);
        }
    }

    #[test]
    fn a_small_mac_gives_half_and_what_is_named_replaces() {
        let small = Host { cpus: 1..=2, memory: 128..=8192, ..mac(15) };
        let plain = machine(&small, |_| ());
        assert_eq!((plain.cpus, plain.memory), (2, 4096));
        let named = machine(&small, |builder| {
            builder.set("cpus", "1", "-p 1").device("virtio-net,bridged=en0").device("usb-keyboard");
        });
        assert_eq!((named.cpus, named.network.len(), named.input.len()), (1, 1, 1));
    }
}
