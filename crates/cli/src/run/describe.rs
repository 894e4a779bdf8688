//! From arguments to a machine.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use vm::Bundle;

use ::config::{Builder, Engine, MacPlatform, NetworkAttachment, Parsed};

use super::attachments::Attachment;
use super::{MachineArgs, macos};
use crate::debian::Guest;
use crate::disk::size;
use crate::failure::{Failure, Status};
use crate::host;
use crate::machine;

/// Longest configuration file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The command line of `russet run debian`. The self-tests of the kernel's ciphers take a software CPU longer than the
/// rest of the boot, and random addresses are of no use to a guest that is thrown away.
const DEBIAN_CMDLINE: &str = "console=hvc0 cryptomgr.notests nokaslr";

/// A machine as far as the arguments say it.
pub(crate) struct Description {
    /// The machine, and what is wrong with its text.
    pub(crate) parsed: Parsed,
    /// The console is a pty of which a client is waited for.
    pub(crate) wait_for_client: bool,
    /// The terminal keeps Ctrl-C for us.
    pub(crate) keep_ctrl_c: bool,
}

/// What a machine that is made boots, where nothing else says it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Own<'a> {
    /// Firmware, with this file for its variables.
    Firmware(&'a Path),
    /// macOS, with these files, on this Mac.
    Macos(&'a MacPlatform, &'a vz::Host),
}

impl Description {
    /// The engine that was chosen.
    pub(crate) fn engine(&self) -> Engine {
        self.parsed.machine.as_ref().and_then(|machine| machine.engine).unwrap_or_else(vm::default_engine)
    }
}

impl MachineArgs {
    /// Whether the target is Debian's kernel, and no machine of the user's.
    pub(crate) fn is_debian(&self) -> bool {
        self.names_debian() && self.bundle().is_none()
    }

    /// Whether the target is called `debian`.
    pub(crate) fn names_debian(&self) -> bool {
        self.target.as_deref() == Some(Path::new("debian"))
    }

    /// The machine that the target names, if there is one.
    pub(crate) fn bundle(&self) -> Option<Bundle> {
        machine::find(self.target.as_deref()?)
    }

    /// The machine that these arguments describe, when no guest has to be fetched for it.
    pub(crate) fn describe(&self) -> Result<Description, Failure> {
        match self.is_debian() {
            true => Err(Failure::new(
                Status::Usage,
                "the files of `debian` are not known before they are fetched: give a file or -k",
            )),
            false => self.describe_with(None),
        }
    }

    /// The machine that these arguments describe, with the guest that was fetched for it.
    pub(crate) fn describe_with(&self, guest: Option<&Guest>) -> Result<Description, Failure> {
        self.check_boot()?;
        let file = match self.bundle() {
            Some(bundle) => Some(bundle.configuration()),
            None => self.target.clone().filter(|_| guest.is_none()),
        };
        self.describe_from(file.as_deref(), guest, None)
    }

