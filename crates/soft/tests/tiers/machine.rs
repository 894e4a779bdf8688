//! A small machine for these programs: RAM, page tables, a device that interrupts, and a boot program that turns the
//! MMU on.

use std::sync::Arc;

use hv::{BootState, CpuInputs, Exit, GuestMemory, Kick, Mmio, Vcpu, VcpuEnv, Vm as _};
use soft::{JitMode, Options, Vm};
use vm_memory::{Bytes, GuestAddress};

/// Where RAM starts, and offset 0 of every program. It is mapped where it is, in pages of 4 KiB.
pub const RAM: u64 = 0x4000_0000;
/// Offset in RAM of the last level of the page tables, for the 2 MiB from [`RAM`].
const PAGES: u64 = 0x1_2000;
/// Offset in RAM of what programs write; X28 holds its address.
pub const DATA: usize = 0x10_0000;
/// Offset in RAM of X0..X13, NZCV and X29 at the end of a program.
const REGISTERS: usize = DATA + 0xe00;
const SIZE: usize = 2 << 20;

/// A program: words at offsets in RAM. It starts at 0x1000, has its vectors at 0x8000 and ends by a branch to 0x800.
pub type Program = &'static [(u64, &'static [u32])];

/// Turns the MMU on with the tables of [`tables`], then goes on at 0x1000, or, on a second CPU, at the address in X0.
/// At 0x800: stores the registers and turns the machine off.
const BOOT: Program = &[
    (
        0x0,
        &[
            0xaa00_03e9, // mov x9, x0
            0xd280_9fe1, // mov x1, #0x4ff
            0xd518_a201, // msr mair_el1, x1
            0xd286_a321, // mov x1, #0x3519
            0xf2a0_1001, // movk x1, #0x80, lsl #16
            0xf2c0_0041, // movk x1, #0x2, lsl #32
            0xd518_2041, // msr tcr_el1, x1
            0xd2a8_0021, // mov x1, #0x40010000
            0xd518_2001, // msr ttbr0_el1, x1
            0xd2a8_0001, // mov x1, #0x40000000
            0xf290_0001, // movk x1, #0x8000
            0xd518_c001, // msr vbar_el1, x1
            0xd2a0_0601, // mov x1, #0x300000
            0xd518_1041, // msr cpacr_el1, x1
            0xd538_1001, // mrs x1, sctlr_el1
            0xb240_0021, // orr x1, x1, #0x1
            0xd518_1001, // msr sctlr_el1, x1
            0xd503_3fdf, // isb
            0xd2a8_021c, // mov x28, #0x40100000
            0xb500_0049, // cbnz x9, 54 boot+0x54
            0x1400_03ec, // b 1000 program
            0xd61f_0120, // br x9
        ],
    ),
    (
        0x800,
        &[
            0x9138_039b, // add x27, x28, #0xe00
            0xd53b_421a, // mrs x26, nzcv
            0xa900_0760, // stp x0, x1, [x27]
            0xa901_0f62, // stp x2, x3, [x27, #16]
            0xa902_1764, // stp x4, x5, [x27, #32]
            0xa903_1f66, // stp x6, x7, [x27, #48]
            0xa904_2768, // stp x8, x9, [x27, #64]
            0xa905_2f6a, // stp x10, x11, [x27, #80]
            0xa906_376c, // stp x12, x13, [x27, #96]
            0xa907_777a, // stp x26, x29, [x27, #112]
            0x5280_0100, // mov w0, #0x8
            0x72b0_8000, // movk w0, #0x8400, lsl #16
            0xd400_0002, // hvc #0x0
            0x1400_0000, // b 834 finish+0x34
        ],
    ),
];
/// Pages that are mapped elsewhere than at their own address: page number in the 2 MiB and offset in RAM.
const ELSEWHERE: [(u64, u64); 2] = [(0x1e0, 0x18_0000), (0x1e1, 0x19_0000)];
/// Pages that are not valid until a program maps them.
const UNMAPPED: std::ops::Range<u64> = 0x1f0..0x1fa;
/// The page of the device.
const DEVICE: u64 = 0x1ff;
const DEVICE_ADDRESS: u64 = 0x0900_0000;

/// The page tables: where in RAM, and the descriptor.
fn tables() -> Vec<(u64, u64)> {
    let mut all = vec![(0x1_0008, RAM + 0x1_1003), (0x1_1000, RAM + PAGES + 3)];
    for page in 0..512 {
        let to = ELSEWHERE.iter().find(|e| e.0 == page).map_or(page << 12, |e| e.1);
        let descriptor = match page {
            // Attributes 1, never executed.
            DEVICE => DEVICE_ADDRESS | 3 << 53 | 0x407,
            _ if UNMAPPED.contains(&page) => (RAM + to) | 0x700,
            _ => (RAM + to) | 0x703,
        };
        all.push((PAGES + page * 8, descriptor));
    }
    all
}

