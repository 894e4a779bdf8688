//! Boot loader and platform.

use config::Platform as Configured;

use super::{BootLoader, Object, Planner, Platform};
use crate::Api;

/// How many macOS guests may run on a Mac at a time, by the licence of macOS.
pub const MACOS_GUESTS: usize = 2;

impl Planner<'_> {
    pub(super) fn boot(&mut self) {
        let boot_loader = match &self.machine.bootloader {
            config::BootLoader::Linux(linux) => BootLoader::Linux {
                kernel: linux.kernel.clone(),
                initrd: linux.initrd.clone(),
                cmdline: linux.cmdline.clone(),
            },
            config::BootLoader::Efi(efi) => {
                self.need("bootloader", Api::EfiBootLoader, "boot a Linux kernel directly: `kind = \"linux\"`");
                if efi.firmware.is_some() {
                    let what = "the framework boots its own firmware only";
                    self.refuse("bootloader.firmware", what, "remove it, or choose an engine with a board of ours");
                }
                BootLoader::Efi { variable_store: efi.variable_store.clone(), create: efi.create }
            }
            config::BootLoader::Macos(_) => {
                self.need("bootloader", Api::MacOsBootLoader, "use a newer Mac");
                self.count_macos_guests();
                BootLoader::MacOs
            }
        };
        self.objects.push(Object::BootLoader(boot_loader));
        self.platform();
    }

    fn platform(&mut self) {
        let nested = self.machine.nested;
        let platform = match &self.machine.platform {
            Configured::Generic(generic) => {
                let machine_identifier = generic.machine_identifier.clone();
                if machine_identifier.is_some() {
                    self.need("platform.machine-identifier", Api::GenericMachineIdentifier, "remove it");
                }
                if nested {
                    self.nested();
                }
                // Before there were platforms, a machine was of the generic one.
                if !self.has(Api::GenericPlatform) {
                    return;
                }
                Platform::Generic { machine_identifier, nested }
            }
            Configured::Mac(mac) => {
                if nested {
                    self.refuse("nested", "a macOS guest cannot virtualize", "remove it, or use a generic platform");
                }
                Platform::Mac {
                    machine_identifier: mac.machine_identifier.clone(),
                    hardware_model: mac.hardware_model.clone(),
                    auxiliary_storage: mac.auxiliary_storage.clone(),
                }
            }
        };
        self.objects.push(Object::Platform(platform));
    }

    fn nested(&mut self) {
        self.need("nested", Api::Nested, "remove it");
        if self.has(Api::Nested) && !self.host.nested {
            let what = "this Mac's chip or its settings let no guest virtualize (it needs an M3 or later)";
            self.refuse("nested", what, "remove it");
        }
    }

    fn count_macos_guests(&mut self) {
        let running = &self.host.macos_guests;
        if running.len() >= MACOS_GUESTS {
            let what = format!(
                "the licence of macOS allows {MACOS_GUESTS} running guests on a Mac, and these run: {}",
                running.join(", ")
            );
            self.refuse("bootloader", what, "stop one of them first");
        }
    }
}
