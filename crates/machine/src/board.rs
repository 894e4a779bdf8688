//! A board with its devices, as it is between power-on and the next reset.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use devices::bus::{Bus, MmioDevice};
use devices::flash::Flash;
use devices::gic::{self, CpuConfig, Gic};
use devices::irq::MsiSink;
use devices::pci::{self, HostBridge, PciDevice};
use devices::pl031::Pl031;
use devices::pl061::Pl061;
use devices::virtio::console::PortBackend;
use hv::{BootState, GuestMemory, VcpuEnv};
use vm_memory::{Bytes, GuestAddress};

use crate::boot::Boot;
use crate::glue::{BusAccess, FiqInput, GicAccess, IrqInput};
use crate::hotplug::Slots;
use crate::layout::{self, Range};
use crate::machine::Present;
use crate::serial::Serial;
use crate::tree::{self, Description, Devices};
use crate::{Error, Reclaim, loader, memory};

/// Bytes that are kept for the device tree behind the kernel; booting.rst allows no more.
const TREE_SIZE: u64 = 2 << 20;
/// What the kernel's end and the initial RAM disk are aligned to: the largest page that a kernel may use.
const ALIGNMENT: u64 = 64 << 10;

/// What a machine is made of. Devices and back ends outlive resets; all else is made anew.
pub struct Parts {
    /// Number of CPUs.
    pub cpus: u32,
    /// Bytes of RAM, a multiple of 2 MiB.
    pub memory: u64,
    /// What is booted.
    pub boot: Boot,
    /// The PCI devices, in the order of their slots.
    pub pci: Vec<Arc<dyn PciDevice>>,
    /// Slots for PCI devices that come and go while the machine runs.
    pub slots: usize,
    /// What the serial port (`ttyAMA0`) is connected to.
    pub serial: Option<Arc<dyn PortBackend>>,
    /// What gives memory back to the host, if one of the devices does.
    pub reclaim: Option<Arc<Reclaim>>,
}

/// Makes the engine's virtual machine: of RAM and a number of CPUs.
pub type MakeVm = dyn Fn(GuestMemory, u32) -> Result<Box<dyn hv::Vm>, hv::Error> + Send + Sync;

/// Devices on a bus around an engine's CPUs.
pub(crate) struct Board {
    pub(crate) vm: Arc<dyn hv::Vm>,
    pub(crate) env: VcpuEnv,
    /// How the first CPU begins.
    pub(crate) entry: BootState,
    gpio: Arc<Pl061>,
    bridge: Arc<HostBridge>,
    bus: Arc<Bus>,
    flash: Option<Arc<Flash>>,
    serial: Serial,
    slots: Arc<Slots>,
    reclaim: Option<Arc<Reclaim>>,
}

impl Board {
    /// Builds the board with everything in memory that the first CPU needs.
    pub(crate) fn new(parts: &Parts, slots: &Arc<Slots>, make_vm: &MakeVm) -> Result<Self, Error> {
        if !(1..=layout::MAX_CPUS).contains(&parts.cpus) {
            return Err(Error::CpuCount { cpus: parts.cpus, max: layout::MAX_CPUS });
        }
        let memory = memory::map(parts.memory, parts.boot.firmware().is_some())?;
        let start = load(&parts.boot, &memory)?;
        let vm: Arc<dyn hv::Vm> = make_vm(memory.clone(), parts.cpus)?.into();

        let bus = Arc::new(Bus::new());
        let gic = make_gic(vm.as_ref(), parts.cpus, &memory)?;
        for (base, size, registers) in gic.windows() {
            put(&bus, "interrupt controller", Range { base, size }, registers)?;
        }
        let serial = Serial::new(parts.serial.clone(), gic.spi_line(layout::SPI_PL011)).map_err(Error::Thread)?;
        put(&bus, "serial port", layout::PL011, serial.port.clone())?;
        let clock = Pl031::with_host_time(gic.spi_line(layout::SPI_PL031));
        put(&bus, "real-time clock", layout::PL031, clock.clone())?;
        let gpio = Arc::new(Pl061::new(gic.spi_line(layout::SPI_PL061)));
        put(&bus, "GPIO controller", layout::PL061, gpio.clone())?;
        let pci_error = |e: pci::PciError| Error::Device { device: "PCI host bridge", reason: e.to_string() };
        let bridge = HostBridge::new(pci_layout(), &bus, gic.clone() as Arc<dyn MsiSink>).map_err(pci_error)?;
        for device in &parts.pci {
            device.clone().plug(bridge.free_slot().map_err(pci_error)?, memory.clone());
        }
        slots.build(&bridge, &memory).map_err(pci_error)?;

        let flash = parts.boot.firmware().map(|firmware| firmware.variables.clone());
        if let Some(flash) = &flash {
            let window = Range { base: layout::VARIABLES.base, size: flash.size() };
            put(&bus, "firmware's variable store", window, flash.clone())?;
        }

        let (serial_port, flash_node) = (&serial.port, flash.as_deref());
        let devices =
            Devices { gic: &gic, bridge: &bridge, serial: serial_port, clock: &clock, gpio: &gpio, flash: flash_node };
        let tree = place_tree(parts, &memory, start.tree, &devices)?;
        if let Some(reclaim) = &parts.reclaim {
            reclaim.set(Some(memory));
        }
        Ok(Self {
            vm,
            env: VcpuEnv { mmio: Arc::new(BusAccess(bus.clone())), gic: Some(Arc::new(GicAccess(gic))) },
            entry: BootState { pc: start.entry, x0: tree },
            flash,
            gpio,
            bridge,
            bus,
            serial,
            slots: slots.clone(),
            reclaim: parts.reclaim.clone(),
        })
    }

