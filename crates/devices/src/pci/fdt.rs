//! The host bridge in the device tree (bindings `pci/host-generic-pci.yaml`, `pci/pci-msi.txt`; IEEE 1275 PCI binding).

use vm_fdt::{FdtWriter, FdtWriterResult};

use super::{HostBridge, Window, spec};

/// `phys.hi` space codes of the PCI bus binding (2.2.1.1).
const PORTS: u32 = 0x0100_0000;
const MEMORY32: u32 = 0x0200_0000;
const MEMORY64: u32 = 0x0300_0000;

impl HostBridge {
    /// Writes the node `pcie@...` under the current one, which has two address and two size cells. `msi` is the
    /// phandle of the controller that takes messages: an ITS or a v2m frame.
    pub fn write_fdt(&self, fdt: &mut FdtWriter, msi: u32) -> FdtWriterResult<()> {
        let layout = self.layout();
        let mut ranges = Vec::new();
        if let Some(ports) = layout.ports {
            // Ports count from zero on the PCI side.
            range(&mut ranges, PORTS, 0, ports);
        }
        range(&mut ranges, MEMORY32, layout.memory32.base, layout.memory32);
        range(&mut ranges, MEMORY64, layout.memory64.base, layout.memory64);

        let node = fdt.begin_node(&format!("pcie@{:x}", layout.ecam))?;
        fdt.property_string("compatible", "pci-host-ecam-generic")?;
        fdt.property_string("device_type", "pci")?;
        fdt.property_u32("#address-cells", 3)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_array_u64("reg", &[layout.ecam, spec::ECAM_BUS * u64::from(layout.buses)])?;
        fdt.property_array_u32("bus-range", &[0, u32::from(layout.buses.saturating_sub(1))])?;
        fdt.property_u32("linux,pci-domain", 0)?;
        fdt.property_array_u32("ranges", &ranges)?;
        // Requester IDs are device IDs of the controller, one to one.
        fdt.property_array_u32("msi-map", &[0, msi, 0, 0x1_0000])?;
        fdt.property_null("dma-coherent")?;
        fdt.end_node(node)
    }
}

fn range(cells: &mut Vec<u32>, space: u32, pci: u64, window: Window) {
    cells.push(space);
    for value in [pci, window.base, window.size] {
        cells.extend([(value >> 32) as u32, value as u32]);
    }
}
