//! Tests of the GIC by what a guest and the devices see of it: registers, lines, the inputs of the CPUs.

mod cpu_interface;
mod fdt;
mod its;
mod registers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_memory::GuestAddress;

use super::spec::*;
use super::{Config, CpuConfig, Gic};
use crate::bus::Bus;
use crate::irq::IrqSink;
use crate::{GuestMemory, contract};

const DIST: u64 = 0x0800_0000;
const ITS: u64 = 0x0808_0000;
const REDIST: u64 = 0x080a_0000;
const RAM: u64 = 0x4000_0000;

#[derive(Default)]
struct Input(AtomicBool);

impl IrqSink for Input {
    fn set_level(&self, level: bool) {
        self.0.store(level, Ordering::SeqCst);
    }
}

/// A GIC on a bus, with CPUs that show the levels of their inputs.
struct Board {
    gic: Arc<Gic>,
    bus: Bus,
    irq: Vec<Arc<Input>>,
    fiq: Vec<Arc<Input>>,
    memory: GuestMemory,
}

impl Board {
    /// CPU `n` has Aff0 = `n % 4` and Aff1 = `n / 4`.
    fn bare(cpus: u32) -> Self {
        let memory = GuestMemory::from_ranges(&[(GuestAddress(RAM), 4 << 20)]).unwrap();
        let inputs = || -> Vec<_> { (0..cpus).map(|_| Arc::new(Input::default())).collect() };
        let (irq, fiq) = (inputs(), inputs());
        let cpu = |n: u32| {
            let (irq, fiq) = (irq[n as usize].clone(), fiq[n as usize].clone());
            CpuConfig { affinity: (n % 4) | ((n / 4) << 8), irq, fiq }
        };
        let cpus = (0..cpus).map(cpu).collect();
        let config = Config { dist_base: DIST, redist_base: REDIST, its_base: Some(ITS), spis: 256, cpus };
        let gic = Gic::new(config, memory.clone()).unwrap();
        let bus = Bus::new();
        for (base, size, device) in gic.windows() {
            bus.insert(base, size, device).unwrap();
        }
        Self { gic, bus, irq, fiq, memory }
    }

    /// As Linux sets it up: everything Group 1 and enabled with priority 0xa0, CPUs awake, all priorities let through.
    fn new(cpus: u32) -> Self {
        let board = Self::bare(cpus);
        board.write(DIST + GICD_CTLR, CTLR_ARE | CTLR_GRP0 | CTLR_GRP1);
        for n in 1..9 {
            board.setup(DIST, n);
        }
        for cpu in 0..cpus {
            board.setup(board.sgi(cpu), 0);
            for (reg, value) in [(ICC_PMR_EL1, 0xff), (ICC_IGRPEN0_EL1, 1), (ICC_IGRPEN1_EL1, 1)] {
                board.set(cpu, reg, value);
            }
        }
        board
    }

    fn setup(&self, frame: u64, n: u64) {
        self.write(frame + IGROUPR + n * 4, u32::MAX);
        self.write(frame + ISENABLER + n * 4, u32::MAX);
        for i in 0..8 {
            self.write(frame + IPRIORITYR + n * 32 + i * 4, 0xa0a0_a0a0);
        }
    }

    fn rd(&self, cpu: u32) -> u64 {
        REDIST + u64::from(cpu) * 2 * FRAME
    }

    fn sgi(&self, cpu: u32) -> u64 {
        self.rd(cpu) + FRAME
    }

    fn read(&self, addr: u64) -> u32 {
        let mut data = [0; 4];
        self.bus.read(addr, &mut data);
        u32::from_le_bytes(data)
    }

    fn read64(&self, addr: u64) -> u64 {
        let mut data = [0; 8];
        self.bus.read(addr, &mut data);
        u64::from_le_bytes(data)
    }

    fn write(&self, addr: u64, value: u32) {
        self.bus.write(addr, &value.to_le_bytes());
    }

    fn write8(&self, addr: u64, value: u8) {
        self.bus.write(addr, &[value]);
    }

    fn write64(&self, addr: u64, value: u64) {
        self.bus.write(addr, &value.to_le_bytes());
    }

    fn get(&self, cpu: u32, reg: u16) -> u64 {
        self.gic.read_icc(cpu, reg).unwrap()
    }

    fn set(&self, cpu: u32, reg: u16, value: u64) {
        assert!(self.gic.write_icc(cpu, reg, value));
    }

    fn ack(&self, cpu: u32) -> u64 {
        self.get(cpu, ICC_IAR1_EL1)
    }

