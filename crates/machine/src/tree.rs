//! The device tree that the guest is given (Devicetree Specification 0.4; Linux `Documentation/devicetree/bindings`).

use std::ops::Range;

use devices::flash::Flash;
use devices::gic::{Gic, Phandles};
use devices::pci::HostBridge;
use devices::pl011::Pl011;
use devices::pl031::Pl031;
use devices::pl061::{Pl061, Place};
use vm_fdt::{Error, FdtWriter};

use crate::layout;

const PHANDLE_GIC: u32 = 1;
const PHANDLE_ITS: u32 = 2;
const PHANDLE_CLOCK: u32 = 3;
const PHANDLE_GPIO: u32 = 4;

/// The rate of the clock that the PrimeCell devices are told of. Nothing depends on it but a baud rate that is never
/// used.
const CLOCK_HZ: u32 = 24_000_000;

/// A private interrupt, sensitive to a high level (`interrupt-controller/arm,gic-v3.yaml`).
const PPI: u32 = 1;
const LEVEL_HIGH: u32 = 4;

/// What the tree tells of the machine and its boot.
pub(crate) struct Description<'a> {
    pub(crate) cpus: u32,
    /// Bytes of RAM.
    pub(crate) memory: u64,
    pub(crate) command_line: &'a str,
    pub(crate) initrd: Option<Range<u64>>,
    /// Random bytes for the kernel's pool.
    pub(crate) seed: [u8; 64],
    /// The serial port is connected to something: it is the console of a kernel that is told of none.
    pub(crate) serial_is_console: bool,
}

/// The devices, which write their own nodes.
pub(crate) struct Devices<'a> {
    pub(crate) gic: &'a Gic,
    pub(crate) bridge: &'a HostBridge,
    pub(crate) serial: &'a Pl011,
    pub(crate) clock: &'a Pl031,
    pub(crate) gpio: &'a Pl061,
    pub(crate) flash: Option<&'a Flash>,
}

/// Writes the tree.
pub(crate) fn write(what: &Description<'_>, devices: &Devices<'_>) -> Result<Vec<u8>, Error> {
    let mut w = FdtWriter::new()?;
    let root = w.begin_node("")?;
    w.property_string("compatible", "linux,dummy-virt")?;
    w.property_string("model", "Russet virtual machine")?;
    w.property_u32("#address-cells", 2)?;
    w.property_u32("#size-cells", 2)?;
    w.property_u32("interrupt-parent", PHANDLE_GIC)?;
    w.property_null("dma-coherent")?;

    chosen(&mut w, what)?;
    cpus(&mut w, what.cpus)?;

    let node = w.begin_node(&format!("memory@{:x}", layout::RAM_BASE))?;
    w.property_string("device_type", "memory")?;
    w.property_array_u64("reg", &[layout::RAM_BASE, what.memory])?;
    w.end_node(node)?;

    let node = w.begin_node("psci")?;
    w.property_string_list("compatible", vec!["arm,psci-1.0".into(), "arm,psci-0.2".into()])?;
    w.property_string("method", "hvc")?;
    w.end_node(node)?;

    let node = w.begin_node("timer")?;
    w.property_string("compatible", "arm,armv8-timer")?;
    let interrupts: Vec<u32> = layout::TIMER_PPIS.iter().flat_map(|id| [PPI, id - 16, LEVEL_HIGH]).collect();
    w.property_array_u32("interrupts", &interrupts)?;
    w.property_null("always-on")?;
    w.end_node(node)?;

    let node = w.begin_node("apb-pclk")?;
    w.property_string("compatible", "fixed-clock")?;
    w.property_u32("#clock-cells", 0)?;
    w.property_u32("clock-frequency", CLOCK_HZ)?;
    w.property_string("clock-output-names", "clk24mhz")?;
    w.property_phandle(PHANDLE_CLOCK)?;
    w.end_node(node)?;

    devices.gic.fdt(&mut w, Phandles { gic: PHANDLE_GIC, its: PHANDLE_ITS })?;
    devices.bridge.write_fdt(&mut w, PHANDLE_ITS)?;
    devices.serial.fdt(&mut w, layout::PL011.base, layout::SPI_PL011, PHANDLE_CLOCK)?;
    devices.clock.fdt(&mut w, layout::PL031.base, layout::SPI_PL031, PHANDLE_CLOCK)?;
    devices.gpio.fdt(
        &mut w,
        Place {
            window: (layout::PL061.base, layout::PL061.size),
            spi: layout::SPI_PL061,
            clock: PHANDLE_CLOCK,
            phandle: PHANDLE_GPIO,
        },
    )?;
    if let Some(flash) = devices.flash {
        flash.fdt(&mut w, layout::VARIABLES.base)?;
    }
    w.end_node(root)?;
    w.finish()
}

fn chosen(w: &mut FdtWriter, what: &Description<'_>) -> Result<(), Error> {
    let serial = format!("/{}", Pl011::fdt_name(layout::PL011.base));
    let node = w.begin_node("aliases")?;
    w.property_string("serial0", &serial)?;
    w.end_node(node)?;

    let node = w.begin_node("chosen")?;
    w.property_string("bootargs", what.command_line)?;
    if what.serial_is_console {
        w.property_string("stdout-path", &serial)?;
    }
    if let Some(initrd) = &what.initrd {
        w.property_u64("linux,initrd-start", initrd.start)?;
        w.property_u64("linux,initrd-end", initrd.end)?;
    }
    // The kernel wipes both once it has used them.
    w.property("rng-seed", &what.seed[8..])?;
    w.property("kaslr-seed", &what.seed[..8])?;
    w.end_node(node)
}

fn cpus(w: &mut FdtWriter, count: u32) -> Result<(), Error> {
    let cpus = w.begin_node("cpus")?;
    w.property_u32("#address-cells", 1)?;
    w.property_u32("#size-cells", 0)?;
    for index in 0..count {
        // Affinity levels 0 to 2; there is no CPU with a level 3.
        let affinity = arm64::id::mpidr_affinity(index) as u32;
        let node = w.begin_node(&format!("cpu@{affinity:x}"))?;
        w.property_string("device_type", "cpu")?;
        w.property_string("compatible", "arm,armv8")?;
        w.property_u32("reg", affinity)?;
        w.property_string("enable-method", "psci")?;
        w.end_node(node)?;
    }
    w.end_node(cpus)
}
