//! PCI configuration space, BARs and MSI-X under a guest that does anything.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use devices::pci::{RootPort, spec};
use devices::virtio::entropy::Entropy;
use devices::virtio::pci::VirtioPci;
use libfuzzer_sys::fuzz_target;
use russet_fuzz::Access;
use testkit::Guest;

#[derive(Arbitrary, Debug)]
enum Op {
    /// In the first functions' configuration space.
    Near(Access),
    /// Anywhere in ECAM.
    Configuration(Access),
    /// Where BARs may be.
    Memory32(Access),
    Memory64(Access),
    /// In the root port's configuration space.
    Port(Access),
    /// A card is put into the port's slot, asked for, or pulled.
    Insert,
    Request,
    Pull,
    Reset,
}

fuzz_target!(|ops: Vec<Op>| {
    let guest = Guest::new();
    let plug = |source: u8| {
        let device = Arc::new(Entropy::new(std::io::repeat(source)));
        VirtioPci::plug(guest.bridge().free_slot().unwrap(), device, guest.memory().clone())
    };
    let _functions = [plug(1), plug(2)];
    let slot = guest.bridge().free_slot().unwrap();
    let (devfn, port) = (slot.device_id(), RootPort::plug(slot, 1, guest.memory().clone(), Box::new(|| ())));
    // Its bus has number 1, until the fuzzer changes it.
    guest.bus().write(guest.config(devfn, spec::PRIMARY_BUS), &[0, 1, 1]);
    let layout = *guest.bridge().layout();
    for op in ops {
        match op {
            Op::Near(access) => access.make(guest.bus(), guest.config(8, 0), 0x100),
            Op::Configuration(access) => {
                access.make(guest.bus(), layout.ecam, spec::ECAM_BUS * u64::from(layout.buses))
            }
            // The lower bits of what the fuzzer is likely to put into a BAR.
            Op::Memory32(access) => access.make(guest.bus(), layout.memory32.base, layout.memory32.size),
            Op::Memory64(access) => access.make(guest.bus(), layout.memory64.base, layout.memory64.size),
            Op::Port(access) => access.make(guest.bus(), guest.config(devfn, 0), 0x100),
            Op::Insert => {
                port.insert(Arc::new(Entropy::new(std::io::repeat(3))));
            }
            Op::Request => {
                port.request_removal();
            }
            Op::Pull => port.pull(),
            Op::Reset => guest.bridge().reset(),
        }
    }
    guest.bridge().reset();
});