    fn end(&self, cpu: u32, intid: u64) {
        self.set(cpu, ICC_EOIR1_EL1, intid);
    }

    fn irq(&self, cpu: u32) -> bool {
        self.irq[cpu as usize].0.load(Ordering::SeqCst)
    }

    fn fiq(&self, cpu: u32) -> bool {
        self.fiq[cpu as usize].0.load(Ordering::SeqCst)
    }

    /// Configures an SPI as edge-triggered.
    fn edge(&self, intid: u64) {
        let at = DIST + ICFGR + intid / 16 * 4;
        self.write(at, self.read(at) | 2 << (intid % 16 * 2));
    }
}

#[test]
fn every_window_keeps_the_contract_of_the_bus() {
    for (_, size, device) in Board::bare(2).gic.windows() {
        contract::mmio(&*device, size);
    }
    for (_, size, device) in Board::new(2).gic.windows() {
        contract::mmio(&*device, size);
    }
}

#[test]
fn no_register_makes_the_gic_panic() {
    let board = Board::new(2);
    let mut bytes = Vec::new();
    let mut random = contract::Random(7);
    for _ in 0..200_000 {
        bytes.push(random.next() as u8);
    }
    drive(&board, &bytes);
}

/// Takes accesses of all kinds from bytes, ten to an access.
fn drive(board: &Board, bytes: &[u8]) {
    for step in bytes.chunks_exact(10) {
        let value = u64::from_le_bytes([step[2], step[3], step[4], step[5], step[6], step[7], step[8], step[9]]);
        let (cpu, place) = (u32::from(step[0] >> 4) % 3, u16::from(step[1]));
        match step[0] % 16 {
            0..4 => drop(board.gic.read_icc(cpu, 3 << 14 | 12 << 7 | place & 0x7f)),
            4..7 => drop(board.gic.write_icc(cpu, 3 << 14 | 12 << 7 | place & 0x7f, value)),
            7 => board.gic.set_ppi(cpu, u32::from(place), value & 1 != 0),
            8 => board.gic.spi_line(place.into()).set_level(value & 1 != 0),
            9 => board.write64(DIST + u64::from(place) * 8, value),
            10 => board.write64(REDIST + u64::from(place) * 0x400, value),
            11 => board.write64(board.rd(cpu % 2) + u64::from(place & 31) * 4, value & 0x4007_ffff),
            12 => board.write64(ITS + u64::from(place & 0x7f) * 8, value | 1 << 63),
            13 => board.write(ITS + FRAME + 0x40, value as u32 & 15),
            14 => board.write(DIST + GICD_CTLR, 3),
            _ => board.write64(RAM + u64::from(place) * 8, value),
        }
    }
}

#[test]
fn a_gic_that_cannot_be_is_refused() {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(RAM), 1 << 16)]).unwrap();
    let make = |spis, cpus| {
        let cpu = |n| {
            let input = Arc::new(Input::default());
            CpuConfig { affinity: n, irq: input.clone(), fiq: input }
        };
        let cpus = (0..cpus).map(cpu).collect();
        let config = Config { dist_base: DIST, redist_base: REDIST, its_base: None, spis, cpus };
        Gic::new(config, memory.clone()).map(|_| ())
    };
    assert_eq!(make(961, 1), Err(super::ConfigError::Spis(961)));
    assert_eq!(make(u32::MAX, 1), Err(super::ConfigError::Spis(u32::MAX)));
    assert_eq!(make(32, 0), Err(super::ConfigError::Cpus(0)));
    assert_eq!(make(32, 129), Err(super::ConfigError::Cpus(129)));
    assert_eq!([make(0, 1), make(960, 128)], [Ok(()), Ok(())]);
}

#[test]
fn lines_and_cpus_from_many_threads_end_in_agreement() {
    let board = Board::new(2);
    for spi in 0..8 {
        board.write64(DIST + GICD_IROUTER + 8 * (32 + spi), spi & 1);
    }
    std::thread::scope(|scope| {
        for spi in 0..8 {
            let line = board.gic.spi_line(spi);
            scope.spawn(move || (0..2000).for_each(|i| line.set_level(i % 2 == 0)));
        }
        for cpu in 0..2 {
            let board = &board;
            scope.spawn(move || {
                for _ in 0..4000 {
                    let intid = board.ack(cpu);
                    if intid != u64::from(SPURIOUS) {
                        board.end(cpu, intid);
                    }
                }
            });
        }
    });
    assert_eq!((board.irq(0), board.irq(1)), (false, false), "all lines are low and nothing is latched");
}
