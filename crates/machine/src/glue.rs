//! Adapters between the seam to the engine ([`hv`]) and the devices.

use std::sync::Arc;

use devices::bus::Bus;
use devices::gic::Gic;
use devices::irq::IrqSink;

/// The bus as a CPU reaches it.
pub(crate) struct BusAccess(pub(crate) Arc<Bus>);

impl hv::Mmio for BusAccess {
    fn read(&self, addr: u64, data: &mut [u8]) {
        self.0.read(addr, data);
    }

    fn write(&self, addr: u64, data: &[u8]) {
        self.0.write(addr, data);
    }
}

/// The interrupt controller as a CPU reaches it.
pub(crate) struct GicAccess(pub(crate) Arc<Gic>);

impl hv::Gic for GicAccess {
    fn read_icc(&self, vcpu: u32, reg: u16) -> Option<u64> {
        self.0.read_icc(vcpu, reg)
    }

    fn write_icc(&self, vcpu: u32, reg: u16, value: u64) -> bool {
        self.0.write_icc(vcpu, reg, value)
    }

    fn set_ppi(&self, vcpu: u32, intid: u32, level: bool) {
        self.0.set_ppi(vcpu, intid, level);
    }
}

/// The IRQ input of a CPU as the interrupt controller drives it.
pub(crate) struct IrqInput(pub(crate) Arc<dyn hv::CpuInputs>);

impl IrqSink for IrqInput {
    fn set_level(&self, level: bool) {
        self.0.set_irq(level);
    }
}

/// The FIQ input.
pub(crate) struct FiqInput(pub(crate) Arc<dyn hv::CpuInputs>);

impl IrqSink for FiqInput {
    fn set_level(&self, level: bool) {
        self.0.set_fiq(level);
    }
}
