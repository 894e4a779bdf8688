//! A machine as vfkit describes its own: what `GET /vm/inspect` answers.
//!
//! The names are those of vfkit's `pkg/config/json.go` and the tags in `config.go`, `virtio.go` and `bootloader.go` there,
//! by which its Go package reads them back. That fails on a device of a kind that it does not know, so `devices` has only
//! those that vfkit has, too; all that there is stands under `machine`, as `russet config show --json` has it.

use std::path::Path;

use ::config::{
    BootLoader, DiskAttachment, Graphics, Input, Machine, Network, NetworkAttachment, Platform, Serial,
    SerialAttachment, SerialDevice, Share, ShareSource, Storage, StorageDevice, Sync, Vsock, VsockDirection,
};
use serde_json::{Value, json};

/// The description of `machine`. `ptys` has the paths of its consoles, in their order; `has_window` says that its displays
/// are shown in one.
pub(super) fn describe<'a>(
    machine: &Machine,
    ptys: impl IntoIterator<Item = Option<&'a Path>>,
    has_window: bool,
) -> Value {
    let mut devices: Vec<Value> = machine.storage.iter().map(disk).collect();
    devices.extend(machine.network.iter().map(card));
    devices.extend(machine.serial.iter().zip(ptys).filter_map(|(serial, pty)| console(serial, pty)));
    devices.extend(machine.entropy.iter().map(|_| json!({ "kind": "virtiorng" })));
    devices.extend(machine.balloon.iter().map(|_| json!({ "kind": "virtioballoon" })));
    devices.extend(machine.vsock.iter().map(port));
    devices.extend(machine.share.iter().filter_map(share));
    devices.extend(machine.graphics.iter().map(|graphics| display(graphics, has_window)));
    devices.extend(machine.input.iter().map(|input| input_device(*input)));
    let mut all = json!({
        "vcpus": machine.cpus,
        "memoryBytes": machine.memory << 20,
        "bootloader": boot(machine),
        "devices": devices,
        "machine": machine,
    });
    if machine.nested {
        all["nested"] = true.into();
    }
    all
}

fn boot(machine: &Machine) -> Value {
    match (&machine.bootloader, &machine.platform) {
        (BootLoader::Linux(linux), _) => json!({
            "kind": "linuxBootloader",
            "vmlinuzPath": linux.kernel,
            "kernelCmdLine": linux.cmdline,
            "initrdPath": linux.initrd.as_deref().unwrap_or(Path::new("")),
        }),
        (BootLoader::Efi(efi), _) => json!({
            "kind": "efiBootloader",
            "efiVariableStorePath": efi.variable_store,
            "createVariableStore": efi.create,
        }),
        // vfkit writes this one without its kind.
        (BootLoader::Macos(_), Platform::Mac(mac)) => json!({
            "machineIdentifierPath": mac.machine_identifier,
            "hardwareModelPath": mac.hardware_model,
            "auxImagePath": mac.auxiliary_storage,
        }),
        (BootLoader::Macos(_), Platform::Generic(_)) => json!({}),
    }
}

fn disk(storage: &Storage) -> Value {
    let (kind, name) = match storage.device {
        StorageDevice::VirtioBlk => ("virtioblk", "virtio-blk"),
        StorageDevice::Nvme => ("nvme", "nvme"),
        StorageDevice::UsbMassStorage => ("usbmassstorage", "usb-mass-storage"),
    };
    let mut disk = match &storage.attachment {
        DiskAttachment::Image { path, .. } => json!({ "kind": kind, "devName": name, "imagePath": path }),
        DiskAttachment::BlockDevice { path } => {
            json!({ "kind": kind, "devName": name, "imagePath": path, "type": "dev" })
        }
        // These keys have no tags in vfkit.
        DiskAttachment::Nbd { uri, timeout } => json!({
            "kind": "nbd",
            "devName": "nbd",
            "uri": uri,
            "DeviceIdentifier": storage.device_id.as_deref().unwrap_or(""),
            "Timeout": timeout.unwrap_or(0).saturating_mul(NANOSECONDS),
            "SynchronizationMode": if storage.sync == Sync::None { "none" } else { "full" },
        }),
    };
    if storage.read_only {
        disk["readOnly"] = true.into();
    }
    if let (Some(id), "virtioblk") = (&storage.device_id, disk["kind"].as_str().unwrap_or_default()) {
        disk["deviceIdentifier"] = id.as_str().into();
    }
    disk
}

/// In a millisecond: Go's durations are in nanoseconds.
const NANOSECONDS: u64 = 1_000_000;

fn card(network: &Network) -> Value {
    let mut card = json!({ "kind": "virtionet", "nat": matches!(network.attachment, NetworkAttachment::Nat(_)) });
    if let NetworkAttachment::UnixSocket { path, vfkit_magic, .. } = &network.attachment {
        card["unixSocketPath"] = json!(path);
        // Absent means that it is sent.
        card["vfkitMagic"] = json!(vfkit_magic);
    }
    if let Some(mac) = network.mac {
        card["macAddress"] = mac.to_string().into();
    }
    card
}

fn console(serial: &Serial, pty: Option<&Path>) -> Option<Value> {
    if serial.device != SerialDevice::VirtioSerial {
        return None;
    }
    Some(match &serial.attachment {
        SerialAttachment::Stdio => json!({ "kind": "virtioserial", "usesStdio": true }),
        SerialAttachment::Pty => json!({ "kind": "virtioserial", "usesPty": true, "ptyName": pty }),
        SerialAttachment::File { path, .. } => json!({ "kind": "virtioserial", "logFile": path }),
        SerialAttachment::Socket { .. } => return None,
    })
}