    /// The machine that these arguments make of a file or a guest, and of `own` what nothing else says.
    pub(crate) fn describe_from(
        &self,
        file: Option<&Path>,
        guest: Option<&Guest>,
        own: Option<Own<'_>>,
    ) -> Result<Description, Failure> {
        let mut builder = Builder::new();
        if let Some(file) = file {
            builder.toml(&read(file)?);
        }
        self.put_boot(&mut builder, guest)?;
        match own {
            Some(Own::Firmware(variables)) if !builder.has("bootloader") => {
                put_firmware(&mut builder, utf8(variables)?);
            }
            Some(Own::Macos(files, _)) => macos::put_boot(&mut builder, files)?,
            Some(Own::Firmware(_)) | None => {}
        }
        if self.rosetta {
            builder.device_with("rosetta", &[("mount-tag", "rosetta")], "--rosetta");
        }
        for attachment in &self.attachments.0 {
            match attachment {
                Attachment::Disk(text) => put_disk(&mut builder, "-d", text, &[]),
                Attachment::Cdrom(text) => put_disk(&mut builder, "-c", text, &[("readonly", "true")]),
                Attachment::Device(text) => builder.device(text),
            };
        }
        if let Some(interface) = &self.bridged {
            builder.device_with("virtio-net", &[("bridged", interface)], &format!("-b {interface}"));
        }
        if let Some(tty) = self.tty {
            let attachment = if tty == 0 { "stdio" } else { "pty" };
            builder.device_with("virtio-serial", &[(attachment, "true")], &format!("-t {tty}"));
        }
        if self.gui {
            put_screen(&mut builder);
        }
        let complete = self.kernel.is_some() || guest.is_some();
        let wait_for_client = self.tty == Some(1) || (self.kernel.is_some() && !builder.has("serial"));
        if complete {
            self.put_defaults(&mut builder, guest.is_some());
        }
        if let Some(Own::Macos(_, host)) = own {
            macos::put_defaults(&mut builder, host);
        }
        let plain = [("engine", &self.engine), ("cpus", &self.cpus), ("memory", &self.memory)];
        for (key, value) in plain {
            if let Some(value) = value {
                let in_mib = mebibytes(value).filter(|_| key == "memory");
                builder.set(key, in_mib.as_deref().unwrap_or(value), &format!("--{key} {value}"));
            }
        }
        for (key, given) in [("nested", self.nested), ("clipboard", self.clipboard)] {
            if given {
                builder.set(key, "true", &format!("--{key}"));
            }
        }
        let mut parsed = builder.finish();
        self.put_ports(&mut parsed)?;
        let base = file.and_then(Path::parent).unwrap_or(Path::new(""));
        parsed.resolve_paths(base, host::home().as_deref());
        Ok(Description { parsed, wait_for_client, keep_ctrl_c: self.tty == Some(0) })
    }

    /// Finds what boots to be given once, which the command line's grammar alone does not say.
    pub(super) fn check_boot(&self) -> Result<(), Failure> {
        let own = self.kernel.is_some() || self.bootloader.is_some();
        let message = if self.is_debian() && own {
            "`debian` comes with its own kernel: leave out -k and --bootloader"
        } else if self.target.is_none() && !own {
            "there is no machine: give a kernel with -k, a file, the name of a machine, or `debian`, which fetches all it needs"
        } else if self.cmdline.is_some() && self.kernel.is_none() && !self.is_debian() {
            "-a is the command line of the kernel that -k names: give -k, or `cmdline` in the boot loader"
        } else {
            return Ok(());
        };
        Err(Failure::new(Status::Usage, message))
    }

    fn put_boot(&self, builder: &mut Builder, guest: Option<&Guest>) -> Result<(), Failure> {
        let cmdline = |default: &'static str| self.cmdline.as_deref().unwrap_or(default);
        if let Some(guest) = guest {
            let (kernel, initrd) = (utf8(&guest.kernel)?, utf8(&guest.initrd)?);
            let keys = [("kernel", kernel), ("initrd", initrd), ("cmdline", cmdline(DEBIAN_CMDLINE))];
            builder.bootloader_with("linux", &keys, "run debian");
        } else if let Some(kernel) = &self.kernel {
            let mut keys = vec![("kernel", kernel.as_str()), ("cmdline", cmdline("console=hvc0"))];
            keys.extend(self.initrd.as_deref().map(|initrd| ("initrd", initrd)));
            let initrd = self.initrd.as_deref().map(|initrd| format!(" -i {initrd}")).unwrap_or_default();
            builder.bootloader_with("linux", &keys, &format!("-k {kernel}{initrd}"));
        } else if let Some(text) = &self.bootloader {
            builder.bootloader(text);
        }
        if let Some(text) = &self.platform {
            builder.platform(text);
        }
        Ok(())
    }

    /// The published ports, which are the first network's behind NAT.
    fn put_ports(&self, parsed: &mut Parsed) -> Result<(), Failure> {
        let (Some(machine), false) = (&mut parsed.machine, self.publish.is_empty()) else { return Ok(()) };
        let nat = machine.network.iter_mut().find_map(|network| match &mut network.attachment {
            NetworkAttachment::Nat(nat) => Some(nat),
            _ => None,
        });
        let missing = "--publish is for a network behind NAT: add `--device virtio-net,nat`";
        nat.ok_or_else(|| Failure::new(Status::Usage, missing))?.publish.extend_from_slice(&self.publish);
        Ok(())
    }

