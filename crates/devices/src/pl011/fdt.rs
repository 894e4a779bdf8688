//! The serial port's node in the device tree (Linux `Documentation/devicetree/bindings/serial/pl011.yaml`).

use vm_fdt::{Error, FdtWriter};

use super::Pl011;

impl Pl011 {
    /// The name of the node of a port at `base`, for `stdout-path`.
    #[must_use]
    pub fn fdt_name(base: u64) -> String {
        format!("serial@{base:x}")
    }

    /// Writes the node of a port at `base` whose line is shared interrupt `spi`; `clock` is the handle of a fixed
    /// clock.
    pub fn fdt(&self, w: &mut FdtWriter, base: u64, spi: u32, clock: u32) -> Result<(), Error> {
        let node = w.begin_node(&Self::fdt_name(base))?;
        w.property_string_list("compatible", vec!["arm,pl011".into(), "arm,primecell".into()])?;
        w.property_array_u64("reg", &[base, Self::SIZE])?;
        // Cells of arm,gic-v3: 0 is a shared interrupt, 4 a high level.
        w.property_array_u32("interrupts", &[0, spi, 4])?;
        w.property_array_u32("clocks", &[clock, clock])?;
        w.property_string_list("clock-names", vec!["uartclk".into(), "apb_pclk".into()])?;
        w.end_node(node)
    }
}
