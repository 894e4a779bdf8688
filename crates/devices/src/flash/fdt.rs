//! The flash's node in the device tree (Linux `Documentation/devicetree/bindings/mtd/mtd-physmap.yaml`).

use vm_fdt::{Error, FdtWriter};

use super::Flash;

impl Flash {
    /// Writes the node of flash at `base`.
    pub fn fdt(&self, w: &mut FdtWriter, base: u64) -> Result<(), Error> {
        let node = w.begin_node(&format!("flash@{base:x}"))?;
        w.property_string("compatible", "cfi-flash")?;
        w.property_array_u64("reg", &[base, self.size()])?;
        w.property_u32("bank-width", 4)?;
        w.end_node(node)
    }
}
