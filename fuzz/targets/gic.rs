//! The interrupt controller under CPUs and devices that do anything.
#![no_main]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arbitrary::Arbitrary;
use devices::GuestMemory;
use devices::bus::Bus;
use devices::gic::{Config, CpuConfig, Gic};
use devices::irq::{IrqSink, Msi, MsiSink};
use libfuzzer_sys::fuzz_target;
use russet_fuzz::Access;
use vm_memory::{Bytes, GuestAddress};

const DIST: u64 = 0x0800_0000;
const ITS: u64 = 0x0808_0000;
const REDIST: u64 = 0x080a_0000;
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 1 << 20;

#[derive(Arbitrary, Debug)]
enum Op {
    Distributor(Access),
    Redistributor(Access),
    Its(Access),
    /// A table of the ITS, the command queue or the LPI tables in the first pages of memory.
    Table {
        register: u8,
        page: u8,
        bits: u64,
    },
    Memory {
        at: u16,
        data: [u64; 4],
    },
    /// A system register: op0 is 3, CRn is 4 or 12.
    Read {
        cpu: u8,
        reg: u16,
    },
    Write {
        cpu: u8,
        reg: u16,
        value: u64,
    },
    Ppi {
        cpu: u8,
        intid: u8,
        level: bool,
    },
    Spi {
        spi: u8,
        level: bool,
    },
    Msi {
        device: u8,
        data: u16,
    },
    Reset,
}

#[derive(Default)]
struct Input(AtomicBool);
impl IrqSink for Input {
    fn set_level(&self, level: bool) {
        self.0.store(level, Ordering::SeqCst);
    }
}

/// The encoding of an ICC register from its lower bits.
fn icc(reg: u16) -> u16 {
    let crn = if reg & 0x80 == 0 { 12 } else { 4 };
    3 << 14 | crn << 7 | reg & 0x7f | (reg >> 4 & 6) << 11 & 0x3800
}

fuzz_target!(|ops: Vec<Op>| {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(RAM), RAM_SIZE as usize)]).unwrap();
    let cpu = |n: u32| CpuConfig { affinity: n, irq: Arc::new(Input::default()), fiq: Arc::new(Input::default()) };
    let cpus = (0..3).map(cpu).collect();
    let config = Config { dist_base: DIST, redist_base: REDIST, its_base: Some(ITS), spis: 96, cpus };
    let gic = Gic::new(config, memory.clone()).unwrap();
    let bus = Bus::new();
    for (base, size, device) in gic.windows() {
        bus.insert(base, size, device).unwrap();
    }
    let lines: Vec<_> = (0..8).map(|n| gic.spi_line(n * 13)).collect();
    for op in ops.into_iter().take(256) {
        match op {
            Op::Distributor(access) => access.make(&bus, DIST, 0x1_0000),
            Op::Redistributor(access) => access.make(&bus, REDIST, 0x6_0000),
            Op::Its(access) => access.make(&bus, ITS, 0x2_0000),
            Op::Table { register, page, bits } => {
                let at = match register % 5 {
                    0 => ITS + 0x100,
                    1 => ITS + 0x108,
                    2 => ITS + 0x80,
                    3 => REDIST + 0x70,
                    _ => REDIST + 0x78,
                };
                let value = bits & !0xffff_ffff_f000 | (RAM + u64::from(page % 16) * 0x1000);
                bus.write(at, &value.to_le_bytes());
            }
            Op::Memory { at, data } => {
                let at = RAM + u64::from(at) / 32 * 32;
                memory.write_obj(data, GuestAddress(at)).unwrap();
            }
            Op::Read { cpu, reg } => drop(gic.read_icc(u32::from(cpu % 4), icc(reg))),
            Op::Write { cpu, reg, value } => drop(gic.write_icc(u32::from(cpu % 4), icc(reg), value)),
            Op::Ppi { cpu, intid, level } => gic.set_ppi(u32::from(cpu % 4), u32::from(intid % 40), level),
            Op::Spi { spi, level } => lines[usize::from(spi % 8)].set_level(level),
            Op::Msi { device, data } => {
                gic.signal(Msi { address: ITS + 0x1_0040, data: data.into(), device_id: device.into() });
            }
            Op::Reset => gic.reset(),
        }
    }
});