fn port(vsock: &Vsock) -> Value {
    let listen = vsock.direction == VsockDirection::Listen;
    json!({ "kind": "virtiosock", "port": vsock.port, "socketURL": vsock.socket, "listen": listen })
}

fn share(share: &Share) -> Option<Value> {
    Some(match &share.source {
        ShareSource::Single(folder) => {
            json!({ "kind": "virtiofs", "mountTag": share.tag, "sharedDir": folder.path })
        }
        ShareSource::Rosetta { install, ignore_if_missing, .. } => json!({
            "kind": "rosetta",
            "mountTag": share.tag,
            "installRosetta": install,
            "ignoreIfMissing": ignore_if_missing,
        }),
        ShareSource::Multiple(_) => return None,
    })
}

fn display(graphics: &Graphics, has_window: bool) -> Value {
    json!({ "kind": "virtiogpu", "usesGUI": has_window, "width": graphics.width, "height": graphics.height })
}

fn input_device(input: Input) -> Value {
    let kind = match input {
        Input::UsbKeyboard | Input::MacKeyboard | Input::VirtioKeyboard => "keyboard",
        Input::UsbPointing | Input::MacTrackpad | Input::VirtioPointing => "pointing",
    };
    json!({ "kind": "virtioinput", "inputType": kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those by which vfkit's own tests hold its form (`pkg/config/json_test.go`).
    #[test]
    fn a_machine_has_the_keys_of_vfkit() {
        let text = r#"
            cpus = 3
            memory = 4000
            nested = true
            bootloader = { kind = "linux", kernel = "/vmlinuz", initrd = "/initrd", cmdline = "console=hvc0" }
            entropy = {}
            balloon = {}
            storage = [
                { kind = "virtio-blk", path = "/a", device-id = "one", readonly = true },
                { kind = "nvme", path = "/b" },
                { kind = "usb-mass-storage", path = "/dev/c", type = "dev" },
                { kind = "nbd", uri = "nbd://h/e", timeout = 2, sync = "none" },
            ]
            network = [
                { nat = true, mac = "00:11:22:33:44:55" },
                { unix-socket-path = "/net.sock" },
            ]
            serial = [
                { log-file-path = "/log" }, { stdio = true }, { pty = true },
                { kind = "pl011", log-file-path = "/uart" },
            ]
            vsock = [{ port = 1234, socket-url = "/v.sock", listen = true }]
            share = [{ kind = "virtio-fs", mount-tag = "tag", shared-dir = "/s" }]
            graphics = [{ kind = "virtio-gpu" }]
            input = [{ kind = "virtio-input", keyboard = true }, { kind = "usb-pointing" }]
            sound = [{ kind = "virtio-sound", output = true }]
        "#;
        let machine = Machine::from_toml(text).unwrap();
        let told = describe(&machine, [None, None, Some(Path::new("/dev/pts/3")), None], false);
        assert_eq!(
            (&told["vcpus"], &told["memoryBytes"], &told["nested"]),
            (&3.into(), &4_194_304_000_u64.into(), &true.into())
        );
        let boot = r#"{"kind":"linuxBootloader","vmlinuzPath":"/vmlinuz","initrdPath":"/initrd","kernelCmdLine":"console=hvc0"}"#;
        assert_eq!(told["bootloader"], serde_json::from_str::<Value>(boot).unwrap());
        let devices = r#"[
            {"kind":"virtioblk","devName":"virtio-blk","imagePath":"/a","readOnly":true,"deviceIdentifier":"one"},
            {"kind":"nvme","devName":"nvme","imagePath":"/b"},
            {"kind":"usbmassstorage","devName":"usb-mass-storage","imagePath":"/dev/c","type":"dev"},
            {"kind":"nbd","devName":"nbd","uri":"nbd://h/e","DeviceIdentifier":"","Timeout":2000000,"SynchronizationMode":"none"},
            {"kind":"virtionet","nat":true,"macAddress":"00:11:22:33:44:55"},
            {"kind":"virtionet","nat":false,"unixSocketPath":"/net.sock","vfkitMagic":true},
            {"kind":"virtioserial","logFile":"/log"},
            {"kind":"virtioserial","usesStdio":true},
            {"kind":"virtioserial","usesPty":true,"ptyName":"/dev/pts/3"},
            {"kind":"virtiorng"},
            {"kind":"virtioballoon"},
            {"kind":"virtiosock","port":1234,"socketURL":"/v.sock","listen":true},
            {"kind":"virtiofs","mountTag":"tag","sharedDir":"/s"},
            {"kind":"virtiogpu","usesGUI":false,"width":800,"height":600},
            {"kind":"virtioinput","inputType":"keyboard"},
            {"kind":"virtioinput","inputType":"pointing"}
        ]"#;
        assert_eq!(told["devices"], serde_json::from_str::<Value>(devices).unwrap());
        let firmware = "bootloader = { kind = \"efi\", variable-store = \"/v\" }";
        let told = describe(&Machine::from_toml(firmware).unwrap(), [], false);
        let boot = json!({ "kind": "efiBootloader", "efiVariableStorePath": "/v", "createVariableStore": false });
        assert_eq!((&told["bootloader"], &told["devices"]), (&boot, &json!([])));
    }
}