    /// The devices that vftool gives to every machine, where none of their kind was named.
    fn put_defaults(&self, builder: &mut Builder, debian: bool) {
        let console = if debian { "stdio" } else { "pty" };
        let mut add = |section: &str, kind: &str, keys: &[(&str, &str)]| {
            if !builder.has(section) {
                builder.device_with(kind, keys, "default");
            }
        };
        add("entropy", "virtio-rng", &[]);
        add("balloon", "virtio-balloon", &[]);
        add("network", "virtio-net", &[("nat", "true")]);
        add("serial", "virtio-serial", &[(console, "true")]);
    }
}

/// The MiB of a size that is given with its unit, as `2G`; `None` for every other text, of which the configuration says what
/// is wrong.
fn mebibytes(text: &str) -> Option<String> {
    const MIB: u64 = 1 << 20;
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let bytes = size::parse(text).ok().filter(|bytes| has_unit && bytes.is_multiple_of(MIB))?;
    Some((bytes / MIB).to_string())
}

/// A path of ours, which the configuration takes as text.
pub(super) fn utf8(path: &Path) -> Result<&str, Failure> {
    let what = || format!("the path {path:?} is not UTF-8: set HOME, RUSSET_HOME or XDG_CACHE_HOME to one that is");
    path.to_str().ok_or_else(|| Failure::new(Status::Host, what()))
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |what: String| Failure::new(Status::Usage, format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound if machine::is_name(path) => {
            wrong(format!("{error}, and `russet list` has no such machine"))
        }
        _ => wrong(error.to_string()),
    })?;
    let length = file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    let (is_long, is_binary) = (length as u64 > MAX_FILE, bytes.contains(&0));
    match String::from_utf8(bytes) {
        Ok(text) if !is_long && !is_binary => Ok(text),
        _ if is_long && !is_binary => Err(wrong("the file is too long for a configuration".to_owned())),
        _ => Err(wrong("it is no configuration, which is text: give a kernel with -k, a disk with -d".to_owned())),
    }
}

/// What a window shows and listens to, where it is not named.
fn put_screen(builder: &mut Builder) {
    for (section, kind) in [("graphics", "virtio-gpu"), ("input", "usb-keyboard")] {
        if !builder.has(section) {
            builder.device_with(kind, &[], "--gui");
        }
    }
}

/// Firmware, and what a machine with it has. The firmware of our board speaks on the serial port, Apple's on none.
fn put_firmware(builder: &mut Builder, variables: &str) {
    let keys = [("variable-store", variables), ("create", "true")];
    builder.bootloader_with("efi", &keys, "default");
    builder.device_with("virtio-rng", &[], "default");
    builder.device_with("virtio-balloon", &[], "default");
    builder.device_with("virtio-net", &[("nat", "true")], "default");
    match vm::default_engine() {
        Engine::Vz => {
            builder.device_with("virtio-gpu", &[("width", "1280"), ("height", "800")], "default");
            builder.device_with("usb-keyboard", &[], "default");
            builder.device_with("usb-pointing", &[], "default");
            builder.device_with("virtio-serial", &[("stdio", "true")], "default");
        }
        Engine::Soft | Engine::Kvm => {
            builder.device_with("pl011", &[("stdio", "true")], "default");
        }
    }
}

/// Adds a disk of `-d` or `-c`: a path or an NBD URI, and keys behind a comma.
pub(crate) fn put_disk<'a>(builder: &'a mut Builder, flag: &str, text: &str, more: &[(&str, &str)]) -> &'a mut Builder {
    // A file may have a comma in its name.
    let (name, keys) = match text.split_once(',') {
        Some((name, keys)) if !Path::new(text).exists() => (name, keys),
        _ => (text, ""),
    };
    let is_uri = ["nbd://", "nbds://", "nbd+unix://", "nbds+unix://"].iter().any(|scheme| name.starts_with(scheme));
    let mut kind = if is_uri { "nbd" } else { "virtio-blk" };
    let mut all = vec![(if is_uri { "uri" } else { "path" }, name)];
    let items = keys.split(',').filter(|item| !item.is_empty());
    for (key, value) in items.map(|item| item.split_once('=').unwrap_or((item, "true"))) {
        match (key, value) {
            ("bus", "virtio") => {}
            ("bus", "nvme") => kind = "nvme",
            ("bus", "usb") => kind = "usb-mass-storage",
            other => all.push(other),
        }
    }
    all.extend(more);
    builder.device_with(kind, &all, &format!("{flag} {text}"))
}