    /// What others act on.
    pub(crate) fn present(&self) -> Present {
        Present { vm: self.vm.clone(), gpio: self.gpio.clone(), serial: self.serial.port.clone() }
    }
}

/// Stops the devices, whose threads touch guest memory; no vCPU runs any more. The PCI devices are as they were
/// made, for the next board.
impl Drop for Board {
    fn drop(&mut self) {
        self.bridge.reset();
        self.slots.forget();
        if let Some(flash) = &self.flash {
            flash.reset();
        }
        if let Some(reclaim) = &self.reclaim {
            reclaim.set(None);
        }
        // Windows own devices which own the way to the bus: let go of them.
        self.bus.clear();
    }
}

fn make_gic(vm: &dyn hv::Vm, cpus: u32, memory: &GuestMemory) -> Result<Arc<Gic>, Error> {
    let error = |reason: String| Error::Device { device: "interrupt controller", reason };
    let cpus = (0..cpus)
        .map(|index| {
            let inputs = vm.inputs(index).ok_or_else(|| error("the engine brings its own".into()))?;
            Ok(CpuConfig {
                affinity: arm64::id::mpidr_affinity(index) as u32,
                irq: Arc::new(IrqInput(inputs.clone())),
                fiq: Arc::new(FiqInput(inputs)),
            })
        })
        .collect::<Result<_, Error>>()?;
    let config = gic::Config {
        dist_base: layout::GICD.base,
        redist_base: layout::GICR.base,
        its_base: Some(layout::ITS.base),
        spis: layout::SPIS,
        cpus,
    };
    Gic::new(config, memory.clone()).map_err(|e| error(e.to_string()))
}

fn put(bus: &Bus, name: &'static str, window: Range, device: Arc<dyn MmioDevice>) -> Result<(), Error> {
    bus.insert(window.base, window.size, device).map_err(|e| Error::Device { device: name, reason: e.to_string() })
}

fn pci_layout() -> pci::Layout {
    let window = |range: Range| pci::Window { base: range.base, size: range.size };
    pci::Layout {
        ecam: layout::PCI_ECAM.base,
        buses: layout::PCI_BUSES,
        memory32: window(layout::PCI_MEMORY32),
        memory64: window(layout::PCI_MEMORY64),
        ports: Some(window(layout::PCI_PORTS)),
    }
}

/// Where the first CPU begins, and where the device tree goes.
struct Start {
    entry: u64,
    tree: u64,
}

/// Loads what is booted.
fn load(boot: &Boot, memory: &GuestMemory) -> Result<Start, Error> {
    match boot {
        Boot::Linux(linux) => {
            let kernel = loader::load_kernel(&linux.kernel, memory)?;
            Ok(Start { entry: kernel.entry, tree: kernel.end.next_multiple_of(ALIGNMENT) })
        }
        Boot::Firmware(firmware) => {
            loader::load_firmware(&firmware.code, memory)?;
            // It looks for the tree at the beginning of RAM.
            Ok(Start { entry: layout::FIRMWARE.base, tree: layout::RAM_BASE })
        }
    }
}

/// Loads the initial RAM disk, writes the device tree and says where it is: kernel, tree and RAM disk follow each
/// other in memory, which keeps all inside the window that booting.rst asks for.
fn place_tree(parts: &Parts, memory: &GuestMemory, address: u64, devices: &Devices<'_>) -> Result<u64, Error> {
    let (initrd, command_line) = match &parts.boot {
        Boot::Linux(linux) => (linux.initrd.as_ref(), linux.command_line.as_str()),
        Boot::Firmware(_) => (None, ""),
    };
    let initrd = initrd.map(|file| loader::load_initrd(file, memory, address + TREE_SIZE)).transpose()?;
    let description = Description {
        cpus: parts.cpus,
        memory: parts.memory,
        command_line,
        initrd,
        seed: random()?,
        serial_is_console: parts.serial.is_some(),
    };
    let blob = tree::write(&description, devices).map_err(|e| Error::DeviceTree(e.to_string()))?;
    if blob.len() as u64 > TREE_SIZE {
        return Err(Error::DeviceTree(format!("it has {} bytes, and 2 MiB are the most", blob.len())));
    }
    memory.write_slice(&blob, GuestAddress(address)).map_err(|_| {
        Error::DeviceTree("there is no memory left behind the kernel: give the machine more memory".into())
    })?;
    Ok(address)
}

/// Bytes from the host's random number generator.
fn random() -> Result<[u8; 64], Error> {
    let mut seed = [0; 64];
    let read = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut seed));
    read.map_err(|e| Error::DeviceTree(format!("no random numbers from /dev/urandom: {e}")))?;
    Ok(seed)
}
