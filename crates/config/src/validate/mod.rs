//! The checks of a whole machine, which find every problem at once.

mod devices;
mod disks;
mod files;
mod vmnet;

use crate::{BootLoader, Engine, HostFacts, Machine, Platform, Problem, Serial, SerialDevice, Storage, StorageDevice};

/// Least memory in MiB with which a Linux kernel comes up.
const MIN_MEMORY_LINUX: u64 = 32;
/// Least memory in MiB for UEFI firmware.
const MIN_MEMORY_EFI: u64 = 128;
/// Least memory in MiB for macOS.
const MIN_MEMORY_MACOS: u64 = 4096;
/// Most memory in MiB: what our board has room for between its devices, from 1 GiB to 512 GiB.
const MAX_MEMORY: u64 = 511 << 10;
/// Longest kernel command line: arm64's `COMMAND_LINE_SIZE`.
const MAX_CMDLINE: usize = 2048;

impl Machine {
    /// Everything that is wrong with this machine, on `engine` and on `host`.
    #[must_use]
    pub fn validate(&self, engine: Engine, host: &dyn HostFacts) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_engine(engine, &mut problems);
        self.check_cpus(engine, host, &mut problems);
        self.check_memory(engine, host, &mut problems);
        self.check_boot(&mut problems);
        self.check_capabilities(engine, &mut problems);
        disks::check(self, &mut problems);
        devices::check(self, &mut problems);
        files::check(self, host, &mut problems);
        problems
    }

    fn check_engine(&self, engine: Engine, problems: &mut Vec<Problem>) {
        if !engine.is_built() {
            let what = match engine {
                Engine::Vz => "the engine `vz` is Apple's Virtualization.framework, which only Macs have".to_owned(),
                other => format!("the engine `{other}` is not in this version"),
            };
            problems.push(Problem::error("engine", what, "choose `soft`"));
        }
    }

    fn check_cpus(&self, engine: Engine, host: &dyn HostFacts, problems: &mut Vec<Problem>) {
        let (cpus, host_cpus) = (self.cpus, host.cpus());
        match engine.max_cpus() {
            _ if cpus == 0 => problems.push(Problem::error("cpus", "a machine needs a CPU", "give 1 or more")),
            Some(max) if cpus > max => {
                let what = format!("the engine `{engine}` has at most {max} CPUs, not {cpus}");
                problems.push(Problem::error("cpus", what, format!("give {max} or fewer")));
            }
            _ if cpus > host_cpus => {
                let what = format!("{cpus} CPUs on a host with {host_cpus}: guests can run very slowly or hang");
                problems.push(Problem::warning("cpus", what, format!("give {host_cpus} or fewer")));
            }
            _ => {}
        }
    }

    fn check_memory(&self, engine: Engine, host: &dyn HostFacts, problems: &mut Vec<Problem>) {
        let (min, guest) = match self.bootloader {
            BootLoader::Linux(_) => (MIN_MEMORY_LINUX, "Linux"),
            BootLoader::Efi(_) => (MIN_MEMORY_EFI, "EFI firmware"),
            BootLoader::Macos(_) => (MIN_MEMORY_MACOS, "macOS"),
        };
        let memory = self.memory;
        if memory < min {
            let what = format!("{memory} MiB is too little for {guest}");
            problems.push(Problem::error("memory", what, format!("give {min} MiB or more")));
        } else if memory > MAX_MEMORY {
            let what = format!("{memory} MiB is more than a machine can have");
            problems.push(Problem::error("memory", what, format!("give {MAX_MEMORY} MiB or less")));
        } else if !memory.is_multiple_of(2) && engine != Engine::Vz {
            let what = format!("{memory} MiB is an odd number, and memory comes in pages of 2 MiB");
            problems.push(Problem::error("memory", what, format!("give {} MiB", memory + 1)));
        } else if let Some(host_memory) = host.memory().filter(|host_memory| memory > *host_memory) {
            let what = format!("{memory} MiB is more than the host's {host_memory} MiB");
            problems.push(Problem::warning("memory", what, "give less, or expect the host to swap"));
        }
    }

    fn check_boot(&self, problems: &mut Vec<Problem>) {
        let mac = matches!(self.platform, Platform::Mac(_));
        match &self.bootloader {
            BootLoader::Macos(_) if !mac => {
                problems.push(Problem::error("platform", "macOS needs a mac platform", "give one: `kind = \"mac\"`"));
            }
            BootLoader::Linux(_) | BootLoader::Efi(_) if mac => {
                let mend = "use the boot loader `macos` or a generic platform";
                problems.push(Problem::error("platform", "a mac platform boots only macOS", mend));
            }
            BootLoader::Linux(linux) => self.check_cmdline(&linux.cmdline, problems),
            BootLoader::Efi(_) | BootLoader::Macos(_) => {}
        }
    }

    fn check_cmdline(&self, cmdline: &str, problems: &mut Vec<Problem>) {
        const FIELD: &str = "bootloader.cmdline";
        if cmdline.len() >= MAX_CMDLINE {
            let what = format!("{} bytes are more than the kernel takes", cmdline.len());
            problems.push(Problem::error(FIELD, what, format!("give fewer than {MAX_CMDLINE}")));
        }
        if cmdline.contains('\0') {
            problems.push(Problem::error(FIELD, "there is a zero byte in it", "remove it"));
        }
        for console in cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("console=")) {
            let name = console.split(',').next().unwrap_or_default();
            let (has, device) = if name.starts_with("hvc") {
                (self.serial.iter().any(is_console), "virtio-serial")
            } else if name.starts_with("ttyAMA") {
                (self.serial.iter().any(|serial| serial.device == SerialDevice::Pl011), "pl011")
            } else {
                continue;
            };
            if !has {
                let what = format!("`console={name}` names a console that the machine does not have");
                problems.push(Problem::warning(FIELD, what, format!("add a `{device}` or name another console")));
            }
        }
        let root = cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("root=/dev/vd")).next_back();
        if let Some(letter) = root.and_then(|rest| rest.bytes().next()).filter(u8::is_ascii_lowercase) {
            let name = format!("root=/dev/vd{}", char::from(letter));
            match self.virtio_disks().nth(usize::from(letter - b'a')) {
                None => {
                    let count = self.virtio_disks().count();
                    let what = format!("`{name}` names a disk that is not there: the machine has {count} virtio disks");
                    problems.push(Problem::warning(FIELD, what, "add the disk or name another root"));
                }
                Some((index, disk)) if disk.read_only => {
                    let what = format!("the root `{name}` is a read-only disk: the guest cannot write its files");
                    let field = format!("storage[{index}].readonly");
                    problems.push(Problem::warning(field, what, "remove `readonly`, or boot from another root"));
                }
                Some(_) => {}
            }
        }
    }

    /// The disks `/dev/vda` and on, with their index in `storage`.
    fn virtio_disks(&self) -> impl Iterator<Item = (usize, &Storage)> {
        self.storage.iter().enumerate().filter(|(_, disk)| disk.device == StorageDevice::VirtioBlk)
    }
}

fn is_console(serial: &Serial) -> bool {
    serial.device == SerialDevice::VirtioSerial && serial.name.is_none()
}
