//! The PL061 and the power button in the device tree (Linux bindings `gpio/pl061-gpio.yaml`, `input/gpio-keys.yaml`).

use vm_fdt::{Error, FdtWriter};

use super::{POWER_BUTTON_PIN, Pl061};

/// `KEY_POWER` of Linux' input events (`input-event-codes.h`).
const KEY_POWER: u32 = 116;
/// An SPI, sensitive to a high level (`interrupt-controller/arm,gic.yaml`).
const SPI_LEVEL_HIGH: [u32; 2] = [0, 4];

/// What the board knows of a PL061.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Guest-physical address and size of its registers.
    pub window: (u64, u64),
    /// Number of its shared interrupt.
    pub spi: u32,
    /// Handle of its clock.
    pub clock: u32,
    /// Handle by which it is named itself.
    pub phandle: u32,
}

impl Pl061 {
    /// Writes the controller's node and the button's, children of the root.
    pub fn fdt(&self, w: &mut FdtWriter, place: Place) -> Result<(), Error> {
        let (base, size) = place.window;
        let node = w.begin_node(&format!("pl061@{base:x}"))?;
        w.property_string_list("compatible", vec!["arm,pl061".into(), "arm,primecell".into()])?;
        w.property_array_u64("reg", &[base, size])?;
        w.property_array_u32("interrupts", &[SPI_LEVEL_HIGH[0], place.spi, SPI_LEVEL_HIGH[1]])?;
        w.property_null("gpio-controller")?;
        w.property_u32("#gpio-cells", 2)?;
        w.property_null("interrupt-controller")?;
        w.property_u32("#interrupt-cells", 2)?;
        w.property_u32("clocks", place.clock)?;
        w.property_string("clock-names", "apb_pclk")?;
        w.property_phandle(place.phandle)?;
        w.end_node(node)?;

        let keys = w.begin_node("gpio-keys")?;
        w.property_string("compatible", "gpio-keys")?;
        let button = w.begin_node("poweroff")?;
        w.property_string("label", "GPIO Key Poweroff")?;
        w.property_u32("linux,code", KEY_POWER)?;
        w.property_array_u32("gpios", &[place.phandle, POWER_BUTTON_PIN.into(), 0])?;
        w.end_node(button)?;
        w.end_node(keys)
    }
}
