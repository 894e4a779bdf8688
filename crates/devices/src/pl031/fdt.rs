//! The real time clock's node in the device tree (Linux `Documentation/devicetree/bindings/rtc/arm,pl031.yaml`).

use vm_fdt::{Error, FdtWriter};

use super::Pl031;

impl Pl031 {
    /// Writes the node of a clock at `base` whose line is shared interrupt `spi`; `clock` is the handle of a fixed
    /// clock.
    pub fn fdt(&self, w: &mut FdtWriter, base: u64, spi: u32, clock: u32) -> Result<(), Error> {
        let node = w.begin_node(&format!("rtc@{base:x}"))?;
        w.property_string_list("compatible", vec!["arm,pl031".into(), "arm,primecell".into()])?;
        w.property_array_u64("reg", &[base, Self::SIZE])?;
        // Cells of arm,gic-v3: 0 is a shared interrupt, 4 a high level.
        w.property_array_u32("interrupts", &[0, spi, 4])?;
        w.property_u32("clocks", clock)?;
        w.property_string("clock-names", "apb_pclk")?;
        w.end_node(node)
    }
}
