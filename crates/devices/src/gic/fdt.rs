//! The GIC's node in the device tree (Linux `Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml`).

use vm_fdt::{Error, FdtWriter};

use super::Gic;

/// Handles by which other nodes name the GIC; the board chooses them.
#[derive(Debug, Clone, Copy)]
pub struct Phandles {
    /// The GIC, the tree's `interrupt-parent`.
    pub gic: u32,
    /// The ITS, for `msi-map` and `msi-parent`.
    pub its: u32,
}

impl Gic {
    /// Writes the node, a child of the root, where `#address-cells` and `#size-cells` are 2.
    pub fn fdt(&self, w: &mut FdtWriter, phandles: Phandles) -> Result<(), Error> {
        let [dist, redist] = [self.distributor_window(), self.redistributor_window()];
        let node = w.begin_node(&format!("interrupt-controller@{:x}", dist.0))?;
        w.property_string("compatible", "arm,gic-v3")?;
        w.property_u32("#interrupt-cells", 3)?;
        w.property_null("interrupt-controller")?;
        w.property_array_u64("reg", &[dist.0, dist.1, redist.0, redist.1])?;
        w.property_u32("#redistributor-regions", 1)?;
        w.property_u32("#address-cells", 2)?;
        w.property_u32("#size-cells", 2)?;
        w.property_null("ranges")?;
        w.property_phandle(phandles.gic)?;
        if let Some(its) = self.its_window() {
            let child = w.begin_node(&format!("msi-controller@{:x}", its.0))?;
            w.property_string("compatible", "arm,gic-v3-its")?;
            w.property_null("msi-controller")?;
            w.property_u32("#msi-cells", 1)?;
            w.property_array_u64("reg", &[its.0, its.1])?;
            w.property_phandle(phandles.its)?;
            w.end_node(child)?;
        }
        w.end_node(node)
    }
}