/// A device with one register: its lowest bit is the level of the IRQ of CPU 0.
struct Device(Arc<dyn CpuInputs>);

impl Mmio for Device {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }
    fn write(&self, addr: u64, data: &[u8]) {
        if addr == DEVICE_ADDRESS {
            self.0.set_irq(data[0] != 0);
        }
    }
}

/// What is left of a machine that turned itself off.
pub struct End {
    ram: Vec<u8>,
    /// The counters of CPU 0.
    counters: Vec<(&'static str, u64)>,
    /// On Linux the memory of this process while CPU 0 was there.
    pub maps: String,
}

impl End {
    /// Register `n`, below 14.
    pub fn x(&self, n: usize) -> u64 {
        self.word(REGISTERS + n * 8)
    }

    /// The 8 bytes at `offset` in RAM.
    pub fn word(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.ram[offset..offset + 8].try_into().unwrap())
    }

    /// X0 to X13 and the flags.
    pub fn registers(&self) -> Vec<u64> {
        (0..15).map(|n| self.x(n)).collect()
    }

    /// The counter `name` of CPU 0.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|c| c.0 == name).expect("the counter exists").1
    }
}

/// Runs `program` on `cpus` CPUs until it turns the machine off, with `limit` bytes for translated code.
pub fn run_limited(program: Program, cpus: u32, jit: JitMode, limit: Option<usize>) -> End {
    run_driven(program, cpus, jit, limit, |cpu| cpu.run())
}

/// As [`run_limited`], with CPU 0 run by `drive`.
pub fn run_driven(
    program: Program,
    cpus: u32,
    jit: JitMode,
    limit: Option<usize>,
    drive: impl Fn(&mut dyn Vcpu) -> Exit + Sync,
) -> End {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(RAM), SIZE)]).unwrap();
    // Data that is not all alike, behind what programs write.
    let pattern: Vec<u8> = (0..0x8_0000u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    memory.write_slice(&pattern, GuestAddress(RAM + 0x18_0000)).unwrap();
    for (at, words) in BOOT.iter().chain(program) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        memory.write_slice(&bytes, GuestAddress(RAM + at)).unwrap();
    }
    for (at, descriptor) in tables() {
        memory.write_obj(descriptor, GuestAddress(RAM + at)).unwrap();
    }
    let mut vm = Vm::new(memory.clone(), &Options { cpus, jit }).unwrap();
    if let Some(bytes) = limit {
        vm.limit_translated_code(bytes);
    }
    let env = VcpuEnv { mmio: Arc::new(Device(vm.inputs(0).unwrap())), gic: None };
    let seeds: Vec<_> = (0..cpus).map(|index| vm.vcpu(index, env.clone()).unwrap()).collect();
    let kicks: Vec<Arc<dyn Kick>> = seeds.iter().map(|seed| seed.kicker()).collect();
    let (counters, maps) = std::thread::scope(|scope| {
        let run = |(index, seed): (usize, Box<dyn hv::VcpuSeed>)| {
            let (kicks, drive) = (&kicks, &drive);
            scope.spawn(move || {
                let mut cpu = seed.bind().unwrap();
                if index == 0 {
                    cpu.set_boot_state(BootState { pc: RAM, x0: 0 }).unwrap();
                }
                let exit = if index == 0 { drive(cpu.as_mut()) } else { cpu.run() };
                assert_eq!(exit, if index == 0 { Exit::PoweredOff } else { Exit::Kicked });
                kicks.iter().for_each(|kick| kick.kick());
                (cpu.counters(), std::fs::read_to_string("/proc/self/maps").unwrap_or_default())
            })
        };
        let threads: Vec<_> = seeds.into_iter().enumerate().map(run).collect();
        let mut ends = threads.into_iter().map(|thread| thread.join().unwrap());
        let first = ends.next().unwrap();
        ends.for_each(drop);
        first
    });
    let mut ram = vec![0; SIZE];
    memory.read_slice(&mut ram, GuestAddress(RAM)).unwrap();
    End { ram, counters, maps }
}

/// Runs `program` in one mode.
pub fn run(program: Program, cpus: u32, jit: JitMode) -> End {
    run_limited(program, cpus, jit, None)
}

/// Runs `program` on one CPU in every mode: `look` gives what has to be the same. Gives the last end.
pub fn same_everywhere<T: PartialEq + std::fmt::Debug>(program: Program, look: impl Fn(&End) -> T) -> End {
    let reference = look(&run(program, 1, JitMode::Off));
    let on = run(program, 1, JitMode::On);
    assert_eq!(look(&on), reference, "translated when hot");
    let stress = run(program, 1, JitMode::Stress);
    assert_eq!(look(&stress), reference, "translated from the start");
    if cfg!(target_arch = "x86_64") {
        assert!(stress.counter("regions translated") > 0);
    }
    on
}
