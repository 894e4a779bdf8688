//! What each engine can do, so that the rest is refused by name before anything starts.

use crate::{
    BootLoader, Caching, Engine, GraphicsDevice, Input, Machine, NetworkAttachment, Platform, Problem, ShareSource,
    StorageDevice,
};

/// Something that not every engine can do.
struct Feature {
    /// Its name in messages.
    name: &'static str,
    /// The engines that can.
    engines: &'static [Engine],
}

impl Engine {
    /// Most virtual CPUs; `None` where only the host sets a limit.
    #[must_use]
    pub fn max_cpus(self) -> Option<u32> {
        match self {
            Engine::Soft => Some(8),
            Engine::Kvm | Engine::Vz => None,
        }
    }

    /// Whether this version of Russet runs machines on this engine, on a host of this kind.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Engine::Soft => true,
            Engine::Kvm => false,
            Engine::Vz => crate::sys::HAS_FRAMEWORK,
        }
    }
}

impl Machine {
    /// What `engine` cannot do of what this machine asks for.
    pub(crate) fn check_capabilities(&self, engine: Engine, problems: &mut Vec<Problem>) {
        for (field, feature) in self.features() {
            if feature.engines.contains(&engine) {
                continue;
            }
            let what = format!("the engine `{engine}` cannot do {} yet", feature.name);
            let mend = match feature.engines {
                [] => "remove it; no engine can yet".to_owned(),
                [other, ..] if other.is_built() => format!("choose the engine `{other}`, which can"),
                [Engine::Vz] => "remove it, or use the engine `vz` on a Mac, which can".to_owned(),
                [other, ..] => {
                    format!("remove it, or wait for the engine `{other}`, which can but is not in this version")
                }
            };
            problems.push(Problem::error(field, what, mend));
        }
        if let (Platform::Generic(generic), Engine::Soft | Engine::Kvm) = (&self.platform, engine)
            && generic.machine_identifier.is_some()
        {
            let what = format!("the engine `{engine}` tells a guest no machine identifier");
            let mend = "remove it to hear this no more, or use the engine `vz` on a Mac";
            problems.push(Problem::warning("platform.machine-identifier", what, mend));
        }
    }

    /// The fields of this machine that need more of an engine than every engine has.
    fn features(&self) -> Vec<(String, Feature)> {
        const VZ: &[Engine] = &[Engine::Vz];
        // The card is of our own board.
        const OURS: &[Engine] = &[Engine::Soft, Engine::Kvm];
        let mut found = Vec::new();
        let mut need = |field: String, name: &'static str, engines: &'static [Engine]| {
            found.push((field, Feature { name, engines }));
        };
        match &self.bootloader {
            BootLoader::Linux(_) => {}
            BootLoader::Efi(efi) => {
                if efi.firmware.is_some() {
                    need("bootloader.firmware".to_owned(), "firmware of your own", OURS);
                }
            }
            BootLoader::Macos(_) => need("bootloader".to_owned(), "macOS", VZ),
        }
        match &self.platform {
            Platform::Generic(_) => {}
            Platform::Mac(_) => need("platform".to_owned(), "a mac platform", VZ),
        }
        if self.nested {
            need("nested".to_owned(), "nested virtualization", VZ);
        }
        if self.clipboard {
            need("clipboard".to_owned(), "a shared clipboard", VZ);
        }
        for (index, storage) in self.storage.iter().enumerate() {
            let field = |key: &str| format!("storage[{index}].{key}");
            match storage.device {
                StorageDevice::VirtioBlk | StorageDevice::Nvme | StorageDevice::UsbMassStorage => {}
            }
            match storage.caching {
                Caching::Cached => {}
                Caching::Uncached => {}
                Caching::Automatic => need(field("caching"), "automatic caching", VZ),
            }
        }
        for (index, network) in self.network.iter().enumerate() {
            let field = |key: &str| format!("network[{index}].{key}");
            match network.attachment {
                NetworkAttachment::Nat(_) | NetworkAttachment::Bridged { .. } | NetworkAttachment::Fd(_) => {}
                NetworkAttachment::UnixSocket { .. } | NetworkAttachment::Shared { .. } => {}
                NetworkAttachment::Tap { .. } => need(field("tap"), "taps", OURS),
                NetworkAttachment::TapFd(_) => need(field("tap-fd"), "taps", OURS),
                NetworkAttachment::Vmnet(_) => need(field("vmnet"), "networks of macOS", VZ),
            }
            if network.queues.is_some() {
                need(field("queues"), "a choice of queues", OURS);
            }
        }
        for index in 0..self.vsock.len() {
            need(format!("vsock[{index}]"), "vsock", VZ);
        }
        for (index, share) in self.share.iter().enumerate() {
            match share.source {
                ShareSource::Single(_) | ShareSource::Multiple(_) => {
                    need(format!("share[{index}]"), "shared folders", VZ);
                }
                ShareSource::Rosetta { .. } => need(format!("share[{index}]"), "Rosetta", VZ),
            }
        }
        for (index, graphics) in self.graphics.iter().enumerate() {
            match graphics.kind {
                GraphicsDevice::VirtioGpu => need(format!("graphics[{index}]"), "displays", VZ),
                GraphicsDevice::MacDisplay => need(format!("graphics[{index}]"), "mac displays", VZ),
            }
        }
        for (index, input) in self.input.iter().enumerate() {
            let name = match input {
                Input::UsbKeyboard | Input::UsbPointing => "USB input",
                Input::MacKeyboard | Input::MacTrackpad => "a Mac's input",
                Input::VirtioKeyboard | Input::VirtioPointing => "virtio input",
            };
            need(format!("input[{index}]"), name, VZ);
        }
        for index in 0..self.sound.len() {
            need(format!("sound[{index}]"), "sound", VZ);
        }
        found
    }
}
